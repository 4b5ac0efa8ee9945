/** The contact sheet of a preview: a row for each picture, a column for each stage, the target at its end. */
import sharp from "sharp";
import type { OverlayOptions } from "sharp";
import type { Picture } from "../augmentation/picture.ts";
import type { PreviewRow } from "./preview.ts";
import { text } from "./text.ts";

const CELL = 132;
const GAP = 14;
const MARGIN = 28;
const HEADING = 64;
/** Below the pictures: a line for the stage, one for the sample. */
const CAPTION = 20;
const FOOT = 30;
const ROW = CELL + CAPTION + FOOT;
const QUIET = "#66717e";

/** Writes the sheet; the ending says the format: .png, .jpg or .webp. */
export async function writeSheet(
  file: string,
  rows: readonly PreviewRow[],
  { title, subtitle, names }: { title: string; subtitle: string; names: (row: PreviewRow) => string },
): Promise<void> {
  const columns = Math.max(...rows.map(({ stages }) => stages.length), 7);
  const width = 2 * MARGIN + columns * (CELL + GAP) - GAP;
  const height = HEADING + 2 * MARGIN + rows.length * (ROW + GAP) - GAP;
  const pictures: OverlayOptions[] = [];
  const marks = [
    text(title, { x: MARGIN, y: MARGIN + 20, size: 21, weight: "bold" }),
    text(subtitle, { x: MARGIN, y: MARGIN + 44, size: 13, colour: QUIET, maxWidth: width - 2 * MARGIN }),
  ];
  for (const [index, row] of rows.entries()) {
    const top = HEADING + MARGIN + index * (ROW + GAP);
    for (const [column, { label, picture }] of row.stages.entries()) {
      const left = MARGIN + column * (CELL + GAP);
      pictures.push(await fitted(picture, left, top));
      marks.push(text(label, { x: left, y: top + CELL + 15, size: 11.5, maxWidth: CELL + GAP - 6 }));
    }
    const y = top + CELL + CAPTION + 16;
    const target = row.target.map((part) => `${part.weight.toFixed(2)} ${part.label}`).join(" + ");
    marks.push(
      text(target, { x: MARGIN, y, size: 13, weight: "bold", maxWidth: 3 * (CELL + GAP) }),
      text(names(row), {
        x: MARGIN + 3 * (CELL + GAP),
        y,
        size: 11.5,
        colour: QUIET,
        maxWidth: width - 2 * MARGIN - 3 * (CELL + GAP),
      }),
    );
  }
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${marks.join("")}</svg>`;
  await sharp({ create: { width, height, channels: 3, background: "#ffffff" } })
    .composite([...pictures, { input: Buffer.from(drawing) }])
    .toFile(file);
}

/** Fitted into a cell; small pictures are enlarged pixel by pixel, so that their pixels can be seen. */
async function fitted({ width, height, data }: Picture, left: number, top: number): Promise<OverlayOptions> {
  const kernel = Math.max(width, height) < CELL ? "nearest" : "lanczos3";
  const input = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(CELL, CELL, { fit: "contain", kernel, background: "#eef1f4" })
    .png()
    .toBuffer();
  return { input, left, top };
}
