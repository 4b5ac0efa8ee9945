/**
 * The teacher (§4): a frozen classifier that answers for the very pictures the student sees. One of ours is traced with
 * its weights as constants, so it can be part of the student's program; an ONNX file of another maker runs beside it.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Normalisation } from "../augmentation/normalisation.ts";
import type { Classifier } from "../evaluation/classifier.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import type { LoadedModel } from "../evaluation/load-model.ts";
import type { OnnxModel } from "../evaluation/onnx-model.ts";
import type { Value } from "../graph/graph.ts";
import { constant } from "../graph/graph.ts";
import { gather } from "../graph/ops.ts";
import { frozenScope } from "../models/deploy.ts";
import { jointLogits } from "../models/heads.ts";
import type { NamedClasses } from "../models/match-classes.ts";
import { evaluationContext } from "../nn/context.ts";
import type { PictureNeeds } from "./bridge.ts";
import { bridge } from "./bridge.ts";
import { classOrder } from "./class-order.ts";
import type { TeacherRequest } from "./distillation-request.ts";

export interface Teacher extends PictureNeeds {
  readonly name: string;
  /** Ours, or a foreign file. */
  readonly source: LoadedModel | OnnxModel;
  /** The teacher's index of each of the student's classes; undefined when the order is the same. */
  readonly order: Int32Array | undefined;
  readonly numClasses: number;
  /** SHA-256 of the file, weights beside it among its bytes. */
  readonly hash: string;
}

/**
 * Opens a teacher. `student`: its classes, named as the dataset's.
 * @throws ConfigError for classes that do not fit, and what `openClassifier` throws
 */
export async function openTeacher(
  { path, model, weights, inputSize, ...given }: TeacherRequest,
  { student, warn }: { student: NamedClasses; warn: (message: string) => void },
): Promise<Teacher> {
  const classifier = await openClassifier(path, { model, inputSize, weights });
  const order = classOrder(classifier, student, warn);
  const { mean, std } = classifier.normalisation;
  return {
    ...pictureNeeds(classifier, { mean: given.mean ?? mean, std: given.std ?? std }),
    name: classifier.name,
    source: classifier.source,
    order,
    numClasses: classifier.numClasses,
    hash: await hashOf(classifier, weights),
  };
}

function pictureNeeds({ inputSize }: Classifier, normalisation: Normalisation): PictureNeeds {
  return { inputSize, normalisation };
}

/** Of an ONNX model's bytes with all weights, whichever file they lie in; else of the file. */
async function hashOf({ source, file }: Classifier, weights: string | undefined): Promise<string> {
  const hash = createHash("sha256");
  if (weights !== undefined) hash.update(`${weights}\0`); // of one file, other answers
  if ("onnx" in source) hash.update(source.onnx.model);
  else await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** A teacher of ours inside a program: the student's pixels [B, 3, H, W] → logits [B, K] in the student's order. */
export function teacherLogits(
  { source, order, ...needs }: Teacher & { source: LoadedModel },
  pixels: Value,
  from: Normalisation,
): Value {
  const { model, tensors } = source;
  const logits = jointLogits(
    model.forward(bridge(pixels, from, needs), frozenScope(tensors), evaluationContext()),
  );
  return order === undefined ? logits : gather(logits, constant(order, [order.length], "int32"), 1);
}

/** Whether a teacher can be part of the student's program. */
export function isOurs(teacher: Teacher): teacher is Teacher & { source: LoadedModel } {
  return !("onnx" in teacher.source);
}
