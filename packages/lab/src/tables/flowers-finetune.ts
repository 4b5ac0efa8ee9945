/**
 * DeiT-Ti fine-tuned on 40 kinds of flowers, 20 images each to learn from, at three image sizes: fewer and more patches than the
 * 224 pixels that the weights were trained with.
 *
 *   deit analyze ablation --table flowers-finetune --finetune model.safetensors --data-path FLOWERS
 *   deit analyze probe model.safetensors --data-path FLOWERS --input-size 160      what is cheaper
 *
 * Time: 7, 17 and 22 minutes on 2 cores beside other work, by size. Expected: results/flowers.csv.
 */
import type { AblationRow, TableRecipe } from "../ablation/table.ts";

/** The learning rate is the one that flowers-tuning found. */
export const recipe: TableRecipe = { extends: "flowers-finetune", lr: 1e-3 };

export const rows: readonly AblationRow[] = [160, 224, 288].map((inputSize) => ({
  name: `${inputSize} pixels`,
  change: { inputSize },
}));
