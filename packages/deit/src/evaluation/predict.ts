/** What a model says of named images: files, folders, globs and addresses, in batches that are decoded ahead. */
import { openFiles, namedImages } from "../data/unlabelled-images.ts";
import { DataError } from "../errors.ts";
import type { OpenClassifierOptions } from "./classifier.ts";
import { openClassifier } from "./classifier.ts";
import { tellWarnings } from "./logits.ts";
import type { JointRule, Prediction } from "./metrics/metrics.ts";
import { mainLogits, topPredictions } from "./metrics/metrics.ts";

export interface PredictOptions extends OpenClassifierOptions {
  /** What `openClassifier` opens. */
  readonly checkpoint: string;
  /** Image files, folders of them (searched through), globs and addresses (http:, https:, data:, file:). */
  readonly images: readonly string[];
  readonly topk?: number;
  /** Images that are computed at a time. */
  readonly batchSize?: number;
  readonly joint?: JointRule;
  /** Threads that decode; default one a core where there are many images. */
  readonly workers?: number | null;
}

export type PredictEvent =
  | { readonly type: "predict"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string };

export interface PredictHooks {
  readonly onEvent?: ((event: PredictEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `deit predict --json` prints, one for each image. Other tools read it: add keys, never rename these. */
export interface ImagePredictions {
  readonly image: string;
  /** Best first; the scores of all classes add up to 1. */
  readonly predictions: readonly Prediction[];
}

const BATCH_SIZE = 16;
/** From so many images on, threads that decode pay for their start. */
const WORTH_WORKERS = 64;

/**
 * Classifies images with a checkpoint that is opened and closed again. Those that cannot be read are named in warnings.
 * @throws DataError when none can be read, and what `openClassifier` throws
 */
export async function predict(
  options: PredictOptions,
  hooks: PredictHooks = {},
): Promise<ImagePredictions[]> {
  const results: ImagePredictions[] = [];
  for await (const result of predictEach(options, hooks)) results.push(result);
  return results;
}

/** The same one by one, in order, each as soon as it is there: for more images than memory holds answers of. */
export async function* predictEach(
  { checkpoint, images, topk = 5, joint, batchSize = BATCH_SIZE, workers, ...options }: PredictOptions,
  { onEvent = () => {}, signal }: PredictHooks = {},
): AsyncGenerator<ImagePredictions, void, undefined> {
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const { files, problems } = await namedImages(images);
  if (files.length === 0) throw noneOf(images, problems);
  problems.forEach(warn);
  await using classifier = await openClassifier(checkpoint, options);
  const { numClasses, notes, labels } = classifier;
  notes.forEach(warn);
  const dataset = openFiles({ kind: "files", files });
  const warnings: string[] = [];
  const tellBroken = tellWarnings([{ warnings }], warn);
  let [done, answered] = [0, 0];
  for await (const { size, samples, logits, readable, broken } of classifier.answers(dataset, {
    batchSize,
    workers: workers ?? (files.length < WORTH_WORKERS ? 0 : undefined),
    maxBroken: Infinity, // that all are is found out at the end
    signal,
  })) {
    for (const [row, index] of samples.subarray(0, size).entries()) {
      if (!readable(row)) continue;
      const own = mainLogits(logits, { row, numClasses, joint });
      const predictions = topPredictions(own, { topk, classes: labels });
      answered++;
      yield { image: dataset.describe(index), predictions };
    }
    if (broken.size > warnings.length) {
      warnings.length = 0;
      for (const message of broken.values()) warnings.push(message);
    }
    if (answered > 0) tellBroken(); // if none is read, the error says it
    done += size;
    onEvent({ type: "predict", done, total: files.length });
  }
  if (answered === 0) throw noneOf(images, [...problems, ...warnings]);
}

function noneOf(images: readonly string[], problems: readonly string[]): DataError {
  const [first = "", ...more] = problems;
  const message = more.length === 0 ? first : `none of ${problems.length} images can be read: ${first}; …`;
  return new DataError(images[0] ?? "", message, {
    code: "data/no-images",
    hint: "Give image files that exist and may be read, folders with images, a quoted glob, or addresses.",
  });
}
