/** The optimizer of a run, from the options of the group "Optimizer" and those of the averaged weights. */
import { adamW } from "./adamw.ts";
import { withEma } from "./ema.ts";
import { lamb } from "./lamb.ts";
import type { Optimizer } from "./optimizer.ts";
import { sgd } from "./sgd.ts";

/** The options that this part is made from. */
export interface OptimizerFlags {
  readonly opt: "adamw" | "lamb" | "sgd" | "momentum";
  readonly weightDecay: number;
  readonly optBetas: readonly [number, number];
  readonly optEps: number;
  readonly momentum: number;
  readonly modelEma: boolean;
  readonly modelEmaDecay: number;
  readonly modelEmaWarmup: boolean;
}

/** AdamW, LAMB or SGD, with the average of the weights where it is kept. */
export function createOptimizer(flags: OptimizerFlags): Optimizer {
  const { opt, weightDecay, optBetas, optEps, momentum } = flags;
  const adaptive = { adamw: adamW, lamb };
  const optimizer =
    opt === "adamw" || opt === "lamb"
      ? adaptive[opt]({ weightDecay, betas: optBetas, epsilon: optEps })
      : sgd({ weightDecay, momentum, nesterov: opt === "sgd" });
  if (!flags.modelEma) return optimizer;
  return withEma(optimizer, { decay: flags.modelEmaDecay, warmup: flags.modelEmaWarmup });
}
