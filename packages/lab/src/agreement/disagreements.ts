/** The images on which models disagree most, with everyone's answer, as HTML. */
import sharp from "sharp";
import { embeddedImage, html, shortName } from "deit-ts/charts";
import type { Html } from "deit-ts/charts";
import type { Ballot, Dispute } from "./agreement.ts";

export interface DisputedImage extends Dispute {
  /** File name, or "cifar10 test 123". */
  readonly image: string;
  /** By respondent, the labels first: names of classes. */
  readonly answers: readonly string[];
  /** By respondent: whether it is the label's. */
  readonly right: readonly boolean[];
}

/** Everyone's answers to disputed images in words. */
export function describeDisputes(
  { answers, dataset, classes, images }: Ballot,
  disputes: readonly Dispute[],
): DisputedImage[] {
  return disputes.map((dispute) => {
    const given = answers.map((row) => row[dispute.entry] ?? -1);
    return {
      ...dispute,
      image: dataset.describe(images[dispute.entry] ?? 0),
      answers: given.map((index) => shortName(classes[index] ?? "none")),
      right: given.map((index) => index === given[0]),
    };
  });
}

/** Longest side of an image, in pixels. */
const SIDE = 176;

/** Cards of images, for a page. */
export async function disputedCards(
  { dataset, images, respondents }: Ballot,
  disputed: readonly DisputedImage[],
): Promise<Html> {
  const cards: Html[] = [];
  for (const { entry, image, answers, right } of disputed) {
    const seen = await dataset.read(images[entry] ?? 0);
    const webp = await sharp(seen.data, { raw: { width: seen.width, height: seen.height, channels: 3 } })
      .resize(SIDE, SIDE, { fit: "inside", withoutEnlargement: true })
      .webp(Math.max(seen.width, seen.height) <= 64 ? { lossless: true } : { quality: 82 })
      .toBuffer();
    const [label = "", ...others] = answers;
    cards.push(
      html`<figure>
        ${embeddedImage(webp, "webp", { alt: `${label}: ${image}` })}
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
  return html`<div class="images">${cards}</div>`;
}
