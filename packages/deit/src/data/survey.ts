/** A quick look at a dataset before the first run: how many images, and how large they are. */
import type { Dataset } from "./dataset.ts";
import type { TrainingDataOptions } from "./open.ts";

/** Decoded to learn the size; enough for a median, quick even with photographs. */
const SAMPLES = 24;

export interface Survey {
  /** Training images. */
  readonly images: number;
  /** Median of the shorter sides, in pixels. */
  readonly medianSize: number;
  /** Images of the largest class for one of the smallest. */
  readonly imbalance: number;
}

/** Opens the dataset of `options`. Throws DataError as opening does. */
export async function surveyImages(options: TrainingDataOptions): Promise<Survey> {
  const { openDatasets } = await import("./open.ts");
  const { train } = await openDatasets(options);
  return { images: train.length, medianSize: await medianSide(train), imbalance: imbalanceOf(train) };
}

function imbalanceOf({ labels, classes }: Pick<Dataset, "labels" | "classes">): number {
  const counts = classes.map(() => 0);
  for (const label of labels) if (label >= 0) counts[label] = (counts[label] ?? 0) + 1;
  const present = counts.filter((count) => count > 0);
  return present.length === 0 ? 1 : Math.max(...present) / Math.min(...present);
}

/** Median of the shorter sides of images spread over the dataset; 0 when none can be read. */
export async function medianSide(dataset: Pick<Dataset, "length" | "read">): Promise<number> {
  const sides: number[] = [];
  const step = Math.max(1, Math.ceil(dataset.length / SAMPLES));
  for (let index = 0; index < dataset.length; index += step) {
    const image = await dataset.read(index).catch(() => undefined); // training names unreadable files
    if (image !== undefined) sides.push(Math.min(image.width, image.height));
  }
  return sides.toSorted((a, b) => a - b)[sides.length >> 1] ?? 0;
}
