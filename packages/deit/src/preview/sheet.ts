/** The contact sheet of a preview: a row for each image, a column for each stage, what the model sees in the last one. */
import type { OverlayOptions } from "sharp";
import {
  checkSheetFile,
  fitted,
  isPage,
  marksLayer,
  pageImage,
  QUIET,
  writeDrawing,
  writePage,
} from "./drawing.ts";
import type { PreviewRow } from "./preview.ts";
import type { Html } from "../figures/html.ts";
import { html } from "../figures/html.ts";
import { text } from "../figures/text.ts";

const CELL = 132;
const GAP = 14;
const MARGIN = 28;
const HEADING = 92;
/** Below the images: a line for the stage; then two for the sample and, at the end, for the target's classes. */
const CAPTION = 20;
const LINE = 17;
const FOOT = 2 * LINE + 10;
const ROW = CELL + CAPTION + FOOT;

/** Writes the sheet; the ending says the format: .html, .png, .jpg or .webp. @throws ConfigError when its folder is not there */
export async function writeSheet(
  file: string,
  rows: readonly PreviewRow[],
  { title, subtitle, names }: { title: string; subtitle: string; names: (row: PreviewRow) => string },
): Promise<void> {
  await checkSheetFile(file, "out");
  if (isPage(file)) {
    const lines: Html[] = [];
    for (const row of rows) lines.push(await pageRow(row, names(row)));
    const head = html`<header>
      <h1>${title}</h1>
      <p class="lead">${subtitle}</p>
    </header>`;
    await writePage(file, title, html`${head}${lines}`);
    return;
  }
  const columns = Math.max(...rows.map(({ stages }) => stages.length), 7);
  const width = 2 * MARGIN + columns * (CELL + GAP) - GAP;
  const height = HEADING + 2 * MARGIN + rows.length * (ROW + GAP) - GAP;
  const end = MARGIN + (columns - 1) * (CELL + GAP);
  const images: OverlayOptions[] = [];
  const marks = [
    text(title, { x: MARGIN, y: MARGIN + 20, size: 21, bold: true }),
    text(subtitle, { x: MARGIN, y: MARGIN + 44, size: 13, colour: QUIET, maxWidth: width - 2 * MARGIN }),
    text("The file", { x: MARGIN, y: MARGIN + 80, size: 12, bold: true }),
    text("What the model sees", { x: end, y: MARGIN + 80, size: 12, bold: true }),
  ];
  for (const [index, row] of rows.entries()) {
    const top = HEADING + MARGIN + index * (ROW + GAP);
    for (const [column, { label, image }] of row.stages.entries()) {
      const left = column === row.stages.length - 1 ? end : MARGIN + column * (CELL + GAP);
      images.push(await fitted(image, { left, top, side: CELL }));
      marks.push(text(label, { x: left, y: top + CELL + 15, size: 11.5, maxWidth: CELL + GAP - 6 }));
    }
    const y = top + CELL + CAPTION + LINE;
    const foot = { x: MARGIN, size: 11.5, colour: QUIET, maxWidth: end - MARGIN - GAP };
    marks.push(text(names(row), { ...foot, y }), text(origin(row), { ...foot, y: y + LINE }));
    for (const [line, part] of row.target.entries()) {
      const words = `${part.weight.toFixed(2)} ${part.label}`;
      const place = { x: end, y: y + line * LINE, size: 13, maxWidth: CELL };
      marks.push(text(words, { ...place, bold: true }));
    }
  }
  const layers = [...images, marksLayer(marks, { width, height })];
  await writeDrawing(file, { width, height, layers });
}

/** A row of a page: the stages, which scroll sideways, and the target. */
async function pageRow(row: PreviewRow, name: string): Promise<Html> {
  const figures: Html[] = [];
  for (const [i, { label, image }] of row.stages.entries()) {
    const last = i === row.stages.length - 1;
    const step = i === 0 ? "The file" : last ? "What the model sees" : `Step ${i}`;
    figures.push(
      html`<figure>
        ${await pageImage(image, { side: 2 * CELL, alt: `${step}: ${label}` })}
        <figcaption><b>${step}</b><br /><span class="muted">${label}</span></figcaption>
      </figure>`,
    );
  }
  const target = row.target.map(({ weight, label }) => `${weight.toFixed(2)} ${label}`).join(", ");
  return html`<section class="card stages">
    <h3>${origin(row)}</h3>
    <p class="small muted">${name}</p>
    <div class="scroll"><div class="row">${figures}</div></div>
    <p class="small">Target: <b>${target}</b></p>
  </section>`;
}

/** Its class, and what it is mixed with. */
function origin({ label, partner }: PreviewRow): string {
  return partner ? `${label}, mixed with image ${partner.index} · copy ${partner.copy}` : label;
}
