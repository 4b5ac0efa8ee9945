/**
 * The first run on CIFAR-10: a part of the pictures, a few epochs, enough to see it learn.
 *
 *   deit data pull cifar10 && deit train quickstart
 *
 * Time: one to four minutes on 2 cores. Expected: about 53 % top-1; guessing gives 10 %.
 */
import type { TrainInput } from "../src/config/schema.ts";

export const recipe = {
  dataSet: "cifar10",
  model: "deit_w64d4_patch4_32",
  numTrain: 25_000,
  batchSize: 64,
  epochs: 6,
  lr: 1e-3,
  unscaleLr: true,
  schedUnit: "step",
  warmupEpochs: 0.5,
  crop: "padded",
  dropPath: 0,
  // DeiT's augmentation and averaging are for hundreds of epochs
  aa: null,
  colorJitter: 0,
  reprob: 0,
  mixup: 0,
  cutmix: 0,
  repeatedAug: false,
  modelEma: false,
  outputDir: "runs/quickstart",
} satisfies TrainInput;
