/** The pictures on which models disagree most, with everyone's answer, as HTML. */
import sharp from "sharp";
import { html } from "../figures/html.ts";
import type { Html } from "../figures/html.ts";
import { embeddedPicture } from "../figures/page.ts";
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

/** Longest side of an image, in pixels. */
const SIDE = 176;

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
        ${embeddedPicture(webp, "webp", { alt: `${label}: ${picture}` })}
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
