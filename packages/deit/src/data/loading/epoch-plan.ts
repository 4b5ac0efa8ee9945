/**
 * Which images make up which step: a pure function of (seed, epoch, step), so that loader, preview, resume and a
 * teacher's cache all see the same. Repeated augmentation (DeiT §5.2 and its RASampler): each image of the
 * epoch's order comes `repeats` times in a row, differently transformed, and the epoch ends after as many samples
 * as there are images, so that it sees one in `repeats` of them. The samples of an update are dealt to its M batches like
 * cards, each batch taking every M-th, as RASampler deals them to M processes: so it makes no difference whether one process
 * accumulates them or many share them, and the copies of an image meet in one update. Where the reference rounds an epoch
 * down to a multiple of 256 samples (none at all below 256 images), here it has all whole updates.
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
  /** Which of how many processes this one is. Every process has the same plan, and steps of its own in it. */
  readonly process?: ProcessShare;
}

/** One of several processes that share the batches. */
export interface ProcessShare {
  readonly rank: number;
  readonly size: number;
}

/** What the options of a run say of its batches. */
export interface BatchSettings {
  readonly batchSize: number;
  /** Batches whose gradients make one update, those of all processes together. */
  readonly accumulationSteps: number;
  readonly process?: ProcessShare | undefined;
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
  /** Whether the batch of a step is this process's: of an update, or of an evaluation, every W-th from its rank on. */
  isOwn(step: number): boolean;
  /** The samples of one step, `batchSize` of them but for evaluation's last. */
  at(epoch: number, step: number): readonly PlannedSample[];
}

/** The training steps of a run on so many images. @throws ConfigError when one update takes more images than there are */
export function planBatches({ process, ...settings }: BatchSettings, length: number): Plan {
  const { batchSize, accumulationSteps } = settings;
  const needed = batchSize * accumulationSteps;
  if (needed <= length)
    return createPlan({ mode: "train", length, ...settings, ...(process && { process }) });
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
  const training = mode === "train";
  if (training && batchSize > length)
    throw new DataError("", `a batch of ${batchSize} is larger than the dataset of ${length} images`, {
      code: "data/too-few-images",
      hint: `Use a batch size of ${evenBelow(length)} or less.`,
    });
  const ofUpdate = training ? accumulationSteps : 1;
  const updates = Math.floor(length / (batchSize * accumulationSteps));
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
    uniqueImages: training ? Math.ceil((steps * batchSize) / repeats) : length,
    isOwn: (step) => (training ? step % ofUpdate : step) % size === rank,
    at(epoch, step) {
      if (!(step >= 0 && step < steps)) throw new RangeError(`step ${step} of ${steps}`);
      if (!training) {
        const first = step * batchSize;
        const count = Math.min(batchSize, length - first);
        return Array.from({ length: count }, (_, i) => ({ index: first + i, copy: 0 }));
      }
      const order = orderAt(epoch);
      const [update, dealt] = [Math.floor(step / ofUpdate), step % ofUpdate];
      return Array.from({ length: batchSize }, (_, i) => {
        const position = (update * batchSize + i) * ofUpdate + dealt;
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
