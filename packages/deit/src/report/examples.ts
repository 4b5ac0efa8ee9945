/** Images that tell about a model: where it is surest and right, and where its mistakes cost most. */
import sharp from "sharp";
import { createTransform } from "../augmentation/transform.ts";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Html } from "../figures/html.ts";
import { html } from "../figures/html.ts";
import { createRandom } from "../random.ts";
import type { Answers } from "./measure.ts";

/** Longest side of an image in the page, in pixels. */
const SIDE = 192;
/** Images up to this side are kept pixel by pixel, and shown so. */
const SMALL = 64;

/** A small image, inside a page. */
export interface Thumbnail {
  /** `data:image/webp;base64,…`, the part that the model sees. */
  readonly source: string;
  readonly width: number;
  readonly height: number;
}

export interface Example extends Thumbnail {
  /** File name, or "cifar10 test 123". */
  readonly name: string;
  readonly label: number;
  readonly predicted: number;
  readonly confidence: number;
  readonly truth: number;
}

/** Entries of right `answers` by falling confidence, at most `perClass` of a label; on a tie the earlier image. */
export function surest(
  { labels, predicted, confidence }: Pick<Answers, "labels" | "predicted" | "confidence">,
  { count, perClass = count }: { count: number; perClass?: number },
): number[] {
  const taken = new Map<number, number>();
  const chosen: number[] = [];
  const order = [...labels.keys()]
    .filter((i) => labels[i] === predicted[i] && !Number.isNaN(confidence[i]))
    .sort((a, b) => (confidence[b] ?? 0) - (confidence[a] ?? 0) || a - b);
  for (const i of order) {
    if (chosen.length === count) break;
    const label = labels[i] ?? -1;
    const already = taken.get(label) ?? 0;
    if (already >= perClass) continue;
    taken.set(label, already + 1);
    chosen.push(i);
  }
  return chosen;
}

/** Entries of `answers` with their images, as the model sees them. */
export async function makeExamples(
  entries: readonly number[],
  {
    answers,
    dataset,
    transform,
  }: { answers: Answers; dataset: Dataset; transform: EvaluationTransformOptions },
): Promise<Example[]> {
  const preparation = createTransform(transform);
  const examples: Example[] = [];
  for (const i of entries) {
    const index = answers.images[i] ?? 0;
    const image = await dataset.read(index);
    const draw = preparation.draw(createRandom(0), image.width, image.height);
    const seen = preparation.apply(image, draw);
    examples.push({
      ...(await thumbnail(seen)),
      name: dataset.describe(index),
      label: answers.labels[i] ?? -1,
      predicted: answers.predicted[i] ?? -1,
      confidence: answers.confidence[i] ?? NaN,
      truth: answers.truth[i] ?? NaN,
    });
  }
  return examples;
}

/** An image as a data URI. */
export async function thumbnail({ width, height, data }: RgbImage): Promise<Thumbnail> {
  const lossless = Math.max(width, height) <= SMALL;
  const { data: bytes, info } = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(SIDE, SIDE, { fit: "inside", withoutEnlargement: true })
    .webp(lossless ? { lossless } : { quality: 80 })
    .toBuffer({ resolveWithObject: true });
  return {
    source: `data:image/webp;base64,${bytes.toString("base64")}`,
    width: info.width,
    height: info.height,
  };
}

/** As an element of a page; one of few pixels is shown pixel by pixel. */
export function thumbnailImage(
  { source, width, height }: Thumbnail,
  { alt, title }: { alt: string; title: string },
): Html {
  return html`<img
    src="${source}"
    width="${width}"
    height="${height}"
    class="${Math.max(width, height) <= SMALL && "pixels"}"
    alt="${alt}"
    title="${title}"
  />`;
}
