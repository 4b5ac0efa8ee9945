/**
 * The paper's Table 8 at the size of a CPU: each row changes one thing of the whole recipe (cifar10-deit). `paper` is
 * top-1 of DeiT-B at 224 on ImageNet.
 *
 *   deit analyze ablation --table ablation-cifar10 --epochs 4 --seeds 0,1,2
 *
 * Time: 3 minutes a row for 4 epochs on 2 cores. Expected: with 4 epochs the whole recipe 33.6 to 35.9 % top-1, crop and flip
 * alone 55.6 % (results/ablation-cifar10.csv; docs/log.md says how it was made).
 */
import type { AblationRow, TableRecipe } from "../ablation/table.ts";

/** What all rows share: the average of the weights is a row of its own. */
export const recipe: TableRecipe = {
  extends: "cifar10-deit",
  modelEma: false,
  warmupEpochs: 1,
  evalEvery: 1000,
};

export const rows: readonly AblationRow[] = [
  { name: "whole recipe", change: {}, paper: 81.8 },
  { name: "no Mixup, no CutMix", change: { mixup: 0, cutmix: 0 }, paper: 75.8 },
  { name: "no RandAugment", change: { aa: null, colorJitter: 0 }, paper: 79.6 },
  { name: "no repeated augmentation", change: { repeatedAug: false }, paper: 76.5 },
  { name: "no Mixup", change: { mixup: 0 }, paper: 78.7 },
  { name: "no CutMix", change: { cutmix: 0 }, paper: 80 },
  { name: "no erasing", change: { reprob: 0 }, paper: 4.3 },
  { name: "no stochastic depth", change: { dropPath: 0 }, paper: 3.4 },
  { name: "AutoAugment", change: { aa: "original" }, paper: 81.2 },
  { name: "ThreeAugment", change: { threeAugment: true } },
  { name: "dropout", change: { drop: 0.1 }, paper: 81.3 },
  { name: "EMA", change: { modelEma: true, modelEmaDecay: 0.9998, modelEmaWarmup: true }, paper: 81.9 },
  { name: "SGD", change: { opt: "sgd", lr: 0.05, weightDecay: 1e-4 }, paper: 74.5 },
  // beyond the table: how little of it a short run wants
  {
    name: "crop and flip only",
    change: { aa: null, colorJitter: 0, mixup: 0, cutmix: 0, reprob: 0, repeatedAug: false, dropPath: 0 },
  },
];
