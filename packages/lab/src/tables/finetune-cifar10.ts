/**
 * The distilled students of table3-cifar10 fine-tuned at 48 pixels (§4), with true labels alone and with the teacher, too, at a
 * constant rate, as in the paper.
 *
 *   deit analyze ablation --table finetune-cifar10 --finetune "RUNS/token-40-epochs-seed-{seed}" --teacher-path TEACHER --seeds 3,4,5
 *   deit analyze ablation --table finetune-cifar10 --finetune STUDENT --teacher-path TEACHER --seeds 100 --budget 0.5 --hold-out
 *
 * RUNS is the folder runs of that study; every seed goes on from its own student. The second form tries both rates on held-out
 * images. Expected: results/finetune-cifar10.csv.
 */
import type { TrainInput } from "deit-ts";
import type { AblationRow } from "../ablation/table.ts";
import { recipe as student } from "./table3-cifar10.ts";

export const recipe = {
  ...student,
  model: "deit_w64d4_distilled_patch4_32",
  inputSize: 48,
  epochs: 4,
  sched: "constant",
  warmupEpochs: 0,
} satisfies TrainInput;

/** The rates that were tried: results/finetune-cifar10-tuning.csv. */
export const rows: readonly AblationRow[] = [1e-4, 3e-4].flatMap((lr): AblationRow[] => [
  { name: `labels alone, lr ${lr}`, change: { distillationType: "labels", lr } },
  { name: `labels and teacher, lr ${lr}`, change: { distillationType: "hard", lr }, paper: 84.5 },
]);
