/** What is inside a forward pass, for the page that explains it; and DeiT's losses of single logits, by the project's own definitions. */
import {
  constant,
  distillation,
  interpret,
  requireTransformer,
  softTargetCrossEntropy,
  tokenNames,
} from "deit-ts/web";
import type { Readout } from "deit-ts/web";

/** Tokens after the embedding and after each block, `state0` to `stateL`: [N, B, D]. */
export const STATES: Readout = {
  name: "states",
  outputs({ states, model }) {
    requireTransformer(model);
    return Object.fromEntries(states.map((state, layer) => [`state${layer}`, state]));
  },
};

export interface Inside {
  /** Tokens of each layer, [N · D] each; class token first, then the distillation token if there is one. */
  readonly states: readonly Float32Array[];
  /** Tokens before the patches. */
  readonly prefix: number;
  readonly width: number;
}

export interface LossRequest {
  /** Logits [K] of the class head, of the head that the teacher teaches, and of the teacher. */
  readonly student: readonly number[];
  readonly taught: readonly number[];
  readonly teacher: readonly number[];
  /** Index of the true class. */
  readonly label: number;
  readonly tau: number;
  /** Weight of what the teacher says in Eq. 2. */
  readonly lambda: number;
}

export interface LossResult {
  /** Eq. 2 and Eq. 3, each whole and in its two parts. */
  readonly soft: { readonly loss: number; readonly labels: number; readonly teacher: number };
  readonly hard: { readonly loss: number; readonly labels: number; readonly teacher: number };
}

/** Traces the training's own losses and evaluates them. */
export function lossesOf({ student, taught, teacher, label, tau, lambda }: LossRequest): LossResult {
  const shape = [1, student.length];
  const value = (row: readonly number[]): ReturnType<typeof constant> =>
    constant(Float32Array.from(row), shape);
  const targets = value(student.map((_, k) => Number(k === label)));
  const evaluate = (type: "soft" | "hard", alpha: number): LossResult["soft"] => {
    const task = distillation(
      { type, alpha, tau, reduction: "batchmean", head: "token", trueLabels: 0 },
      softTargetCrossEntropy,
    );
    const losses = task({
      heads: { class: value(student), distillation: value(taught) },
      targets,
      teacher: value(teacher),
    });
    const names = ["loss", "class_loss", "distillation_loss"] as const;
    const [loss, labels, ofTeacher] = interpret(names.map((name) => losses[name] ?? losses.loss)).map(
      (data) => Number(data[0]),
    );
    return { loss: loss ?? 0, labels: labels ?? 0, teacher: ofTeacher ?? 0 };
  };
  return { soft: evaluate("soft", lambda), hard: evaluate("hard", 0.5) };
}

/** Number of a model's tokens before its patches. */
export function prefixOf(model: Parameters<typeof requireTransformer>[0]): number {
  const config = requireTransformer(model);
  return tokenNames(config).length + (config.registers ?? 0);
}
