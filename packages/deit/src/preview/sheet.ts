/** The contact sheet of a preview: a row for each picture, a column for each stage, what the model sees in the last one. */
import type { OverlayOptions } from "sharp";
import { checkSheetFile, fitted, marksLayer, QUIET, writeDrawing } from "./drawing.ts";
import type { PreviewRow } from "./preview.ts";
import { text } from "../figures/text.ts";

const CELL = 132;
const GAP = 14;
const MARGIN = 28;
const HEADING = 92;
/** Below the pictures: a line for the stage; then two for the sample and, at the end, for the target's classes. */
const CAPTION = 20;
const LINE = 17;
const FOOT = 2 * LINE + 10;
const ROW = CELL + CAPTION + FOOT;

/** Writes the sheet; the ending says the format: .png, .jpg or .webp. @throws ConfigError when its folder is not there */
export async function writeSheet(
  file: string,
  rows: readonly PreviewRow[],
  { title, subtitle, names }: { title: string; subtitle: string; names: (row: PreviewRow) => string },
): Promise<void> {
  await checkSheetFile(file, "out");
  const columns = Math.max(...rows.map(({ stages }) => stages.length), 7);
  const width = 2 * MARGIN + columns * (CELL + GAP) - GAP;
  const height = HEADING + 2 * MARGIN + rows.length * (ROW + GAP) - GAP;
  const end = MARGIN + (columns - 1) * (CELL + GAP);
  const pictures: OverlayOptions[] = [];
  const marks = [
    text(title, { x: MARGIN, y: MARGIN + 20, size: 21, weight: "bold" }),
    text(subtitle, { x: MARGIN, y: MARGIN + 44, size: 13, colour: QUIET, maxWidth: width - 2 * MARGIN }),
    text("The file", { x: MARGIN, y: MARGIN + 80, size: 12, weight: "bold" }),
    text("What the model sees", { x: end, y: MARGIN + 80, size: 12, weight: "bold" }),
  ];
  for (const [index, row] of rows.entries()) {
    const top = HEADING + MARGIN + index * (ROW + GAP);
    for (const [column, { label, picture }] of row.stages.entries()) {
      const left = column === row.stages.length - 1 ? end : MARGIN + column * (CELL + GAP);
      pictures.push(await fitted(picture, { left, top, side: CELL }));
      marks.push(text(label, { x: left, y: top + CELL + 15, size: 11.5, maxWidth: CELL + GAP - 6 }));
    }
    const y = top + CELL + CAPTION + LINE;
    const foot = { x: MARGIN, size: 11.5, colour: QUIET, maxWidth: end - MARGIN - GAP };
    marks.push(text(names(row), { ...foot, y }), text(origin(row), { ...foot, y: y + LINE }));
    for (const [line, part] of row.target.entries()) {
      const words = `${part.weight.toFixed(2)} ${part.label}`;
      const place = { x: end, y: y + line * LINE, size: 13, maxWidth: CELL };
      marks.push(text(words, { ...place, weight: "bold" }));
    }
  }
  const layers = [...pictures, marksLayer(marks, { width, height })];
  await writeDrawing(file, { width, height, layers });
}

/** Its class, and what it is mixed with. */
function origin({ label, partner }: PreviewRow): string {
  return partner ? `${label}, mixed with image ${partner.index} · copy ${partner.copy}` : label;
}
