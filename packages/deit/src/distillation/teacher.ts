/** Opens the teacher (§4): a frozen classifier that answers for the very images the student sees. Node only. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Classifier } from "../evaluation/classifier.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import { loadOnnxAnswers } from "../evaluation/onnx/third-party-model.ts";
import { featureWidth } from "../models/features.ts";
import type { NamedClasses } from "../models/match-classes.ts";
import { classOrder } from "./class-order.ts";
import type { TeacherRequest } from "./distillation-request.ts";
import type { Teacher } from "./teacher-program.ts";

/**
 * Opens a teacher. `student`: its classes, named as the dataset's.
 * @throws ConfigError for classes that do not fit, and what `openClassifier` throws
 */
export async function openTeacher(
  { path, model, weights, inputSize, embedding: token, ...given }: TeacherRequest,
  { student, warn }: { student: NamedClasses; warn: (message: string) => void },
): Promise<Teacher> {
  // how images are resized is the student's business
  const preprocessing = { mean: given.mean, std: given.std, cropRatio: 1 };
  const embedding = token !== undefined;
  const classifier = await openClassifier(path, { model, inputSize, weights, preprocessing, embedding });
  for (const note of classifier.notes)
    warn(`teacher: ${note.replace("(--mean, --std)", "(--teacher-mean, --teacher-std)")}`);
  const order = embedding ? undefined : classOrder(classifier, student, warn);
  const { source, inputSize: size } = classifier;
  return {
    inputSize: classifier.inputSize,
    normalisation: classifier.normalisation,
    name: classifier.name,
    source:
      "onnx" in source
        ? {
            load: async (runtime, options) =>
              loadOnnxAnswers(runtime, { ...source, inputSize: size }, options),
          }
        : source,
    order,
    answers: embedding ? "embedding" : "logits",
    width: embedding && "model" in source ? featureWidth(source.model) : classifier.numClasses,
    hash: await hashOf(classifier, weights),
  };
}

/** Of an ONNX model's bytes with all weights, whichever file they lie in; else of the file. */
async function hashOf({ source, file }: Classifier, weights: string | undefined): Promise<string> {
  const hash = createHash("sha256");
  if (weights !== undefined) hash.update(`${weights}\0`); // of one file, other answers
  if ("onnx" in source) hash.update(source.onnx.model);
  else await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
