/**
 * Which images make up which step: a pure function of (seed, epoch, step), so that loader, preview, resume and a
 * teacher's cache all see the same. Repeated augmentation (DeiT §5.2 and its RASampler): each image of the
 * epoch's order comes `repeats` times in a row, differently transformed, and the epoch ends after as many samples
 * as there are images, so that it sees one in `repeats` of them. Of several processes each takes every W-th
 * sample, so the copies of an image meet in one step whether one process takes it or many. Where the reference
 * rounds an epoch down to a multiple of 256 samples (none at all below 256 images), here it has all whole steps.
 */
import { ConfigError, DataError } from "../../errors.ts";
import { createRandom, type Random } from "../../random.ts";

export interface PlanOptions {
  /** Images in the dataset. */
  readonly length: number;
  readonly batchSize: number;
  /** Training shuffles and drops the last short batch; evaluation keeps the order, and its last batch may be short. */
  readonly mode: "train" | "evaluation";
  readonly seed?: number;
  /** Times that an image comes in a row (DeiT: 3). Training only. */
  readonly repeats?: number;
  /** Batches of one update: an epoch has whole updates only. Training only. */
  readonly accumulationSteps?: number;
  /** Which of how many processes this one is. Training only; every process has the same steps. */
  readonly process?: { readonly rank: number; readonly size: number };
}

/** What the options of a run say of its batches. */
export interface BatchSettings {
  readonly batchSize: number;
  /** Batches whose gradients make one update. */
  readonly accumulationSteps: number;
  /** Of everything random. */
  readonly seed: number;
  /** Times that an image comes in an epoch that shows it: repeated augmentation. */
  readonly repeats: number;
}

/** A place in a batch. */
export interface PlannedSample {
  /** Of the dataset. */
  readonly index: number;
  /** Which of the image's repetitions it is: 0…repeats−1. */
  readonly copy: number;
}

export interface Plan extends Required<PlanOptions> {
  /** Steps of an epoch. */
  readonly steps: number;
  /** Different images that an epoch shows, all processes together. */
  readonly uniqueImages: number;
  /** The samples of one step, `batchSize` of them but for evaluation's last. */
  at(epoch: number, step: number): readonly PlannedSample[];
}

/** The training steps of a run on so many images. @throws ConfigError when one update takes more images than there are */
export function planBatches(settings: BatchSettings, length: number): Plan {
  const { batchSize, accumulationSteps } = settings;
  const needed = batchSize * accumulationSteps;
  if (needed <= length) return createPlan({ mode: "train", length, ...settings });
  const product = accumulationSteps > 1 ? ` × ${accumulationSteps} accumulated` : "";
  throw new ConfigError(
    "batchSize",
    `one update takes ${needed} images (batch size ${batchSize}${product}), but there are ${length} to train on`,
    {
      code: "data/too-few-images",
      hint: `Use --batch-size ${Math.max(1, Math.floor(length / accumulationSteps))} or less, or more images.`,
    },
  );
}

/** Throws DataError for a training batch that is larger than the dataset. */
export function createPlan({
  length,
  batchSize,
  mode,
  seed = 0,
  repeats = 1,
  accumulationSteps = 1,
  process = { rank: 0, size: 1 },
}: PlanOptions): Plan {
  if (length === 0) throw new DataError("", "the dataset has no images", { code: "data/no-images" });
  const { rank, size } = process;
  const wholeBatch = batchSize * size; // of all processes
  if (mode === "train" && wholeBatch > length)
    throw new DataError("", `a batch of ${wholeBatch} is larger than the dataset of ${length} images`, {
      code: "data/too-few-images",
      hint: `Use a batch size of ${evenBelow(Math.floor(length / size))} or less.`,
    });
  const training = mode === "train";
  const updates = Math.floor(length / (wholeBatch * accumulationSteps));
  const steps = training ? updates * accumulationSteps : Math.ceil(length / batchSize);
  let orderOf: { epoch: number; order: Uint32Array } | undefined; // the last epoch's: steps come one after another
  const orderAt = (epoch: number): Uint32Array => {
    if (orderOf?.epoch !== epoch)
      orderOf = { epoch, order: createRandom(seed, "shuffle", epoch).permutation(length) };
    return orderOf.order;
  };
  return {
    length,
    batchSize,
    mode,
    seed,
    repeats: training ? repeats : 1,
    accumulationSteps: training ? accumulationSteps : 1,
    process,
    steps,
    uniqueImages: training ? Math.ceil((steps * wholeBatch) / repeats) : length,
    at(epoch, step) {
      if (!(step >= 0 && step < steps)) throw new RangeError(`step ${step} of ${steps}`);
      const first = step * batchSize;
      if (!training) {
        const count = Math.min(batchSize, length - first);
        return Array.from({ length: count }, (_, i) => ({ index: first + i, copy: 0 }));
      }
      const order = orderAt(epoch);
      return Array.from({ length: batchSize }, (_, i) => {
        const position = (first + i) * size + rank;
        return { index: order[Math.floor(position / repeats)] ?? 0, copy: position % repeats };
      });
    },
  };
}

/** The stream that everything random about one sample comes from. */
export function sampleRandom(seed: number, epoch: number, { index, copy }: PlannedSample): Random {
  return createRandom(seed, "sample", epoch, index, copy);
}

/** Mixup needs even batches. */
function evenBelow(length: number): number {
  return length < 2 ? length : length - (length % 2);
}
