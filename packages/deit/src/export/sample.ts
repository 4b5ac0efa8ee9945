/** The images that an export is checked with: some of a dataset, prepared as evaluation does, or noise when there are none. */
import type { Preprocessing } from "../augmentation/preprocessing.ts";
import { evaluationTransform } from "../augmentation/preprocessing.ts";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { readPlanar } from "../augmentation/rgb-image.ts";
import { workerPool } from "../data/loading/loader-pool.ts";
import { createLoader } from "../data/loading/loader.ts";
import { createPlan } from "../data/loading/epoch-plan.ts";
import type { Dataset } from "../data/dataset.ts";
import { takeSubset } from "../data/subset.ts";
import { workersFor } from "../data/loading/workers.ts";
import { DataError } from "../errors.ts";
import { createRandom } from "../random.ts";

/** n images, planar bytes [n, 3, H, W]. */
export interface Sample {
  readonly pixels: Uint8Array;
  /** Class indices; -1 where there is none. */
  readonly labels: Int32Array;
  readonly size: readonly [height: number, width: number];
  /** Where the images are from; undefined for noise. */
  readonly dataset: Dataset | undefined;
  /** Number of each image in the dataset: images that cannot be read are left out. */
  readonly indices: Uint32Array;
}

export interface SampleOptions {
  /** How images are prepared; its input size is that of noise, too. */
  readonly preprocessing: Preprocessing;
  /** At most so many, every class in its proportion. */
  readonly count: number;
}

/** Noise has few surprises for a model, but shows that two files compute the same. */
const NOISE = 8;
/** The rule of augmentation/transform.ts. */
const SMALL = 32;
const LOOKED_AT = 16;
const BATCH = 16;

export async function takeSample(
  dataset: Dataset | undefined,
  { preprocessing, count }: SampleOptions,
): Promise<Sample> {
  const { inputSize: size } = preprocessing;
  const imageLength = 3 * size[0] * size[1];
  if (dataset === undefined) {
    const random = createRandom(0, "noise");
    const pixels = Uint8Array.from({ length: NOISE * imageLength }, () => Math.floor(random.uniform(0, 256)));
    const labels = new Int32Array(NOISE).fill(-1);
    return { pixels, labels, size, dataset, indices: Uint32Array.from(labels.keys()) };
  }
  const some = dataset.length > count ? takeSubset(dataset, { rule: "sample", count, seed: 0 }) : dataset;
  const loader = createLoader({
    dataset: some,
    transform: evaluationTransform(preprocessing),
    plan: createPlan({ mode: "evaluation", length: some.length, batchSize: BATCH }),
    pool: workerPool(workersFor(some, null)),
  });
  const pixels = new Uint8Array(some.length * imageLength);
  const labels: number[] = [];
  const indices: number[] = [];
  try {
    for await (const batch of loader.epoch(0)) {
      for (let row = 0; row < batch.size; row++) {
        const index = batch.samples[row] ?? 0;
        if (loader.broken.has(index)) continue;
        const image = batch.images.subarray(row * imageLength, (row + 1) * imageLength);
        pixels.set(image, indices.length * imageLength);
        indices.push(index);
        labels.push(batch.labels[row] ?? -1);
      }
    }
  } finally {
    await loader.close();
  }
  if (indices.length === 0)
    throw new DataError(some.name, `no image of ${some.name} can be read`, { code: "data/no-images" });
  return {
    pixels: pixels.subarray(0, indices.length * imageLength),
    labels: Int32Array.from(labels),
    size,
    dataset: some,
    indices: Uint32Array.from(indices),
  };
}

/** Image i as its file has it; of noise, the pixels themselves. */
export async function imageOf(
  { dataset, indices, pixels, size: [height, width] }: Sample,
  i: number,
): Promise<RgbImage> {
  return dataset === undefined
    ? readPlanar(pixels, { width, height, offset: i * 3 * width * height })
    : dataset.read(indices[i] ?? i);
}

/** Whether most images have the model's own few pixels already, and evaluation takes them whole; undefined for noise. */
export async function areWhole(sample: Sample): Promise<boolean | undefined> {
  const [height, width] = sample.size;
  if (sample.dataset === undefined) return undefined;
  if (Math.max(height, width) > SMALL) return false;
  const some = Math.min(LOOKED_AT, sample.indices.length);
  const images = await Promise.all(Array.from({ length: some }, async (_, i) => imageOf(sample, i)));
  const own = images.filter((image) => image.height === height && image.width === width);
  return own.length > some / 2;
}

/** Batches of a sample, the last one padded with zeros. */
export function* batchesOf({ pixels, size }: Sample, batchSize: number): Generator<Uint8Array> {
  const length = batchSize * 3 * size[0] * size[1];
  for (let from = 0; from < pixels.length; from += length) {
    const batch = new Uint8Array(length);
    batch.set(pixels.subarray(from, from + length));
    yield batch;
  }
}
