/**
 * CIFAR-10 from scratch with the paper's whole recipe (§6, Table 9: RandAugment, Mixup, CutMix, erasing, stochastic
 * depth, repeated augmentation) on a model small enough for a CPU. Everything that is not said here is DeiT's default.
 *
 *   deit train cifar10-deit --output-dir runs/cifar10-deit
 *
 * Time: about an hour on 2 cores. Expected: not measured at this length. So strong an augmentation pays after hundreds of
 * epochs; for less see cifar10-small, and results/ablation-cifar10.csv.
 */
import type { TrainInput } from "../src/config/schema.ts";

export const recipe = {
  dataSet: "cifar10",
  model: "deit_w64d4_patch4_32",
  batchSize: 64,
  epochs: 100,
  lr: 1e-3,
  unscaleLr: true,
  schedUnit: "step",
  modelEmaDecay: 0.9998,
  modelEmaWarmup: true,
} satisfies TrainInput;
