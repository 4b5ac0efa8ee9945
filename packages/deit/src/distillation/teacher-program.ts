/** A teacher as the student meets it: traced into the student's program, or run beside it. */
import type { Normalisation } from "../augmentation/normalisation.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import type { Value } from "../graph/graph.ts";
import { constant } from "../graph/graph.ts";
import { gather } from "../graph/ops.ts";
import { featuresOf, forwardWithTokens } from "../models/features.ts";
import { frozenScope } from "../models/deploy.ts";
import { jointLogits } from "../models/heads.ts";
import { evaluationContext } from "../nn/context.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ImageNeeds } from "./bridge.ts";
import { bridge } from "./bridge.ts";

export interface Teacher<Source = TracedTeacher | ForeignTeacher> extends ImageNeeds {
  readonly name: string;
  readonly source: Source;
  /** The teacher's index of each of the student's classes; undefined when the order is the same. */
  readonly order: Int32Array | undefined;
  /** What it answers: logits, or an embedding. */
  readonly answers: "logits" | "embedding";
  /** Numbers of an answer: its classes, or the width of its embedding. */
  readonly width: number;
  /** SHA-256 of the file, weights beside it among its bytes. */
  readonly hash: string;
}

/** A model of this library: traced with its weights as constants, it can be part of the student's program. */
export type TracedTeacher = Pick<LoadedModel, "model" | "tensors">;

/** A model of another maker, which runs beside the student's program. */
export interface ForeignTeacher {
  /** Loads it on a device, for batches of B images. */
  load(runtime: Runtime, options: { batchSize: number }): Promise<ForeignAnswer>;
}

/** Normalised images [B, 3, H, W] of the teacher's size → logits [B, K], in the teacher's order, or embeddings [B, D]. */
export type ForeignAnswer = (pixels: Float32Array) => Promise<Float32Array>;

/** Whether a teacher can be part of the student's program. */
export function isTraced(teacher: Teacher): teacher is Teacher<TracedTeacher> {
  return "model" in teacher.source;
}

/** A traced teacher inside a program: the student's pixels [B, 3, H, W] → logits [B, K] in the student's order, or embeddings [B, D]. */
export function tracedAnswers(
  { source, order, answers, ...needs }: Teacher<TracedTeacher>,
  pixels: Value,
  from: Normalisation,
): Value {
  const { model, tensors } = source;
  const images = bridge(pixels, from, needs);
  const { heads, tokens: seen } = forwardWithTokens(model, images, frozenScope(tensors), evaluationContext());
  if (answers === "embedding") return featuresOf(seen);
  const logits = jointLogits(heads);
  return order === undefined ? logits : gather(logits, constant(order, [order.length], "int32"), 1);
}
