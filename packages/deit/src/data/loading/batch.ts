/**
 * Makes one batch: reads its images, transforms them, writes them where they belong. Depends on the job alone, so
 * it does not matter in which thread or in which order jobs are done. Broken images are told, not thrown.
 */
import type { RgbImage } from "../../augmentation/rgb-image.ts";
import { writePlanar } from "../../augmentation/rgb-image.ts";
import type { Transform } from "../../augmentation/transform.ts";
import { DataError, DeitError, firstLine } from "../../errors.ts";
import type { Random } from "../../random.ts";
import { createRandom } from "../../random.ts";
import type { Dataset } from "../dataset.ts";
import { type PlannedSample, sampleRandom } from "./epoch-plan.ts";

export interface BatchJob {
  readonly epoch: number;
  readonly seed: number;
  readonly mode: "train" | "evaluation";
  readonly samples: readonly PlannedSample[];
  /** Rows of the batch: those that no sample fills are padding. */
  readonly rows: number;
}

/** One training image on its way into a batch. */
export interface ImageContext {
  /** Its own for every image, epoch and repeat, so that a run that is resumed draws the same. */
  readonly random: Random;
  readonly epoch: number;
  /** Number in the dataset, class, and what the dataset calls it. */
  readonly index: number;
  readonly label: number;
  readonly name: string;
}

/** A change of training images before the recipe's own crop and augmentation. May return an image of another size. */
export type ImageTransform = (image: RgbImage, context: ImageContext) => RgbImage | Promise<RgbImage>;

export interface MadeBatch {
  /** [rows, 3, H, W], zeros in padding and for unreadable images. */
  readonly images: Uint8Array<ArrayBuffer>;
  /** [rows, 3, H, W], noise codes where pixels are erased and 0 elsewhere; only when the transform erases. */
  readonly erasing?: Uint8Array<ArrayBuffer>;
  /** [rows], −1 in padding and for unreadable images. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** [rows], index of the image that is in the row. */
  readonly samples: Uint32Array<ArrayBuffer>;
  readonly broken: readonly BrokenImage[];
}

export interface BrokenImage {
  readonly index: number;
  readonly message: string;
}

/** Images that are being decoded at the same time: one is transformed while others are still decoded. */
const IN_FLIGHT = 3;

/** `first`: what is done to an image before the transform. */
export async function makeBatch(
  dataset: Dataset,
  transform: Transform,
  job: BatchJob,
  first?: ImageTransform,
): Promise<MadeBatch> {
  const [height, width] = transform.size;
  const rowBytes = 3 * height * width;
  const images = new Uint8Array(job.rows * rowBytes);
  const erasing = transform.erases ? new Uint8Array(job.rows * rowBytes) : undefined;
  const labels = new Int32Array(job.rows).fill(-1);
  const samples = new Uint32Array(job.rows);
  const broken: BrokenImage[] = [];

  const fill = async (row: number, sample: PlannedSample): Promise<void> => {
    const random = sampleRandom(job.seed, job.epoch, sample);
    samples[row] = sample.index;
    let failure: DataError | undefined;
    for (const index of candidates(dataset.length, sample, job)) {
      try {
        const read = await dataset.read(index);
        const image =
          first === undefined
            ? read
            : checkImage(
                await first(read, contextOf(dataset, { index, sample, job })),
                dataset.describe(index),
              );
        const draw = transform.draw(random, image.width, image.height);
        writePlanar(transform.apply(image, draw), images, row * rowBytes);
        if (erasing) transform.erase(draw, erasing, row * rowBytes);
        labels[row] = dataset.labels[index] ?? -1;
        samples[row] = index;
        return;
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        failure = error;
        broken.push({ index, message: firstLine(error) });
      }
    }
    if (failure && job.mode === "train") throw failure; // and so are all its replacements
  };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let row = next++; row < job.samples.length; row = next++) {
      const sample = job.samples[row];
      if (sample) await fill(row, sample);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return {
    images,
    ...(erasing && { erasing }),
    labels,
    samples,
    broken: broken.toSorted((a, b) => a.index - b.index),
  };
}

function contextOf(
  { labels, describe }: Dataset,
  { index, sample, job: { seed, epoch } }: { index: number; sample: PlannedSample; job: BatchJob },
): ImageContext {
  const random = createRandom(seed, "transform", epoch, index, sample.copy);
  return { random, epoch, index, label: labels[index] ?? -1, name: describe(index) };
}

/** What a user's transform returned. @throws DeitError */
function checkImage(image: RgbImage | undefined, name: string): RgbImage {
  const { width = 0, height = 0, data } = image ?? {};
  const isSize = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (isSize && data instanceof Uint8Array && data.length === 3 * width * height) return image as RgbImage;
  throw new DeitError(
    `the transform made of ${name} an image of ${width} × ${height} pixels with ${data?.length ?? "no"} bytes`,
    {
      code: "data/image-size",
      hint: "Return { width, height, data } with 3 bytes (RGB) for each pixel, row by row, in a Uint8Array.",
    },
  );
}

/** Replacements that are tried for a broken training image. */
const MAX_REPLACEMENTS = 10;

/** The image itself; in training, should it be broken, others in an order that depends on the sample alone. */
function* candidates(
  length: number,
  sample: PlannedSample,
  { mode, seed, epoch }: BatchJob,
): Generator<number> {
  yield sample.index;
  if (mode === "evaluation") return;
  const random = createRandom(seed, "replacement", epoch, sample.index, sample.copy);
  for (let attempt = 0; attempt < MAX_REPLACEMENTS; attempt++) yield random.integer(length);
}
