/** The pictures on which models disagree most, with everyone's answer: as HTML, and as a sheet. */
import sharp from "sharp";
import type { OverlayOptions } from "sharp";
import type { Picture } from "../augmentation/picture.ts";
import { html } from "../figures/html.ts";
import type { Html } from "../figures/html.ts";
import { embeddedPicture } from "../figures/page.ts";
import { text } from "../figures/text.ts";
import type { Ballot, Dispute } from "./agreement.ts";

export interface DisputedPicture extends Dispute {
  /** File name, or "cifar10 test 123". */
  readonly picture: string;
  /** By respondent, the labels first: names of classes. */
  readonly answers: readonly string[];
  /** By respondent: whether it is the label's. */
  readonly right: readonly boolean[];
}

/** Everyone's answers to disputed pictures in words. */
export function describeDisputes(
  { answers, dataset, classes, pictures }: Ballot,
  disputes: readonly Dispute[],
): DisputedPicture[] {
  return disputes.map((dispute) => {
    const given = answers.map((row) => row[dispute.entry] ?? -1);
    return {
      ...dispute,
      picture: dataset.describe(pictures[dispute.entry] ?? 0),
      answers: given.map((index) => shortName(classes[index] ?? "none")),
      right: given.map((index) => index === given[0]),
    };
  });
}

/** ImageNet's classes are lists of synonyms. */
export function shortName(name: string): string {
  return name.split(",")[0] ?? name;
}

/** Side of a picture, in pixels of the page and of the sheet. */
const SIDE = 176;

/** Fitted into a square; small pictures are enlarged pixel by pixel, so that their pixels can be seen. */
async function fitted({ width, height, data }: Picture, background: string): Promise<Buffer> {
  const kernel = Math.max(width, height) < SIDE ? "nearest" : "lanczos3";
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize(SIDE, SIDE, { fit: "contain", kernel, background })
    .png()
    .toBuffer();
}

/** Cards of pictures, for a page. */
export async function disputedCards(
  { dataset, pictures, respondents }: Ballot,
  disputed: readonly DisputedPicture[],
): Promise<Html> {
  const cards: Html[] = [];
  for (const { entry, picture, answers, right } of disputed) {
    const seen = await dataset.read(pictures[entry] ?? 0);
    const webp = await sharp(seen.data, { raw: { width: seen.width, height: seen.height, channels: 3 } })
      .resize(SIDE, SIDE, { fit: "inside", withoutEnlargement: true })
      .webp(Math.max(seen.width, seen.height) <= 64 ? { lossless: true } : { quality: 82 })
      .toBuffer();
    const [label = "", ...others] = answers;
    cards.push(
      html`<figure>
        ${embeddedPicture(webp, "webp", `${label}: ${picture}`)}
        <figcaption>
          <b>${label}</b>
          ${others.map(
            (answer, i) =>
              html`<br /><span class="${right[i + 1] === true ? "right" : "wrong"}">${answer}</span>
                <span class="muted">${respondents[i + 1]?.name}</span>`,
          )}
        </figcaption>
      </figure>`,
    );
  }
  return html`<div class="pictures">${cards}</div>`;
}

const COLUMNS = 6;
const GAP = 20;
const MARGIN = 28;
const HEADING = 74;
const LINE = 17;
const QUIET = "#666b74";
const RIGHT = "#2d5f9e";
const WRONG = "#cd6231";

/** The same as one PNG: label in bold, then the answers in the order of the heading. */
export async function disputedSheet(ballot: Ballot, disputed: readonly DisputedPicture[]): Promise<Buffer> {
  const { dataset, pictures, respondents } = ballot;
  const models = respondents.slice(1);
  const columns = Math.min(COLUMNS, Math.max(3, disputed.length));
  const rowHeight = SIDE + 12 + (respondents.length + 1) * LINE + GAP;
  const width = 2 * MARGIN + columns * (SIDE + GAP) - GAP;
  const height = HEADING + 2 * MARGIN + Math.ceil(disputed.length / columns) * rowHeight - GAP;
  const line = { x: MARGIN, maxWidth: width - 2 * MARGIN };
  const overlays: OverlayOptions[] = [];
  const marks = [
    text("Where they disagree most", { ...line, y: MARGIN + 20, size: 21, weight: "bold" }),
    text(
      `Label, then the answers of ${models.map(({ name }) => name).join(", ")}: blue is right, orange wrong`,
      {
        ...line,
        y: MARGIN + 44,
        size: 13,
        colour: QUIET,
      },
    ),
  ];
  for (const [i, { entry, picture, answers, right }] of disputed.entries()) {
    const left = MARGIN + (i % columns) * (SIDE + GAP);
    const top = HEADING + MARGIN + Math.floor(i / columns) * rowHeight;
    overlays.push({ input: await fitted(await dataset.read(pictures[entry] ?? 0), "#f3f3f0"), left, top });
    for (const [row, answer] of answers.entries()) {
      const colour = row === 0 ? "#1c1e22" : right[row] === true ? RIGHT : WRONG;
      const y = top + SIDE + 18 + row * LINE;
      marks.push(
        text(answer, { x: left, y, size: 13, colour, weight: row === 0 ? "bold" : "normal", maxWidth: SIDE }),
      );
    }
    const y = top + SIDE + 18 + answers.length * LINE;
    marks.push(text(picture, { x: left, y, size: 10.5, colour: QUIET, maxWidth: SIDE }));
  }
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${marks.join("")}</svg>`;
  return sharp({ create: { width, height, channels: 3, background: "#ffffff" } })
    .composite([...overlays, { input: Buffer.from(drawing) }])
    .png()
    .toBuffer();
}
