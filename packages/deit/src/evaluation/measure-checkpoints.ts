/**
 * All that an evaluation tells of one or several checkpoints on the same images: accuracy of every head with its
 * interval, calibration and temperature, confusions, ReaL; and how sure the differences between them are.
 */
import { describePreprocessing } from "../augmentation/preprocessing.ts";
import { isImageNet } from "../data/class-keys.ts";
import { ConfigError } from "../errors.ts";
import type { ImageAnswers } from "./metrics/answer-sheet.ts";
import { AnswerSheet, mainAnswers } from "./metrics/answer-sheet.ts";
import { differenceInterval, LEVEL, RESAMPLES, resampleShares } from "./metrics/bootstrap.ts";
import { calibrate } from "./metrics/calibration.ts";
import type { CheckpointReport, ComparisonReport, Difference } from "./checkpoint-report.ts";
import { evaluationReport } from "./checkpoint-report.ts";
import type { AskedModel, Comparison, ComparisonOptions } from "./comparison.ts";
import { askEach, openComparison } from "./comparison.ts";
import type { ClassPairs } from "./metrics/confusion-counts.ts";
import { classResults, classScores, macroScores, mostConfused } from "./metrics/confusion-counts.ts";
import type { RealLabels } from "./metrics/imagenet-real.ts";
import { ImageNetRealMeter, readRealLabels } from "./metrics/imagenet-real.ts";
import type { EvaluateHooks } from "./logits.ts";
import { EvaluationMeter, labelledRows } from "./metrics/metrics.ts";
import { shareReport } from "./metrics/share.ts";
import { TemperatureMeter } from "./metrics/temperature.ts";
import { describeWrong, wrongImages } from "./metrics/wrong-images.ts";

export interface MeasureCheckpointsOptions extends ComparisonOptions {
  /** Besides 1 and 5. */
  readonly topk?: readonly number[] | undefined;
  /** The file of ReaL's labels. */
  readonly real?: string | undefined;
  /** Most frequent mistakes in the report. */
  readonly confusions?: number | undefined;
  /** Wrong images in the report. */
  readonly wrong?: number | undefined;
}

/** One checkpoint: its report, and its answers for whatever else is asked. */
export interface MeasuredCheckpoint {
  readonly report: CheckpointReport;
  readonly answers: ImageAnswers;
}

export interface MeasuredCheckpoints {
  readonly comparison: Comparison;
  readonly models: readonly MeasuredCheckpoint[];
  /** Of every two, paired. */
  readonly differences: readonly Difference[];
}

const CONFUSIONS = 10;
const WRONG = 20;

/** What `deit eval` does. @throws what opening checkpoints and images throws */
export async function measureCheckpoints(
  options: MeasureCheckpointsOptions,
  hooks: EvaluateHooks = {},
): Promise<MeasuredCheckpoints> {
  const real = options.real === undefined ? undefined : await readRealLabels(options.real);
  const comparison = await openComparison(options, hooks);
  if (real !== undefined) checkReal(comparison, real);
  const ask = async (model: AskedModel): Promise<MeasuredCheckpoint> =>
    measureOne(model, { comparison, options, real });
  const models = await askEach(comparison, options, ask, hooks);
  const { resamples = RESAMPLES, seed } = options;
  const rights = models.map(({ answers }) => rightOnes(mainAnswers(answers).rank));
  const shares = resampleShares(rights, models[0]?.answers.images.length ?? 0, { resamples, seed });
  const none = new Float64Array();
  const withIntervals = models.map(({ report, answers }, i) => {
    const share = { correct: rights[i]?.length ?? 0, images: answers.labels.length };
    const { correct, interval: acc1 } = shareReport(share);
    return { answers, report: { ...report, correct, interval: { level: LEVEL, resamples, acc1 } } };
  });
  const differences = withIntervals.flatMap(({ report: from }, i) =>
    withIntervals.slice(i + 1).map(({ report: to }, k): Difference => {
      const { low, high } = differenceInterval(shares[i + 1 + k] ?? none, shares[i] ?? none);
      const interval = [100 * low, 100 * high] as const;
      return { from: from.name, to: to.name, acc1: to.acc1 - from.acc1, interval };
    }),
  );
  return { comparison, models: withIntervals, differences };
}

/** Numbers of the right answers. */
function rightOnes(ranks: Int32Array): Uint32Array {
  return Uint32Array.from([...ranks.keys()].filter((i) => ranks[i] === 0));
}

export interface EvaluateCheckpointOptions extends Omit<MeasureCheckpointsOptions, "checkpoints"> {
  readonly checkpoint: string;
}

