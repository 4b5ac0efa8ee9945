/** The pictures that an export is checked with: some of a dataset, prepared as evaluation does, or noise when there are none. */
import { createLoader } from "../data/loader.ts";
import { createPlan } from "../data/plan.ts";
import type { Dataset } from "../data/dataset.ts";
import { takeSubset } from "../data/dataset.ts";
import { workersFor } from "../data/workers.ts";
import { createRandom } from "../random.ts";

/** n pictures, planar bytes [n, 3, H, W]. */
export interface Sample {
  readonly pixels: Uint8Array;
  /** Class indices; -1 where there is none. */
  readonly labels: Int32Array;
  readonly size: readonly [height: number, width: number];
  /** Where the pictures are from; undefined for noise. */
  readonly dataset: Dataset | undefined;
}

export interface SampleOptions {
  readonly size: readonly [number, number];
  readonly cropRatio: number;
  /** At most so many, every class in its proportion. */
  readonly count: number;
}

/** Noise has few surprises for a model, but shows that two files compute the same. */
const NOISE = 8;
const BATCH = 16;

export async function takeSample(
  dataset: Dataset | undefined,
  { size, cropRatio, count }: SampleOptions,
): Promise<Sample> {
  const pictureLength = 3 * size[0] * size[1];
  if (dataset === undefined) {
    const random = createRandom(0, "noise");
    const pixels = Uint8Array.from({ length: NOISE * pictureLength }, () =>
      Math.floor(random.uniform(0, 256)),
    );
    return { pixels, labels: new Int32Array(NOISE).fill(-1), size, dataset };
  }
  const some = dataset.length > count ? takeSubset(dataset, { rule: "sample", count, seed: 0 }) : dataset;
  const loader = createLoader({
    dataset: some,
    transform: { mode: "evaluation", size, cropRatio },
    plan: createPlan({ mode: "evaluation", length: some.length, batchSize: BATCH }),
    workers: workersFor(some, null),
  });
  const pixels = new Uint8Array(some.length * pictureLength);
  const labels = new Int32Array(some.length).fill(-1);
  try {
    let done = 0;
    for await (const batch of loader.epoch(0)) {
      const used = Math.min(batch.size, some.length - done);
      pixels.set(batch.images.subarray(0, used * pictureLength), done * pictureLength);
      labels.set(batch.labels.subarray(0, used), done);
      done += used;
    }
  } finally {
    await loader.close();
  }
  return { pixels, labels, size, dataset: some };
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
