/**
 * CIFAR-10 from scratch with a model of 0.2 M parameters (width 64, 4 blocks, patches of 4 pixels).
 *
 *   deit train cifar10-small --output-dir runs/cifar10-small
 *
 * Time: 12 minutes on 2 cores (AMD EPYC with AVX-512). Expected: 76 % top-1 on the 10,000 test images.
 */
import type { TrainInput } from "../src/config/schema.ts";

export const recipe = {
  dataSet: "cifar10",
  model: "deit_w64d4_patch4_32",
  batchSize: 64,
  epochs: 30,
  lr: 1e-3,
  unscaleLr: true,
  schedUnit: "step",
  warmupEpochs: 2,
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
} satisfies TrainInput;
