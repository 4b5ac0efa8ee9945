/**
 * What the learning rate of flowers-finetune is chosen among, at the smallest size, on images held out from the training ones.
 *
 *   deit analyze ablation --table flowers-tuning --finetune model.safetensors --data-path FLOWERS --seeds 100
 *
 * Found: results/flowers-tuning.csv.
 */
import type { TrainInput } from "deit-ts";
import type { AblationRow, TableRecipe } from "../ablation/table.ts";
import { describeChange } from "../ablation/table.ts";

export const recipe: TableRecipe = {
  extends: "flowers-finetune",
  inputSize: 160,
  valSplit: 0.2,
  holdOut: true,
};

const TRIED: readonly TrainInput[] = [
  { lr: 5e-4 },
  { lr: 1e-3 },
  { lr: 2e-4, layerDecay: 1 },
  { lr: 5e-5, layerDecay: 1 },
];

export const rows: readonly AblationRow[] = TRIED.map((change) => ({ name: describeChange(change), change }));
