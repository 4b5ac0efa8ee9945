/**
 * LAMB (You et al. 2019, https://arxiv.org/abs/1904.00962), which DeiT III trains with: AdamW's direction, and each parameter's
 * step as long as a part of the parameter itself. As timm's Lamb and apex's FusedLAMB, with which DeiT III's weights were made.
 */
import type { Value } from "../graph/graph.ts";
import { at } from "../graph/graph.ts";
import {
  add,
  concat,
  div,
  greater,
  minimum,
  mul,
  select,
  split,
  sqrt,
  sub,
  sumOfSquares,
} from "../graph/ops.ts";
import type { AdamWOptions } from "./adamw.ts";
import type { Optimizer } from "./optimizer.ts";

/** Of apex and timm: gradients are scaled down to this global norm before anything else. */
const MAX_NORM = 1;

/**
 * u = m̂ / (√v̂ + ε) + wd·p; p ← p − lr·(‖p‖ / ‖u‖)·u, with norms of each parameter by itself, and 1 for the quotient where one
 * of them is 0. Parameters that are not decayed take AdamW's step.
 */
export function lamb({
  weightDecay = 0.05,
  betas: [beta1, beta2] = [0.9, 0.999],
  epsilon = 1e-8,
}: AdamWOptions = {}): Optimizer {
  return {
    name: "lamb",
    slots: ["m", "v"],
    maxNorm: MAX_NORM,
    hyper: (step, lr, { lrScale }) => [
      lr * lrScale,
      1 / (1 - beta1 ** step), // m → m̂
      1 / Math.sqrt(1 - beta2 ** step), // √v → √v̂
    ],
    update: ({ weight, grad, slots, hyper, vector }) => {
      const m = add(mul(at(slots, 0), beta1), mul(grad, 1 - beta1));
      const v = add(mul(at(slots, 1), beta2), mul(mul(grad, grad), 1 - beta2));
      const direction = div(mul(m, at(hyper, 1)), add(mul(sqrt(v), at(hyper, 2)), epsilon));
      const isAdapted = vector.group.decay && weightDecay > 0;
      const lengths = vector.segments.map(({ length }) => length);
      const step = isAdapted ? adapted(add(direction, mul(weight, weightDecay)), weight, lengths) : direction;
      return { weight: sub(weight, mul(step, at(hyper, 0))), slots: [m, v] };
    },
  };
}

/** Each parameter's part of a step times ‖p‖ / ‖u‖. */
function adapted(step: Value, weight: Value, lengths: readonly number[]): Value {
  const weights = split(weight, lengths, 0);
  const parts = split(step, lengths, 0).map((part, i) => {
    const [own, change] = [sumOfSquares(at(weights, i)), sumOfSquares(part)];
    const ratio = sqrt(div(own, select(greater(change, 0), change, 1)));
    return mul(part, select(greater(minimum(own, change), 0), ratio, 1));
  });
  return concat(parts, 0);
}
