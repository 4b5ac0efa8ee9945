/** Losses of logits against targets: what a model is asked, as graph values. */
import type { Value } from "../graph/graph.ts";
import { abs, add, exp, log, logSoftmax, mean, mul, neg, sub, sum } from "../graph/ops.ts";

/** Scalars by name; `loss` is the one that is minimised. */
export interface Losses {
  readonly loss: Value;
  readonly [name: string]: Value;
}

/** A loss of one head's logits against the true labels, both [B, K] → []. */
export type Criterion = (logits: Value, targets: Value) => Value;

/** Cross-entropy with soft targets, mean over the batch: −Σ_k t_k log softmax(z)_k. logits, targets: [B, K]. */
export function softTargetCrossEntropy(logits: Value, targets: Value): Value {
  return neg(mean(sum(mul(targets, logSoftmax(logits)), -1)));
}

/**
 * Binary cross-entropy of each class for itself, mean over batch and classes (DeiT III): logits, targets: [B, K].
 * −t·log σ(z) − (1 − t)·log(1 − σ(z)) = |z|/2 + z·(1/2 − t) + log(1 + e^−|z|), which overflows nowhere and whose slope
 * is σ(z) − t at 0, too.
 */
export function binaryCrossEntropy(logits: Value, targets: Value): Value {
  const size = abs(logits);
  const linear = add(mul(size, 0.5), mul(logits, sub(0.5, targets)));
  return mean(add(linear, log(add(exp(neg(size)), 1))));
}
