/**
 * What learning rate and layer decay of cifar10-finetune are chosen among: one epoch of 15,000 images each, measured on 5,000
 * others that training has.
 *
 *   deit analyze ablation --table cifar10-transfer-tuning --finetune model.safetensors --seeds 100
 *   deit finetune cifar10-finetune --finetune model.safetensors --lr 3e-4 --layer-decay 0.85      what was found best
 *
 * Found: results/cifar10-transfer-tuning.csv.
 */
import type { TrainInput } from "deit-ts";
import type { AblationRow, TableRecipe } from "../ablation/table.ts";
import { describeChange } from "../ablation/table.ts";

export const recipe: TableRecipe = {
  extends: "cifar10-finetune",
  epochs: 1,
  warmupEpochs: 0.2,
  numTrain: 15_000,
  valSplit: 0.1,
  holdOut: true,
};

const TRIED: readonly TrainInput[] = [
  { lr: 5e-4 },
  { lr: 1e-3, layerDecay: 0.7 },
  { lr: 3e-4, layerDecay: 0.85 },
];

export const rows: readonly AblationRow[] = TRIED.map((change) => ({ name: describeChange(change), change }));
