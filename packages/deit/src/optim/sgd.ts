/** Stochastic gradient descent with momentum and coupled weight decay, as torch.optim.SGD. */
import { at } from "../graph/graph.ts";
import { add, mul, sub } from "../graph/ops.ts";
import type { Optimizer } from "./optimizer.ts";

export interface SgdOptions {
  readonly weightDecay?: number;
  readonly momentum?: number;
  /** timm's `sgd` has it, its `momentum` has not. */
  readonly nesterov?: boolean;
}

/** g ← g + wd·p; b ← μ·b + g; p ← p − lr·(g + μ·b with Nesterov, else b). */
export function sgd({ weightDecay = 0.05, momentum = 0.9, nesterov = true }: SgdOptions = {}): Optimizer {
  return {
    name: nesterov ? "sgd" : "momentum",
    slots: ["momentum"],
    hyper: (_, lr, { decay, lrScale }) => [lr * lrScale, decay ? weightDecay : 0],
    update: ({ weight, grad, slots, hyper }) => {
      const decayed = add(grad, mul(weight, at(hyper, 1)));
      const buffer = add(mul(at(slots, 0), momentum), decayed);
      const direction = nesterov ? add(decayed, mul(buffer, momentum)) : buffer;
      return { weight: sub(weight, mul(direction, at(hyper, 0))), slots: [buffer] };
    },
  };
}
