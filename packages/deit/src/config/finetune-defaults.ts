/**
 * What `deit finetune --data-path ./photos` does when nothing else is said: pretrained weights, a fitting image size and a
 * run of minutes. Recipes and flags win over all of it. Pure: the same images and weights give the same choice.
 */
import type { TrainInput } from "./schema.ts";

export interface FinetuneFacts {
  /** Training images. */
  readonly images: number;
  /** Median of the shorter sides, in pixels. */
  readonly medianSize: number;
  /** Images of the largest class for one of the smallest. */
  readonly imbalance: number;
  /** The checkpoint's model. */
  readonly model: string;
  /** [height, width] that it is to see. */
  readonly inputSize: readonly [number, number];
  readonly distilled: boolean;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Side of the input by that of the resized image, where the checkpoint or its model says one. */
  readonly cropRatio?: number | undefined;
  /** Multiply-accumulates of its forward pass at that size. */
  readonly macs: number;
  readonly cores: number;
  /** How long the run may take, by a rough guess of this machine's speed. Default 10. */
  readonly minutes?: number | undefined;
}

/** What a fine-tuning takes unless it is given another time. */
export const USUAL_MINUTES = 10;
const MAX_EPOCHS = 20;
const MIN_EPOCHS = 3;
/** Multiply-accumulates a second and core in training, of a DeiT-Ti at 224 (about 7 images; three forward passes). */
const RATE = 7 * 1.26e9;
/** With fewer images than this a larger part of them is held out to measure with. */
const FEW = 400;
/** Classes are weighed when the largest has this many times the images of the smallest. */
const UNBALANCED = 2;

/** What does not depend on images and checkpoint. */
const ALWAYS = {
  lr: 5e-4,
  unscaleLr: true,
  // early layers know images already: block by block they learn less
  layerDecay: 0.7,
  schedUnit: "step",
  warmupEpochs: 1,
  warmupLr: 0,
  minLr: 0,
  dropPath: 0,
  clipGrad: 1,
  crop: "resized",
  scale: [0.35, 1],
  aa: null,
  colorJitter: 0.2,
  reprob: 0,
  mixup: 0,
  cutmix: 0,
  repeatedAug: false,
  modelEma: false,
} as const satisfies TrainInput;

/** As the help shows them: with words for what is chosen by images and checkpoint. */
export const FINETUNE_DEFAULTS_SHOWN = {
  ...ALWAYS,
  finetune: "the authors' DeiT-Ti",
  model: "the checkpoint's",
  inputSize: "the checkpoint's; half of it for small images",
  batchSize: "32; less for few images",
  epochs: `${MIN_EPOCHS} to ${MAX_EPOCHS}, by images and cores`,
  mean: "the checkpoint's",
  std: "the checkpoint's",
  evalCropRatio: "the checkpoint's, else 0.875; 1 for small images",
  classWeights: "balanced where the largest class has twice the images of the smallest",
  valSplit: `0.1; 0.2 of fewer than ${FEW} images`,
  distillationType: "none; labels for a distilled model",
} as const;

export function finetuneDefaults(facts: FinetuneFacts): TrainInput {
  const { images, model, inputSize, distilled, macs, cores, imbalance } = facts;
  const { minutes = USUAL_MINUTES } = facts;
  const affordable = Math.floor((60 * minutes * trainingRate(macs, cores)) / Math.max(1, images));
  return {
    model,
    inputSize: [...inputSize],
    batchSize: [32, 16, 8].find((size) => images >= 8 * size) ?? Math.max(1, Math.min(8, images)),
    epochs: Math.min(MAX_EPOCHS, Math.max(MIN_EPOCHS, affordable)),
    ...ALWAYS,
    scale: [...ALWAYS.scale],
    mean: [...facts.mean],
    std: [...facts.std],
    ...(facts.cropRatio !== undefined && { evalCropRatio: facts.cropRatio }),
    // images smaller than what the model sees have no margin to cut off
    ...(facts.medianSize < Math.max(...inputSize) && { evalCropRatio: 1 }),
    classWeights: imbalance >= UNBALANCED ? "balanced" : "none",
    // a tenth of few images is too few to tell good from better
    ...(images < FEW && { valSplit: 0.2 }),
    // both heads learn the true labels: the joint classifier is what is shipped
    ...(distilled && { distillationType: "labels" as const }),
  };
}

/** Images a second, guessed, of a model of so many multiply-accumulates: stable, so that a second start resumes. */
export function trainingRate(macs: number, cores: number): number {
  return (RATE / macs) * Math.min(8, Math.max(1, cores));
}

/** The checkpoint's own size; half of it for images that have no more detail than that. `medianSize`: of their shorter sides. */
export function fittingSize(
  own: readonly [number, number],
  { medianSize, patchSize }: { medianSize: number; patchSize: number },
): readonly [number, number] {
  if (medianSize > Math.max(...own) / 2) return own;
  const half = (side: number): number => Math.max(1, Math.round(side / 2 / patchSize)) * patchSize;
  return [half(own[0]), half(own[1])];
}
