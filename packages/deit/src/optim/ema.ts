/**
 * The exponential moving average of the weights (EMA, Table 8), kept by the optimizer's program as one more slot: after
 * each update E ← d·E + (1 − d)·W. It starts as the weights themselves. The reference keeps d constant from the first
 * step on; `warmup` lets it grow, d = min(decay, (1 + t) / (10 + t)) after update t, so that a short run forgets its start
 * (TensorFlow's rule; timm's ModelEmaV3 has another, 1 − (1 + t)^(−2/3)).
 */
import { at } from "../graph/graph.ts";
import { add, mul, sub } from "../graph/ops.ts";
import type { Optimizer } from "./optimizer.ts";

/** The slot that holds the average; others may read it as weights. */
export const EMA_SLOT = "E";

export interface EmaOptions {
  readonly decay: number;
  readonly warmup?: boolean;
}

/** d after update `update` (1, 2, …). */
export function emaDecay(update: number, { decay, warmup = false }: EmaOptions): number {
  return warmup ? Math.min(decay, (1 + update) / (10 + update)) : decay;
}

/** The same optimizer, which also keeps the average. */
export function withEma(optimizer: Optimizer, options: EmaOptions): Optimizer {
  const update: NonNullable<Optimizer["average"]>["update"] = ({ average, next, hyper }) =>
    add(average, mul(sub(next, average), at(hyper, hyper.length - 1)));
  return {
    ...optimizer,
    slots: [...optimizer.slots, EMA_SLOT],
    hyper: (step, lr, group) => [...optimizer.hyper(step, lr, group), 1 - emaDecay(step, options)],
    update: ({ weight, grad, slots, hyper, vector }) => {
      const updated = optimizer.update({
        weight,
        grad,
        slots: slots.slice(0, -1),
        hyper: hyper.slice(0, -1),
        vector,
      });
      const average = update({ average: at(slots, slots.length - 1), next: updated.weight, hyper });
      return { weight: updated.weight, slots: [...updated.slots, average] };
    },
    average: { slot: EMA_SLOT, update },
  };
}
