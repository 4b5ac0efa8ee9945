/** What a model sees in pictures: files, folders and globs, in batches that are decoded ahead. */
import { openFiles, namedPictures } from "../data/files.ts";
import { createLoader } from "../data/loader.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { DataError } from "../errors.ts";
import { createRuntime } from "../runtime/node.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import { streamAnswers } from "./answers.ts";
import { loadClassifier, loadEvaluator } from "./classifier.ts";
import type { HeadLogits, JointRule, Prediction } from "./metrics.ts";
import { jointLogits, topPredictions } from "./metrics.ts";
import { tellWarnings } from "./warnings.ts";

export interface PredictOptions {
  /** A .safetensors or .onnx file, a run folder or a model folder. */
  readonly checkpoint: string;
  readonly model?: string;
  /** [height, width] or a side, when it is not the checkpoint's own. */
  readonly inputSize?: number | readonly [number, number] | null;
  /** Which of a checkpoint's weights: "model", "ema", or their name in the file. */
  readonly weights?: string | null;
  /** Picture files, folders of them (searched through) and globs. */
  readonly images: readonly string[];
  readonly topk?: number;
  /** Names by index, for checkpoints that do not hold them. */
  readonly classes?: readonly string[];
  /** Pictures that are computed at a time. */
  readonly batchSize?: number;
  readonly evalCropRatio?: number;
  readonly joint?: JointRule;
  readonly device?: DeviceName | "auto";
  readonly threads?: number | null;
  /** Threads that decode; default one a core where there are many pictures. */
  readonly workers?: number | null;
}

export type PredictEvent =
  | { readonly type: "predict"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string };

export interface PredictHooks {
  readonly onEvent?: ((event: PredictEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `deit predict --json` prints, one for each picture. Other tools read it: add keys, never rename these. */
export interface PicturePredictions {
  readonly image: string;
  /** Best first; the scores of all classes add up to 1. */
  readonly predictions: readonly Prediction[];
}

const BATCH_SIZE = 16;
/** Fewer pictures than this are decoded before threads for it have started. */
const WORTH_WORKERS = 64;

/**
 * Classifies pictures, in the order they are named. Those that cannot be read are told as warnings and left out.
 * @throws DataError when none can be read
 */
export async function predict(
  options: PredictOptions,
  { onEvent = () => {}, signal }: PredictHooks = {},
): Promise<PicturePredictions[]> {
  const { checkpoint, images, topk = 5, joint = "logits", device = "auto", threads } = options;
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const { files, problems } = await namedPictures(images);
  if (files.length === 0) throw noneOf(images, problems);
  problems.forEach(warn);
  const classifier = await loadClassifier(checkpoint, {
    model: options.model,
    inputSize: options.inputSize ?? undefined,
    weights: options.weights ?? undefined,
  });
  classifier.notes.forEach(warn);
  const { inputSize: size, numClasses, cropRatio } = classifier;
  const classes =
    options.classes ?? classifier.classes ?? Array.from({ length: numClasses }, (_, i) => `class ${i}`);
  const batchSize = Math.min(options.batchSize ?? BATCH_SIZE, files.length);
  const dataset = openFiles({ kind: "files", files });
  const workers = options.workers ?? (files.length < WORTH_WORKERS ? 0 : workersFor(dataset));
  const loader = createLoader({
    dataset,
    transform: { mode: "evaluation", size, cropRatio: options.evalCropRatio ?? cropRatio },
    plan: createPlan({ mode: "evaluation", length: files.length, batchSize }),
    workers,
    maxBroken: Infinity, // that all are is found out at the end
  });
  const tellBroken = tellWarnings([loader], warn);
  const runtime = await createRuntime({ device, ...(threads && { threads }) });
  try {
    const evaluator = await loadEvaluator(runtime, classifier, { batchSize });
    const results: PicturePredictions[] = [];
    let done = 0;
    for await (const { size: rows, samples, logits } of streamAnswers(evaluator, loader)) {
      for (const [row, index] of samples.subarray(0, rows).entries()) {
        if (loader.broken.has(index)) continue;
        const own = rowOf(logits, { row, numClasses, joint });
        results.push({
          image: dataset.describe(index),
          predictions: topPredictions(own, { topk, classes }),
        });
      }
      if (results.length > 0) tellBroken(); // if none is read, the error says it
      done += rows;
      onEvent({ type: "predict", done, total: files.length });
      signal?.throwIfAborted();
    }
    if (results.length === 0) throw noneOf(images, [...problems, ...loader.warnings]);
    return results;
  } finally {
    await Promise.all([loader.close(), runtime.close()]);
  }
}

/** What is said of one picture, by both heads where there are two. */
function rowOf(
  { class: classLogits, distillation }: HeadLogits,
  { row, numClasses, joint }: { row: number; numClasses: number; joint: JointRule },
): Float32Array {
  const part = (logits: Float32Array): Float32Array =>
    logits.subarray(row * numClasses, (row + 1) * numClasses);
  return distillation ? jointLogits(part(classLogits), part(distillation), joint) : part(classLogits);
}

function noneOf(images: readonly string[], problems: readonly string[]): DataError {
  const [first = "", ...more] = problems;
  const message = more.length === 0 ? first : `none of ${problems.length} pictures can be read: ${first}; …`;
  return new DataError(images[0] ?? "", message, {
    hint: "Give picture files that exist and may be read, folders with pictures, or a quoted glob.",
  });
}
