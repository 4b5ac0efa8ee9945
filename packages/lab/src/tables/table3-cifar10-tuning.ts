/**
 * How the settings of table3-cifar10 were chosen: as many tries for each of its rows, measured on 5,000 images held out from the
 * 50,000 of training. The test images are not looked at; no other run has this seed.
 *
 *   deit analyze ablation --table table3-cifar10-tuning --teacher-path TEACHER --seeds 100 --jobs 2
 *
 * Found: results/table3-cifar10-tuning.csv.
 */
import type { TrainInput } from "deit-ts";
import type { AblationRow } from "../ablation/table.ts";
import { describeChange } from "../ablation/table.ts";
import { recipe as final, rows as finalRows } from "./table3-cifar10.ts";

export const recipe = { ...final, epochs: 5, holdOut: true } satisfies TrainInput;

const ALPHAS: readonly TrainInput[] = [{ distillationAlpha: 0.5 }, { distillationAlpha: 0.8 }];
/** Two values of one setting of the row's own, each with two learning rates. */
const TRIED: Readonly<Record<string, readonly TrainInput[]>> = {
  none: [{ smoothing: 0.1 }, { smoothing: 0 }],
  soft: [{ distillationAlpha: 0.1 }, { distillationAlpha: 0.5 }],
};

export const rows: readonly AblationRow[] = finalRows.flatMap(({ name, change }) =>
  (TRIED[name] ?? ALPHAS).flatMap((own) =>
    [1e-3, 2e-3].map((lr): AblationRow => ({
      name: `${name}: ${describeChange({ ...own, lr })}`,
      change: { ...change, ...own, lr },
    })),
  ),
);