/** What `deit eval` does with one checkpoint: opens it and the images, evaluates, closes. */
export async function evaluateCheckpoint(
  { checkpoint, ...options }: EvaluateCheckpointOptions,
  hooks: EvaluateHooks = {},
): Promise<CheckpointReport> {
  const { models } = await measureCheckpoints({ ...options, checkpoints: [checkpoint] }, hooks);
  const [measured] = models;
  if (measured === undefined) throw new Error("one checkpoint was measured");
  return measured.report;
}

/** The document of several checkpoints; that of one is its report. */
export function comparisonReport({ models, differences }: MeasuredCheckpoints): ComparisonReport {
  return { models: models.map(({ report }) => report), differences };
}

async function measureOne(
  { name, checkpoint, classifier, answers: batches }: AskedModel,
  {
    comparison: { dataset, numClasses, classes },
    options: { joint, topk, confusions = CONFUSIONS, wrong = WRONG },
    real,
  }: { comparison: Comparison; options: MeasureCheckpointsOptions; real: RealLabels | undefined },
): Promise<MeasuredCheckpoint> {
  const meter = new EvaluationMeter({ numClasses, ...(joint && { joint }) });
  const sheet = new AnswerSheet({ numClasses, capacity: dataset.length, joint });
  const temperature = new TemperatureMeter();
  const realMeter = real && new ImageNetRealMeter({ labels: (i) => real(dataset.describe(i)) });
  let seconds = 0;
  for await (const batch of batches) {
    ({ seconds } = batch);
    for (const row of labelledRows(batch, { numClasses, joint })) {
      meter.addRow(row);
      sheet.addRow(row);
      realMeter?.add(row);
      temperature.add(row.main.logits, row.label, row.image);
    }
  }
  const answers = sheet.result();
  const main = mainAnswers(answers);
  const { predicted, confidence, rank } = main;
  const { labels } = answers;
  const pairs: ClassPairs = { labels, predicted, numClasses };
  const { bins: _, ...calibration } = calibrate(confidence, (i) => predicted[i] === labels[i]);
  const nameOf = (index: number): string => classes[index] ?? String(index);
  const results = classResults(pairs);
  const shareAt = (k: number): number => (100 * rank.filter((own) => own < k).length) / labels.length;
  const report: CheckpointReport = {
    ...evaluationReport({ model: classifier.name, metrics: meter.result(), seconds }),
    name,
    checkpoint,
    dataset: dataset.name,
    classes: numClasses,
    inputSize: classifier.inputSize,
    cropRatio: classifier.cropRatio,
    preprocessing: describePreprocessing(classifier.preprocessing),
    ...(topk && { topk: Object.fromEntries(topk.map((k) => [String(k), shareAt(k)])) }),
    calibration: { ...calibration, ...temperature.result() },
    confusions: mostConfused(pairs, confusions).map((found) => ({
      label: nameOf(found.label),
      predicted: nameOf(found.predicted),
      count: found.count,
    })),
    perClass: results
      .filter(({ images }) => images > 0)
      .map(({ label, ...counts }) => ({
        index: label,
        class: nameOf(label),
        images: counts.images,
        acc1: (100 * counts.right) / counts.images,
        answered: counts.answered,
        right: counts.right,
        ...classScores(counts),
      })),
    macro: macroScores(results),
    classesWithoutImages: results.filter(({ images }) => images === 0).map(({ label }) => nameOf(label)),
    wrong: describeWrong(wrongImages(answers, main, wrong), { ...answers, ...main }, { dataset, classes }),
    ...(realMeter && { real: realMeter.result() }),
  };
  return { report, answers };
}

/** @throws ConfigError for images or classes that ReaL's labels are not of */
function checkReal({ dataset, numClasses, classes, relabel }: Comparison, real: RealLabels): void {
  const problem =
    relabel !== undefined
      ? "a part of the classes"
      : isImageNet({ numClasses, classes }) || classes.every((name, i) => name === String(i))
        ? undefined
        : "a model of other classes";
  if (problem !== undefined || real(dataset.describe(0)) === undefined) {
    throw new ConfigError(
      "real",
      problem === undefined
        ? `--real: ${dataset.describe(0)} is not a validation image of ImageNet (ILSVRC2012_val_00000001.JPEG)`
        : `--real: its labels are for ImageNet's 1,000 classes in their order, not for ${problem}`,
      {
        code: "eval/real-labels",
        hint: "Leave --real out, or evaluate on ImageNet's validation images under their own names.",
      },
    );
  }
}
