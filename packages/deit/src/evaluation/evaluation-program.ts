/** The program of evaluation: bytes of images in, logits of every head out, weights read from the state. */
import { CheckpointError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { reshape, slice } from "../graph/ops.ts";
import type { Program } from "../graph/program.ts";
import { dimAt } from "../graph/shape.ts";
import type { Heads } from "../models/heads.ts";
import { TRUNC_NORMAL } from "../nn/linear.ts";
import { cosine } from "../nn/losses.ts";
import type { Scope } from "../nn/parameters.ts";
import type { Readout } from "./intermediates.ts";
import { readoutProgram } from "./intermediates.ts";
import type { HeadLogits } from "./metrics/metrics.ts";
import type { ProgramOptions } from "./program-input.ts";

export { imagesInput, normalise } from "./program-input.ts";
export type { ProgramOptions } from "./program-input.ts";

/** Input of the teacher's answers, where they are not computed in the program: logits [B, K], or an embedding [B, D]. */
export const TEACHER_INPUT = "teacher";

/**
 * Logits [B, K] of each head, by the names `class` and `distillation`, and of a distilled model how alike its two tokens
 * are (§4): `tokenSimilarity` [B] as the heads see them, `parameterSimilarity` [1] as they were learned. The paper: 0.93
 * and 0.06; 0.999 for two class tokens without a teacher. Of a student of embeddings: `teacherSimilarity` [B], the cosine
 * of its projection and the teacher's embedding, the input `teacher` [B, D].
 */
export const EVALUATION: Readout = {
  name: "evaluate",
  outputs({ heads, final, scope }) {
    const { embedding } = heads;
    const outputs = {
      ...headOutputs(heads),
      ...(embedding && {
        teacherSimilarity: cosine(embedding, input(TEACHER_INPUT, "float32", embedding.shape)),
      }),
    };
    if (final === undefined || heads.distillation === undefined) return outputs;
    const parameters = parameterSimilarity(scope, dimAt(final.shape, 2));
    return { ...outputs, tokenSimilarity: tokenSimilarity(final), parameterSimilarity: parameters };
  },
};

/** State: the weights (W, or another slot), read only. */
export function evaluationProgram(options: ProgramOptions, { slot = "W" }: { slot?: string } = {}): Program {
  return readoutProgram(options, EVALUATION, { slot });
}

/** Heads as program outputs. */
export function headOutputs(heads: Heads): Record<string, Value> {
  return { class: heads.class, ...(heads.distillation && { distillation: heads.distillation }) };
}

/** The results of a run of `evaluationProgram`. */
export function headLogits(outputs: Readonly<Record<string, unknown>>): HeadLogits {
  const { class: classLogits, ...others } = outputs;
  if (!(classLogits instanceof Float32Array)) throw new TypeError("a program returned no float32 logits");
  const found = Object.entries(others).filter(([, data]) => data instanceof Float32Array);
  return { class: classLogits, ...Object.fromEntries(found) };
}

/**
 * The same of a model in use: what is not finite is not an answer. A run in training that diverges has rules of its own.
 * @throws CheckpointError for logits that are not finite
 */
export function finiteLogits(outputs: Readonly<Record<string, unknown>>, file: string): HeadLogits {
  const logits = headLogits(outputs);
  for (const head of [logits.class, logits.distillation ?? new Float32Array()]) {
    if (head.every(Number.isFinite)) continue;
    throw new CheckpointError(`${file} returns values that are not finite`, {
      code: "checkpoint/not-finite-answers",
      hint: "Its arithmetic overflows: its training diverged, or its weights were changed. Take an earlier checkpoint.",
    });
  }
  return logits;
}

/** tokens: [2, B, D] → cosine of each image's two tokens, [B]. */
export function tokenSimilarity(tokens: Value): Value {
  const [, batch = 1, width = 1] = tokens.shape;
  const token = (index: number): Value =>
    reshape(slice(tokens, { axis: 0, start: index, end: index + 1 }), [batch, width]);
  return cosine(token(0), token(1));
}

/** Cosine of the two tokens as parameters, [1]. `width` is the model's. */
function parameterSimilarity(scope: Scope, width: number): Value {
  const token = (name: string): Value =>
    reshape(scope.parameter(name, [1, 1, width], TRUNC_NORMAL), [1, width]);
  return cosine(token("cls_token"), token("dist_token"));
}
