/**
 * A task: what is asked of a model's heads, as named losses. The loop knows no loss; it minimises `loss` and
 * logs them all. Distillation is another task over the same heads.
 */
import type { Value } from "../graph/graph.ts";
import { abs, add, exp, log, logSoftmax, mean, mul, neg, sub, sum } from "../graph/ops.ts";
import type { Heads } from "../models/heads.ts";

/** Scalars by name; `loss` is the one that is minimised. */
export interface Losses {
  readonly loss: Value;
  readonly [name: string]: Value;
}

/** heads and targets of one batch → losses. */
export type Task = (heads: Heads, targets: Value) => Losses;

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

/** Classification by {@link binaryCrossEntropy}; targets are those of {@link binarise}. */
export const binaryClassification: Task = (heads, targets) => ({
  loss: binaryCrossEntropy(heads.class, targets),
});

/** Every class with a part in the (mixed) target at 1, as DeiT III: wants targets without label smoothing. */
export function binarise(targets: Float32Array): Float32Array {
  return targets.map((t) => (t > 0 ? 1 : 0));
}

/**
 * Classification by true labels. A distilled model without a teacher trains its class head alone, as the
 * reference does with `--distillation-type none`.
 */
export const classification: Task = (heads, targets) => ({
  loss: softTargetCrossEntropy(heads.class, targets),
});

/** Label smoothing inside the targets: ε/K everywhere, and 1 − ε + ε/K at the label. → [B, K]; rows of label −1 are 0. */
export function smoothTargets(
  labels: ArrayLike<number>,
  numClasses: number,
  smoothing: number,
): Float32Array {
  const targets = new Float32Array(labels.length * numClasses);
  const off = smoothing / numClasses;
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] ?? -1;
    if (label < 0) continue;
    targets.fill(off, row * numClasses, (row + 1) * numClasses);
    targets[row * numClasses + label] = 1 - smoothing + off;
  }
  return targets;
}
