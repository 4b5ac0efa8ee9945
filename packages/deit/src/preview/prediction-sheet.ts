/** A contact sheet of images with what a model says of them. Images are read one at a time, and again: none is kept. */
import type { OverlayOptions } from "sharp";
import { readNamedImage } from "../data/decoding/named-image.ts";
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
import { colour } from "../figures/colours.ts";
import type { Html } from "../figures/html.ts";
import { html, middleCut } from "../figures/html.ts";
import { shape } from "../figures/shape.ts";
import { text } from "../figures/text.ts";

/** An image, by path or address, and its answers, best first. */
export interface PredictedImage {
  readonly image: string;
  readonly predictions: readonly { readonly label: string; readonly score: number }[];
}

/** More images than this make a sheet that nobody looks through. */
export const SHEET_IMAGES = 300;
/** Answers below an image. */
const ANSWERS = 3;
const COLUMNS = 6;
/** So many columns' width for the title, even of one image. */
const FEWEST_COLUMNS = 3;
const CELL = 176;
const GAP = 20;
const MARGIN = 28;
const HEADING = 66;
const NAME = 20;
const ANSWER = 25;
const BAR = 4;
const SCORE = 52;
const TRACK = colour("rule");

/**
 * Writes the images, at most `most` of them, as a sheet; the ending says the format: .html, .png, .jpg or .webp.
 * @returns how many are on it
 * @throws ConfigError when its folder is not there; DataError for an image that cannot be read any more
 */
export async function writePredictionSheet(
  file: string,
  images: readonly PredictedImage[],
  { title, subtitle, most = SHEET_IMAGES }: { title: string; subtitle: string; most?: number },
): Promise<number> {
  await checkSheetFile(file, "sheet");
  const shown = images.slice(0, most);
  if (isPage(file)) {
    await writePredictionPage(file, shown, { title, subtitle });
    return shown.length;
  }
  const columns = Math.min(COLUMNS, Math.max(FEWEST_COLUMNS, shown.length));
  const answers = Math.min(ANSWERS, Math.max(...shown.map(({ predictions }) => predictions.length)));
  const below = NAME + answers * ANSWER + 6;
  const rows = Math.ceil(shown.length / columns);
  const width = 2 * MARGIN + columns * (CELL + GAP) - GAP;
  const height = HEADING + 2 * MARGIN + rows * (CELL + below + GAP) - GAP;
  const heading = [
    text(title, { x: MARGIN, y: MARGIN + 20, size: 21, bold: true, maxWidth: width - 2 * MARGIN }),
    text(subtitle, { x: MARGIN, y: MARGIN + 44, size: 13, colour: QUIET, maxWidth: width - 2 * MARGIN }),
  ];
  const layers: OverlayOptions[] = [marksLayer(heading, { width, height: HEADING + MARGIN })];
  for (let row = 0; row < rows; row++) {
    const top = HEADING + MARGIN + row * (CELL + below + GAP);
    const marks: Html[] = []; // a layer a row: renderers limit the size of one drawing
    for (const [column, { image, predictions }] of shown
      .slice(row * columns, (row + 1) * columns)
      .entries()) {
      const left = MARGIN + column * (CELL + GAP);
      layers.push(await fitted(await readNamedImage(image), { left, top, side: CELL }));
      marks.push(text(shortName(image), { x: left, y: 14, size: 11, colour: QUIET, maxWidth: CELL }));
      for (const [line, { label, score }] of predictions.slice(0, answers).entries())
        marks.push(...answerMarks({ label, score }, { x: left, y: NAME + line * ANSWER, first: line === 0 }));
    }
    layers.push(marksLayer(marks, { width, height: below, top: top + CELL }));
  }
  await writeDrawing(file, { width, height, layers });
  return shown.length;
}

/** Its label and score over a bar as long as the score. */
function answerMarks(
  { label, score }: { label: string; score: number },
  { x, y, first }: { x: number; y: number; first: boolean },
): Html[] {
  const style = { size: 12.5, bold: first, y: y + 13, colour: first ? colour("ink") : QUIET };
  const bar = (width: number, fill: string, opacity?: number): Html =>
    shape("rect", { x, y: y + 18, width, height: BAR, rx: 2, fill, opacity });
  return [
    text(label, { ...style, x, maxWidth: CELL - SCORE - 4 }),
    text(percent(score), { ...style, x: x + CELL, anchor: "end" }),
    bar(CELL, TRACK),
    ...(score > 0 ? [bar(Math.max(BAR, CELL * score), colour("blue"), first ? 1 : 0.45)] : []),
  ];
}

function percent(score: number): string {
  return `${(100 * score).toFixed(1)} %`;
}

/** The same as a page. */
async function writePredictionPage(
  file: string,
  shown: readonly PredictedImage[],
  { title, subtitle }: { title: string; subtitle: string },
): Promise<void> {
  const figures: Html[] = [];
  for (const { image, predictions } of shown) {
    const name = shortName(image);
    const answers = predictions.slice(0, ANSWERS).map(
      ({ label, score }) =>
        html`<li title="${label}">
          ${middleCut(label)}<span class="figure">${percent(score)}</span
          ><span class="track"><i style="--share:${score.toFixed(4)}"></i></span>
        </li>`,
    );
    figures.push(
      html`<figure>
        ${await pageImage(await readNamedImage(image), { side: 2 * CELL, alt: name })}
        <figcaption>
          <span class="muted">${middleCut(name)}</span>
          <ul class="answers">
            ${answers}
          </ul>
        </figcaption>
      </figure>`,
    );
  }
  await writePage(
    file,
    title,
    html`<header>
        <h1>${title}</h1>
        <p class="lead">${subtitle}</p>
      </header>
      <div class="images sheet">${figures}</div>`,
  );
}

/** The end of a long path: the file and its folder, which is often a class. */
function shortName(path: string): string {
  return path.split(/[/\\]/).slice(-2).join("/");
}
