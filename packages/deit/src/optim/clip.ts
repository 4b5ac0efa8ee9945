/** Clipping by the global norm, as torch.nn.utils.clip_grad_norm_. */
import type { Value } from "../graph/graph.ts";
import { add, div, minimum, mul, sqrt, sumOfSquares } from "../graph/ops.ts";

/** √Σ g² over all vectors. */
export function globalNorm(grads: readonly Value[]): Value {
  return sqrt(grads.map((grad) => sumOfSquares(grad)).reduce((all, square) => add(all, square)));
}

/** Scales gradients down so that their global norm is at most `maxNorm`. */
export function clipGlobalNorm(grads: readonly Value[], maxNorm: number): { clipped: Value[]; norm: Value } {
  const norm = globalNorm(grads);
  const factor = minimum(div(maxNorm, add(norm, 1e-6)), 1);
  return { clipped: grads.map((grad) => mul(grad, factor)), norm };
}
