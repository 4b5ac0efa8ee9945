/**
 * What `deit train ./photos` does when nothing else is said: a small model, a fitting image size and a run
 * of minutes, chosen from the images alone. DeiT's own defaults (two days on eight GPUs) hold as soon as a
 * model or a recipe is named. Pure: the same images and speed give the same choice.
 */
import type { TrainInput } from "./schema.ts";

export interface FirstRunFacts {
  /** Training images. */
  readonly images: number;
  /** Median of the shorter sides, in pixels. */
  readonly medianSize: number;
  /** Training rate of the smallest model at 32 pixels on this machine, or a guess (see guessRate). */
  readonly imagesPerSecondEstimate: number;
}

export type FirstRunDefaults = TrainInput & {
  readonly model: string;
  readonly inputSize: number;
  readonly batchSize: number;
  readonly epochs: number;
};

const BUDGET_SECONDS = 300;
const MAX_EPOCHS = 100;
/** Below this number of passes a wider model learns less than a narrower one does in the same time. */
const GOOD_EPOCHS = 30;

/** Widest first. `cost` is the time of an image relative to width 64, 4 blocks, at 32 pixels (measured). */
const MODELS = [
  { model: "deit_w128d6_patch4_32", cost: 4.2 },
  { model: "deit_w96d6_patch4_32", cost: 2.8 },
  { model: "deit_w64d4_patch4_32", cost: 1 },
] as const;
const LARGE = { size: 64, cost: 4.8 }; // four times the tokens, and attention grows with their square
const SMALL = { size: 32, cost: 1 };

/** Options for a first run of about five minutes on these images. */
export function firstRunDefaults({
  images,
  medianSize,
  imagesPerSecondEstimate,
}: FirstRunFacts): FirstRunDefaults {
  const affordable = BUDGET_SECONDS * imagesPerSecondEstimate;
  const epochsAt = (cost: number): number => Math.floor(affordable / (Math.max(1, images) * cost));
  const smallest = MODELS[MODELS.length - 1] ?? MODELS[0];
  const size = medianSize >= 48 && epochsAt(LARGE.cost * smallest.cost) >= GOOD_EPOCHS / 2 ? LARGE : SMALL;
  const { model, cost } =
    MODELS.find((candidate) => epochsAt(size.cost * candidate.cost) >= GOOD_EPOCHS) ?? smallest;
  const epochs = Math.min(MAX_EPOCHS, Math.max(1, epochsAt(size.cost * cost)));
  return {
    model,
    inputSize: size.size,
    batchSize: batchSizeFor(images),
    epochs,
    lr: 1e-3,
    unscaleLr: true,
    schedUnit: "step",
    warmupEpochs: Math.min(2, epochs / 10),
    dropPath: 0,
    crop: size === SMALL ? "padded" : "resized",
    scale: [0.35, 1], // DeiT's 0.08 hides the subject too often for so short a run
    // and its augmentation and averaging are for hundreds of epochs
    aa: null,
    colorJitter: 0,
    reprob: 0,
    mixup: 0,
    cutmix: 0,
    repeatedAug: false,
    modelEma: false,
  };
}

/** At least eight steps an epoch, and never more images than there are; 64 where there are enough. */
function batchSizeFor(images: number): number {
  return [64, 32, 16, 8].find((size) => images >= 8 * size) ?? Math.max(1, Math.min(8, images));
}

/** Images/s of the smallest model at 32 pixels, guessed from the number of cores: stable, so that a second start resumes. */
export function guessRate(cores: number): number {
  return 370 * Math.min(8, Math.max(1, cores));
}
