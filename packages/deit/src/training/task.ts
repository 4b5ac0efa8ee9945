/**
 * A task: what is asked of a model's heads, as named losses. The loop knows no loss; it minimises `loss` and
 * logs them all. Distillation (distillation/losses.ts) is another task over the same heads.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import type { Heads } from "../models/heads.ts";
import { jointLogits } from "../models/heads.ts";
import type { Criterion, Losses } from "../nn/losses.ts";

/** What a task sees of one batch. */
export interface TaskInputs {
  readonly heads: Heads;
  /** True labels, smoothed and mixed: [B, K]. */
  readonly targets: Value;
  /** The teacher's answers for the same images, where there is one: logits [B, K], or embeddings [B, D]. */
  readonly teacher?: Value | undefined;
}

export type Task = (inputs: TaskInputs) => Losses;

/**
 * Classification by true labels. A distilled model without a teacher trains its class head alone, as the reference does
 * with `--distillation-type none`; or with `joint`, the mean of its heads, as the reference's evaluation mode does.
 */
export function classification(criterion: Criterion, { joint = false }: { joint?: boolean } = {}): Task {
  return ({ heads, targets }) => ({ loss: criterion(joint ? jointLogits(heads) : heads.class, targets) });
}

/** The options that say what a label becomes. */
export interface TargetFlags {
  readonly smoothing: number;
  readonly bceLoss: boolean;
  readonly classWeights: "none" | "balanced";
}

/** What the true labels of a batch become: targets [B, K]. */
export interface TargetOptions {
  /** Label smoothing ε. */
  readonly smoothing: number;
  /** Every class with a part in the target at 1, as DeiT III. */
  readonly binary: boolean;
  /** Classes weigh so that each counts the same over the training images. */
  readonly balanced: boolean;
}

/** @throws ConfigError for options that exclude each other */
export function targetOptions({ smoothing, bceLoss, classWeights }: TargetFlags): TargetOptions {
  if (bceLoss && classWeights !== "none") {
    throw new ConfigError("classWeights", "--class-weights cannot be combined with --bce-loss", {
      code: "options/conflict",
      hint: "Leave out one of them.",
    });
  }
  if (bceLoss && smoothing > 0) {
    throw new ConfigError(
      "bceLoss",
      "--bce-loss cannot be combined with label smoothing, which gives every class a part",
      {
        code: "options/conflict",
        hint: "Add --smoothing 0.",
      },
    );
  }
  return { smoothing, binary: bceLoss, balanced: classWeights === "balanced" };
}

/** What an image of each class weighs in the loss: [K], 1 on average over the images; undefined when all weigh the same. */
export function classWeightsOf(
  { balanced }: Pick<TargetOptions, "balanced">,
  { labels, classes }: { readonly labels: Int32Array; readonly classes: readonly string[] },
): Float32Array | undefined {
  if (!balanced) return undefined;
  const counts = new Float32Array(classes.length);
  for (const label of labels) if (label >= 0) counts[label] = (counts[label] ?? 0) + 1;
  const present = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count === 0 ? 0 : labels.length / (present * count)));
}
