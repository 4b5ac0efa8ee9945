/**
 * Distillation (§4, Eq. 2 and 3): losses that teach one of a student's heads with a teacher's logits, beside the true
 * labels. Every kind is α · distillation + (1 − α) · classification.
 */
import type { Value } from "../graph/graph.ts";
import { add, argmax, exp, logSoftmax, mul, oneHot, softmax, sub, sum } from "../graph/ops.ts";
import { at } from "../graph/graph.ts";
import type { Heads } from "../models/heads.ts";
import type { Criterion, Losses } from "../nn/losses.ts";
import { cosineDistance, softTargetCrossEntropy } from "../nn/losses.ts";

/**
 * What the student's head learns from the teacher's logits Z_t.
 * - soft: KL(teacher ‖ student) of the softmaxes at temperature τ, times τ² (Eq. 2)
 * - hard: cross-entropy with the teacher's decision argmax Z_t, never smoothed (Eq. 3)
 * - soft-labels: cross-entropy with softmax(Z_t / τ), the teacher's answer as a soft label
 * - feature: 1 − cosine of the teacher's embedding and a linear projection of the student's token (heads.embedding)
 * - labels: no teacher; the true labels again (the paper's control with two class tokens)
 */
export type DistillationType = "soft" | "hard" | "soft-labels" | "feature" | "labels";

export interface DistillationOptions {
  readonly type: DistillationType;
  /** Weight of the distillation loss; the class head's has 1 − α. DeiT: 0.5 (hard), the paper's soft λ: 0.1. */
  readonly alpha: number;
  /** Temperature τ. */
  readonly tau: number;
  /**
   * What the soft loss is divided by: `mean` by B · K, as the reference (K times smaller than Eq. 2), `batchmean` by B.
   */
  readonly reduction: "mean" | "batchmean";
  /** The head that learns from the teacher: the distillation token's, or the class head itself (Table 3 without a token). */
  readonly head: "token" | "class";
  /** Part of the true labels in the distillation token's loss, in place of the teacher. The paper: 0. */
  readonly trueLabels: number;
}

/** What a distilled step sees: heads, true labels [B, K] and, but for `labels`, the teacher's logits [B, K] or embedding [B, D]. */
interface DistillationInputs {
  readonly heads: Heads;
  readonly targets: Value;
  readonly teacher?: Value | undefined;
}

/** Losses `loss`, `class_loss` and `distillation_loss`. `criterion` is the one for true labels. */
export function distillation(
  options: DistillationOptions,
  criterion: Criterion,
): (inputs: DistillationInputs) => Losses {
  const { alpha, head, trueLabels } = options;
  return ({ heads, targets, teacher }) => {
    const student = head === "token" ? heads.distillation : heads.class;
    if (student === undefined) throw new TypeError("this student has no distillation token");
    // No logit learns from an embedding: both heads learn the true labels, as both answer.
    const byLabels = options.type === "feature" && head === "token" ? [heads.class, student] : [heads.class];
    const labelLosses = byLabels.map((logits) => criterion(logits, targets));
    const classLoss = mul(labelLosses.reduce(add), 1 / labelLosses.length);
    const taught = teacherLoss({ student, embedding: heads.embedding, teacher, targets, criterion, options });
    const distilled =
      trueLabels === 0
        ? taught
        : add(mul(taught, 1 - trueLabels), mul(criterion(student, targets), trueLabels));
    return {
      loss: add(mul(classLoss, 1 - alpha), mul(distilled, alpha)),
      class_loss: classLoss,
      distillation_loss: distilled,
    };
  };
}

function teacherLoss({
  student,
  embedding,
  teacher,
  targets,
  criterion,
  options: { type, tau, reduction },
}: {
  student: Value;
  embedding: Value | undefined;
  teacher: Value | undefined;
  targets: Value;
  criterion: Criterion;
  options: DistillationOptions;
}): Value {
  if (type === "labels") return criterion(student, targets);
  if (teacher === undefined) throw new TypeError(`${type} distillation without a teacher`);
  if (type === "feature") {
    if (embedding === undefined) throw new TypeError("this student has no projection to the embedding");
    return cosineDistance(embedding, teacher);
  }
  if (type === "hard") return hardLabelLoss(student, teacher);
  if (type === "soft") return softLoss(student, teacher, { tau, reduction });
  return softTargetCrossEntropy(student, softmax(mul(teacher, 1 / tau)));
}

/** Cross-entropy with the teacher's decision, mean over the batch. student, teacher: [B, K]. */
function hardLabelLoss(student: Value, teacher: Value): Value {
  return softTargetCrossEntropy(student, oneHot(argmax(teacher, -1), at(teacher.shape, 1)));
}

/** τ² · Σ p_t (log p_t − log p_s), divided by B · K (`mean`) or B (`batchmean`). student, teacher: [B, K]. */
function softLoss(
  student: Value,
  teacher: Value,
  { tau, reduction }: Pick<DistillationOptions, "tau" | "reduction">,
): Value {
  const [batch = 1, classes = 1] = teacher.shape;
  const logTeacher = logSoftmax(mul(teacher, 1 / tau));
  const logStudent = logSoftmax(mul(student, 1 / tau));
  const divergence = sum(mul(exp(logTeacher), sub(logTeacher, logStudent)));
  return mul(divergence, (tau * tau) / (reduction === "mean" ? batch * classes : batch));
}
