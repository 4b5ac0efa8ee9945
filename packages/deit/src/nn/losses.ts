/** Losses of logits against targets: what a model is asked, as graph values. */
import type { Value } from "../graph/graph.ts";
import { abs, add, div, exp, log, logSoftmax, mean, mul, neg, sqrt, sub, sum } from "../graph/ops.ts";

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

/** Keeps the cosine of a row of zeros finite: |a|²·|b|² below this counts as this. */
const SMALLEST_NORM = 1e-12;

/** Cosine of each row: a, b: [B, D] → [B]. */
export function cosine(a: Value, b: Value): Value {
  const dot = (x: Value, y: Value): Value => sum(mul(x, y), -1);
  return div(dot(a, b), sqrt(add(mul(dot(a, a), dot(b, b)), SMALLEST_NORM)));
}

/** 1 − cosine, mean over the batch. a, b: [B, D] → []. */
export function cosineDistance(a: Value, b: Value): Value {
  return sub(1, mean(cosine(a, b)));
}
