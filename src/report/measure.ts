/**
 * What a run's best model answers to its validation pictures: the figures of an evaluation and, for each picture,
 * a few numbers. Pictures and logits pass through, so that a dataset of any size fits.
 */
import { basename, resolve } from "node:path";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import type { TrainOptions } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import { createLoader } from "../data/loader.ts";
import { openDatasets } from "../data/open.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { DataError } from "../errors.ts";
import { headLogits } from "../evaluation/evaluate.ts";
import type { EvaluateHooks } from "../evaluation/evaluate.ts";
import { classifierOf, loadEvaluator } from "../evaluation/classifier.ts";
import { loadModel } from "../evaluation/load-model.ts";
import type { LoadedModel } from "../evaluation/load-model.ts";
import { answerOf, EvaluationMeter, jointLogits } from "../evaluation/metrics.ts";
import type { EvaluationMetrics } from "../evaluation/metrics.ts";
import { tellWarnings } from "../evaluation/warnings.ts";
import { createRuntime } from "../runtime/node.ts";

/** The answers to n pictures: entry i of each array belongs to the same picture. */
export interface Answers {
  /** Index of the picture in the dataset. */
  readonly pictures: Uint32Array;
  /** Class indices; predicted is -1 where the model answered NaN. */
  readonly labels: Int32Array;
  readonly predicted: Int32Array;
  /** Probability of the predicted class, 0 to 1. */
  readonly confidence: Float64Array;
  /** Probability of the label's class, 0 to 1. */
  readonly truth: Float64Array;
}

export interface Measured {
  readonly loaded: LoadedModel;
  readonly dataset: Dataset;
  /** What people call the pictures: their folder, or a dataset's name. */
  readonly dataName: string;
  readonly trainImages: number;
  /** The pictures are those that the model learned: there are no others. */
  readonly onTraining: boolean;
  /** How pictures were prepared. */
  readonly transform: EvaluationTransformOptions;
  readonly metrics: EvaluationMetrics;
  readonly answers: Answers;
}

/**
 * Loads the best model of a run folder and answers its validation pictures, as training opened them.
 * @throws DataError when there is no model yet or the pictures are others than those of the run
 */
export async function measureRun(
  run: string,
  options: TrainOptions,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<Measured> {
  const loaded = await loadModel(run);
  const { model, metadata, cropRatio } = loaded;
  const { train, validation } = await openDatasets(options);
  const dataset = validation ?? train;
  checkClasses(dataset, metadata.classes);
  const { batchSize } = options;
  const transform = { mode: "evaluation", size: model.config.inputSize, cropRatio } as const;
  const loader = createLoader({
    dataset,
    transform,
    plan: createPlan({ mode: "evaluation", length: dataset.length, batchSize }),
    workers: workersFor(dataset, options.workers),
  });
  const { device, threads } = options;
  const runtime = await createRuntime({ device, ...(threads !== null && { threads }) });
  try {
    const executable = await loadEvaluator(runtime, classifierOf(loaded), { batchSize });
    const { numClasses } = model.config;
    const meter = new EvaluationMeter({ numClasses });
    const gathered = gatherAnswers(dataset.length);
    let done = 0;
    for await (const batch of loader.epoch(0)) {
      const logits = headLogits(await executable.run({ images: batch.images }));
      meter.add(logits, batch.labels);
      const joint = logits.distillation ? jointLogits(logits.class, logits.distillation) : logits.class;
      for (const [row, label] of batch.labels.entries()) {
        if (label < 0) continue; // padding, or a picture that cannot be read
        const answer = answerOf(joint.subarray(row * numClasses, (row + 1) * numClasses), label);
        gathered.add({ picture: batch.samples[row] ?? 0, label, ...answer });
      }
      done += batch.size;
      onEvent?.({ type: "evaluate", done, total: dataset.length });
      signal?.throwIfAborted();
    }
    tellWarnings([loader], (message) => onEvent?.({ type: "warning", message }))();
    return {
      loaded,
      dataset,
      dataName: options.dataPath === null ? dataset.name : basename(resolve(options.dataPath)),
      trainImages: train.length,
      onTraining: validation === undefined,
      transform,
      metrics: meter.result(),
      answers: gathered.result(),
    };
  } finally {
    await Promise.all([loader.close(), runtime.close()]);
  }
}

interface Row {
  readonly picture: number;
  readonly label: number;
  readonly predicted: number;
  readonly confidence: number;
  readonly truth: number;
}

/** Room for `capacity` answers, of which those that were added count. */
function gatherAnswers(capacity: number): { add: (row: Row) => void; result: () => Answers } {
  const answers = {
    pictures: new Uint32Array(capacity),
    labels: new Int32Array(capacity),
    predicted: new Int32Array(capacity),
    confidence: new Float64Array(capacity),
    truth: new Float64Array(capacity),
  };
  let n = 0;
  return {
    add({ picture, label, predicted, confidence, truth }) {
      answers.pictures[n] = picture;
      answers.labels[n] = label;
      answers.predicted[n] = predicted;
      answers.confidence[n] = confidence;
      answers.truth[n] = truth;
      n++;
    },
    result: () => ({
      pictures: answers.pictures.subarray(0, n),
      labels: answers.labels.subarray(0, n),
      predicted: answers.predicted.subarray(0, n),
      confidence: answers.confidence.subarray(0, n),
      truth: answers.truth.subarray(0, n),
    }),
  };
}

function checkClasses(dataset: Dataset, trained: readonly string[] | undefined): void {
  if (trained === undefined || trained.join("\n") === dataset.classes.join("\n")) return;
  throw new DataError(
    dataset.name,
    `${dataset.name} has other classes than this run was trained on (${dataset.classes.length} now, ${trained.length} then)`,
    { hint: "Put the pictures back as they were; deit eval measures a model on other pictures." },
  );
}
