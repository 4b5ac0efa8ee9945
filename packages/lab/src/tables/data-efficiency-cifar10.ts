/**
 * The paper's thesis at the size of a CPU: accuracy against the amount of training data, for the recipe of the original
 * vision transformer (Table 9), DeiT's, DeiT's with a convnet teacher through the distillation token, and a convnet.
 *
 *   deit analyze ablation --table data-efficiency-cifar10 --teacher-path RESNET56 --seeds 0,1,2 --out runs/data-efficiency
 *
 * Every training sees 400,000 images (6,240 steps of 64), whatever the number of different ones. Time: about 4.4 hours of one
 * core a seed, half of that on two, in trainings of at most 35 minutes; --estimate tells. Expected: with seed 0 ViT's recipe 49.7,
 * 56.5 and 57.5 % on 2,500, 10,000 and 50,000 images, DeiT's 41 to 42, distilled 49 to 50, ResNet-20 69.9, 81.5 and 85.2
 * (results/data-efficiency-cifar10.csv; docs/log.md says why).
 */
import type { TrainInput } from "deit-ts";
import type { AblationRow } from "../ablation/table.ts";

/** What all rows share. Learning rates are those of the other studies of this size: the papers' are for batches of 1,024 and 4,096. */
export const recipe = {
  dataSet: "cifar10",
  model: "deit_w64d4_patch4_32",
  batchSize: 64,
  lr: 1e-3,
  unscaleLr: true,
  schedUnit: "step",
  modelEma: false,
  evalEvery: 1000,
} satisfies TrainInput;

export const axis = "different training images";

/** 5, 20 and 100 % of CIFAR-10 with as many steps each; the warm-up is a twentieth. */
const AMOUNTS = [
  { numTrain: 2_500, epochs: 160, warmupEpochs: 8 },
  { numTrain: 10_000, epochs: 40, warmupEpochs: 2 },
  { numTrain: 50_000, epochs: 8, warmupEpochs: 0.4 },
] as const;

const CROP_AND_FLIP = {
  aa: null,
  colorJitter: 0,
  reprob: 0,
  mixup: 0,
  cutmix: 0,
  repeatedAug: false,
  dropPath: 0,
  smoothing: 0,
} satisfies TrainInput;

/** Table 9, the left column. Its dropout, decay and clipping in place of augmentation. */
const VIT = { ...CROP_AND_FLIP, drop: 0.1, weightDecay: 0.3, clipGrad: 1 } satisfies TrainInput;

const DISTILLED = {
  model: "deit_w64d4_distilled_patch4_32",
  distillationType: "hard",
} satisfies TrainInput;

const CONVNET = {
  ...CROP_AND_FLIP,
  model: "resnet20_cifar",
  opt: "sgd",
  lr: 0.05,
  weightDecay: 5e-4,
} satisfies TrainInput;

const SERIES: readonly (readonly [series: string, change: TrainInput])[] = [
  ["ViT's recipe", VIT],
  ["DeiT's recipe", {}],
  ["DeiT distilled", DISTILLED],
  ["ResNet-20", CONVNET],
];

/** Each is compared with the original recipe on as many images. */
export const rows: readonly AblationRow[] = SERIES.flatMap(([series, change]) =>
  AMOUNTS.map((amount): AblationRow => ({
    name: nameOf(series, amount.numTrain),
    change: { ...change, ...amount },
    against: nameOf("ViT's recipe", amount.numTrain),
    series,
    x: amount.numTrain,
  })),
);

function nameOf(series: string, images: number): string {
  return `${series}, ${images.toLocaleString("en-US")} images`;
}
