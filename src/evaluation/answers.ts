/**
 * What a classifier answers to the pictures of a dataset, as a stream: pictures and logits pass through, and what stays
 * of a picture is a few numbers, so that a dataset of any size fits. Several classifiers answer one after another, each
 * with its own preprocessing; their answers meet by the pictures' numbers.
 */
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Batch, Loader } from "../data/loader.ts";
import { createLoader } from "../data/loader.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { reorderClasses } from "../models/match-classes.ts";
import { createRuntime } from "../runtime/node.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import type { Classifier, Evaluator } from "./classifier.ts";
import { loadEvaluator } from "./classifier.ts";
import type { HeadLogits } from "./metrics.ts";
import { headLogits } from "./program.ts";
import { tellWarnings } from "./warnings.ts";

/** A batch of pictures and the logits of every head. Rows with label -1 are padding, or pictures that cannot be read. */
export interface AnsweredBatch extends Pick<Batch, "size" | "labels" | "samples"> {
  readonly logits: HeadLogits;
}

/** One pass of a loader through an evaluation program. */
export async function* streamAnswers(executable: Evaluator, loader: Loader): AsyncGenerator<AnsweredBatch> {
  // A batch is handed over while the one before it is computed: the device does not wait for copies.
  let running: { batch: Batch; outputs: ReturnType<Evaluator["run"]> } | undefined;
  const finish = async ({ batch, outputs }: NonNullable<typeof running>): Promise<AnsweredBatch> => ({
    size: batch.size,
    labels: batch.labels,
    samples: batch.samples,
    logits: headLogits(await outputs),
  });
  for await (const batch of loader.epoch(0)) {
    const outputs = executable.run({ images: batch.images });
    outputs.catch(() => {}); // it is awaited after the one before, whose error comes first
    const before = running;
    running = { batch, outputs };
    if (before !== undefined) yield finish(before);
  }
  if (running !== undefined) yield finish(running);
}

export type EvaluateEvent =
  | { readonly type: "evaluate"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string };

export interface EvaluateHooks {
  readonly onEvent?: ((event: EvaluateEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where and how fast to compute. */
export interface AnswerSettings {
  readonly batchSize?: number | undefined;
  readonly device?: DeviceName | "auto" | undefined;
  readonly threads?: number | null | undefined;
  readonly workers?: number | null | undefined;
}

export interface AnswerJob extends AnswerSettings {
  readonly classifier: Classifier;
  readonly dataset: Dataset;
  /** Part of the resized picture that is looked at, when not the classifier's own. */
  readonly evalCropRatio?: number | undefined;
  /** The classifier's index of each class that its answers are wanted for; undefined: all, in its order. */
  readonly order?: Int32Array | undefined;
  /** The label of each class of the dataset among the classes answered for; undefined: the same. */
  readonly relabel?: Int32Array | undefined;
}

/** How evaluation prepares pictures for a classifier. */
export function evaluationTransform({
  classifier: { inputSize, cropRatio },
  evalCropRatio = cropRatio,
}: Pick<AnswerJob, "classifier" | "evalCropRatio">): EvaluationTransformOptions {
  return { mode: "evaluation", size: inputSize, cropRatio: evalCropRatio };
}

/**
 * Runs a classifier over a dataset on a device of its own and hands every batch to `visit`; one classifier's weights are
 * in memory at a time. Returns the seconds that the pass took, without loading.
 */
export async function answerPictures(
  job: AnswerJob,
  visit: (batch: AnsweredBatch) => void,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<{ readonly seconds: number }> {
  const { classifier, dataset, batchSize = 32, device = "auto", threads, workers, order, relabel } = job;
  const { numClasses } = classifier;
  const loader = createLoader({
    dataset,
    transform: evaluationTransform(job),
    plan: createPlan({ mode: "evaluation", length: dataset.length, batchSize }),
    workers: workersFor(dataset, workers),
  });
  const runtime = await createRuntime({ device, ...(threads && { threads }) });
  try {
    const executable = await loadEvaluator(runtime, classifier, { batchSize });
    const start = performance.now();
    let done = 0;
    for await (const batch of streamAnswers(executable, loader)) {
      visit({
        ...batch,
        ...(order && { logits: inOrder(batch.logits, { order, numClasses }) }),
        ...(relabel && { labels: batch.labels.map((label) => relabel[label] ?? -1) }),
      });
      done += batch.size;
      onEvent?.({ type: "evaluate", done, total: dataset.length });
      signal?.throwIfAborted();
    }
    tellWarnings([loader], (message) => onEvent?.({ type: "warning", message }))();
    return { seconds: (performance.now() - start) / 1000 };
  } finally {
    await Promise.all([loader.close(), runtime.close()]);
  }
}

function inOrder(logits: HeadLogits, columns: { order: Int32Array; numClasses: number }): HeadLogits {
  return {
    ...logits,
    class: reorderClasses(logits.class, columns),
    ...(logits.distillation && { distillation: reorderClasses(logits.distillation, columns) }),
  };
}
