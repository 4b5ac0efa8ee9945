/**
 * What a run's best model answers to its validation images: the figures of an evaluation and, for each image,
 * a few numbers. Images and logits pass through, so that a dataset of any size fits.
 */
import { basename, resolve } from "node:path";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import type { Dataset } from "../data/dataset.ts";
import type { DataOptions } from "../data/open.ts";
import type { ImageCheck } from "../data/check-images.ts";
import { checkImages } from "../data/check-images.ts";
import { openDatasets } from "../data/open.ts";
import { DataError } from "../errors.ts";
import type { HeadAnswers, ImageAnswers } from "../evaluation/metrics/answer-sheet.ts";
import { AnswerSheet, mainAnswers } from "../evaluation/metrics/answer-sheet.ts";
import { classifierOf } from "../evaluation/classifier.ts";
import { loadModel } from "../evaluation/checkpoints/load-model.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import type { EvaluateHooks } from "../evaluation/logits.ts";
import { EvaluationMeter, labelledRows } from "../evaluation/metrics/metrics.ts";
import type { EvaluationMetrics } from "../evaluation/metrics/metrics.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import type { Selection } from "../evaluation/metrics/share.ts";
import { readSelection } from "../training/run/run-selection.ts";
import { readRecordedImages } from "../training/run/run-record.ts";

/** The answers to n images, of the head that the model is judged by. */
export type Answers = Pick<ImageAnswers, "images" | "labels"> & HeadAnswers;

export interface Measured {
  readonly loaded: LoadedModel;
  readonly dataset: Dataset;
  /** What people call the images: their folder, or a dataset's name. */
  readonly dataName: string;
  readonly trainImages: number;
  /** The images are those that the model learned: there are no others. */
  readonly onTraining: boolean;
  /** How the weights were chosen; undefined for a run that kept no record. */
  readonly selection: Selection | undefined;
  /** How images were prepared. */
  readonly transform: EvaluationTransformOptions;
  readonly metrics: EvaluationMetrics;
  readonly answers: Answers;
  /** What is wrong with the images themselves, of training and validation. */
  readonly check: ImageCheck;
}

/** Where and how fast it is computed. */
export interface MeasureSettings {
  readonly device: DeviceName | "auto";
  /** Null: one for each core. */
  readonly threads: number | null;
  readonly workers: number | null;
  readonly batchSize: number;
  /** Part of the resized image that is looked at; the model's own where it is left out. */
  readonly evalCropRatio?: number | undefined;
}

/**
 * Loads the best model of a run folder and answers its validation images, as training opened them.
 * @throws DataError when there is no model yet or the images are others than those of the run
 */
export async function measureRun(
  run: string,
  { data, ...settings }: MeasureSettings & { readonly data: DataOptions },
  hooks: EvaluateHooks = {},
): Promise<Measured> {
  const loaded = await loadModel(run);
  const { model, metadata } = loaded;
  const recorded = await readRecordedImages(run);
  const onNote = (message: string): void => hooks.onEvent?.({ type: "warning", message });
  const { train, validation } = await openDatasets({ ...data, recorded }, { onNote });
  const dataset = validation ?? train;
  checkClasses(dataset, metadata.classes);
  const { numClasses } = model.config;
  await using classifier = classifierOf(loaded, settings);
  const meter = new EvaluationMeter({ numClasses });
  const sheet = new AnswerSheet({ numClasses, capacity: dataset.length });
  const { batchSize, workers } = settings;
  const answer = async (): Promise<void> => {
    for await (const batch of classifier.answers(dataset, { batchSize, workers, ...hooks }))
      for (const row of labelledRows(batch, { numClasses })) {
        meter.addRow(row);
        sheet.addRow(row);
      }
  };
  const [check] = await Promise.all([checkImages({ train, validation }, { signal: hooks.signal }), answer()]);
  const answers = sheet.result();
  const { images, labels } = answers;
  return {
    loaded,
    dataset,
    dataName: data.dataPath == null ? dataset.name : basename(resolve(data.dataPath)),
    trainImages: train.length,
    onTraining: validation === undefined,
    selection: await readSelection(run),
    transform: classifier.transform,
    metrics: meter.result(),
    answers: { images, labels, ...mainAnswers(answers) },
    check,
  };
}

function checkClasses(dataset: Dataset, trained: readonly string[] | undefined): void {
  if (trained === undefined || trained.join("\n") === dataset.classes.join("\n")) return;
  throw new DataError(
    dataset.name,
    `${dataset.name} has other classes than this run was trained on (${dataset.classes.length} now, ${trained.length} then)`,
    {
      code: "run/other-classes",
      hint: "Put the images back as they were; deit eval measures a model on other images.",
    },
  );
}
