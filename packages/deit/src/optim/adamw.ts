/** AdamW (Loshchilov and Hutter 2019), decoupled weight decay, as torch.optim.AdamW. */
import { at } from "../graph/graph.ts";
import { add, div, mul, sqrt, sub } from "../graph/ops.ts";
import type { Optimizer } from "./optimizer.ts";

export interface AdamWOptions {
  readonly weightDecay?: number;
  readonly betas?: readonly [number, number];
  readonly epsilon?: number;
}

/**
 * p ← p·(1 − lr·wd) − lr·m̂ / (√v̂ + ε). The moments are kept divided by 1 − β, M = m/(1 − β₁) and V = v/(1 − β₂),
 * which saves two passes over each; all constant factors meet in two numbers a step.
 */
export function adamW({
  weightDecay = 0.05,
  betas: [beta1, beta2] = [0.9, 0.999],
  epsilon = 1e-8,
}: AdamWOptions = {}): Optimizer {
  return {
    name: "adamw",
    slots: ["m", "v"],
    hyper: (step, lr, { decay, lrScale }) => {
      const rate = lr * lrScale;
      const scaleM = (1 - beta1) / (1 - beta1 ** step); // M → m̂
      const scaleV = Math.sqrt((1 - beta2) / (1 - beta2 ** step)); // √V → √v̂
      return [decay ? 1 - rate * weightDecay : 1, (rate * scaleM) / scaleV, epsilon / scaleV];
    },
    update: ({ weight, grad, slots, hyper }) => {
      const m = add(mul(at(slots, 0), beta1), grad);
      const v = add(mul(at(slots, 1), beta2), mul(grad, grad));
      const change = div(mul(m, at(hyper, 1)), add(sqrt(v), at(hyper, 2)));
      return { weight: sub(mul(weight, at(hyper, 0)), change), slots: [m, v] };
    },
  };
}
