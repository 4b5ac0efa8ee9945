/**
 * All that an evaluation tells of one or several checkpoints on the same pictures: accuracy of every head with its
 * interval, calibration and temperature, confusions, ReaL; and how sure the differences between them are.
 */
import { ConfigError } from "../errors.ts";
import { isImageNet } from "../data/class-keys.ts";
import type { PictureAnswers } from "./answer-sheet.ts";
import { AnswerSheet, mainAnswers } from "./answer-sheet.ts";
import type { AnsweredBatch, AnswerSettings, EvaluateHooks } from "./answers.ts";
import { answerPictures } from "./answers.ts";
import type { BootstrapOptions } from "./bootstrap.ts";
import { differenceInterval, intervalOf, LEVEL, RESAMPLES, resampleShares } from "./bootstrap.ts";
import { calibrate } from "./calibration.ts";
import type { ClassPairs } from "./confusion.ts";
import { classResults, mostConfused } from "./confusion.ts";
import type { Contender, ContendersOptions, Contest } from "./contenders.ts";
import { openContest } from "./contenders.ts";
import type { HeadLogits, JointRule } from "./metrics.ts";
import { EvaluationMeter, evaluationReport, jointLogits } from "./metrics.ts";
import type { CheckpointReport, ComparisonReport, Difference } from "./checkpoint-report.ts";
import { RealMeter } from "./real-meter.ts";
import type { RealLabels } from "./real-labels.ts";
import { readRealLabels } from "./real-labels.ts";
import { TemperatureMeter } from "./temperature.ts";

export interface MeasureCheckpointsOptions
  extends ContendersOptions, AnswerSettings, Pick<BootstrapOptions, "resamples"> {
  readonly evalCropRatio?: number | undefined;
  /** How the heads of a distilled model are joined. */
  readonly joint?: JointRule | undefined;
  /** Besides 1 and 5. */
  readonly topk?: readonly number[] | undefined;
  /** The file of ReaL's labels. */
  readonly real?: string | undefined;
  /** Most frequent mistakes in the report. */
  readonly confusions?: number | undefined;
}

/** One checkpoint: its report, and its answers for whatever else is asked. */
export interface MeasuredCheckpoint {
  readonly report: CheckpointReport;
  readonly answers: PictureAnswers;
}

export interface MeasuredCheckpoints {
  readonly contest: Contest;
  readonly models: readonly MeasuredCheckpoint[];
  /** Of every two, paired. */
  readonly differences: readonly Difference[];
}

const CONFUSIONS = 10;

/** What `deit eval` does. @throws what opening checkpoints and pictures throws */
export async function measureCheckpoints(
  options: MeasureCheckpointsOptions,
  hooks: EvaluateHooks = {},
): Promise<MeasuredCheckpoints> {
  const real = options.real === undefined ? undefined : await readRealLabels(options.real);
  const contest = await openContest(options, hooks);
  const { contenders } = contest;
  if (real !== undefined) checkReal(contest, real);
  const models: MeasuredCheckpoint[] = [];
  const rights: Uint32Array[] = [];
  for (const [i, contender] of contenders.entries()) {
    const passes = { ...hooks, onEvent: passOf(hooks, i, contenders.length) };
    const measured = await measureOne({ contender, contest, options, real }, passes);
    models.push(measured.model);
    rights.push(measured.right);
  }
  const { resamples = RESAMPLES, seed } = options;
  const n = models[0]?.answers.pictures.length ?? 0;
  const shares = resampleShares(rights, n, { resamples, seed });
  const withIntervals = models.map(({ report, answers }, i) => {
    const { low, high } = intervalOf(shares[i] ?? new Float64Array());
    const interval = { level: LEVEL, resamples, acc1: [100 * low, 100 * high] as const };
    return { answers, report: { ...report, interval } };
  });
  const differences = contenders.flatMap((a, i) =>
    contenders.slice(i + 1).map((b, k) => {
      const j = i + 1 + k;
      const [mine, others] = [shares[i] ?? new Float64Array(), shares[j] ?? new Float64Array()];
      const { low, high } = differenceInterval(others, mine);
      const acc1 = (withIntervals[j]?.report.acc1 ?? 0) - (withIntervals[i]?.report.acc1 ?? 0);
      return { from: a.name, to: b.name, acc1, interval: [100 * low, 100 * high] as const };
    }),
  );
  return { contest, models: withIntervals, differences };
}

/** The document of several checkpoints; that of one is its report. */
export function comparisonReport({ models, differences }: MeasuredCheckpoints): ComparisonReport {
  return { models: models.map(({ report }) => report), differences };
}

/** Progress of one of several passes as that of all. */
function passOf(
  { onEvent }: EvaluateHooks,
  pass: number,
  passes: number,
): NonNullable<EvaluateHooks["onEvent"]> {
  return (event) =>
    onEvent?.(
      event.type === "evaluate"
        ? { ...event, done: pass * event.total + event.done, total: passes * event.total }
        : event,
    );
}

async function measureOne(
  {
    contender,
    contest,
    options,
    real,
  }: {
    contender: Contender;
    contest: Contest;
    options: MeasureCheckpointsOptions;
    real: RealLabels | undefined;
  },
  hooks: EvaluateHooks,
): Promise<{ model: MeasuredCheckpoint; right: Uint32Array }> {
  const { dataset, numClasses, classes, relabel } = contest;
  const { joint, evalCropRatio } = options;
  const classifier = await contender.load();
  const meter = new EvaluationMeter({ numClasses, ...(joint && { joint }) });
  const sheet = new AnswerSheet({ numClasses, capacity: dataset.length, joint });
  const temperature = new TemperatureMeter();
  const realMeter = real && new RealMeter({ numClasses, labels: (i) => real(dataset.describe(i)), joint });
  const visit = (batch: AnsweredBatch): void => {
    meter.add(batch.logits, batch.labels);
    sheet.add(batch);
    realMeter?.add(batch);
    for (const [row, label] of batch.labels.entries())
      if (label >= 0)
        temperature.add(mainRow(batch.logits, { row, numClasses, joint }), label, batch.samples[row] ?? 0);
  };
  const { order } = contender;
  const { seconds } = await answerPictures({ ...options, classifier, dataset, order, relabel }, visit, hooks);
  const answers = sheet.result();
  const main = mainAnswers(answers);
  const { labels } = answers;
  const pairs: ClassPairs = { labels, predicted: main.predicted, numClasses };
  const { bins: _, ...calibration } = calibrate(main.confidence, (i) => main.predicted[i] === labels[i]);
  const nameOf = (index: number): string => classes[index] ?? String(index);
  const shareAt = (k: number): number => (100 * main.rank.filter((rank) => rank < k).length) / labels.length;
  const report: CheckpointReport = {
    ...evaluationReport({ model: classifier.name, metrics: meter.result(), seconds }),
    name: contender.name,
    checkpoint: contender.checkpoint,
    dataset: dataset.name,
    classes: numClasses,
    inputSize: classifier.inputSize,
    cropRatio: evalCropRatio ?? classifier.cropRatio,
    ...(options.topk && { topk: Object.fromEntries(options.topk.map((k) => [String(k), shareAt(k)])) }),
    calibration: { ...calibration, ...temperature.result() },
    confusions: mostConfused(pairs, options.confusions ?? CONFUSIONS).map(({ label, predicted, count }) => ({
      label: nameOf(label),
      predicted: nameOf(predicted),
      count,
    })),
    perClass: classResults(pairs)
      .filter(({ images }) => images > 0)
      .map(({ label, images, right }) => ({
        index: label,
        class: nameOf(label),
        images,
        acc1: (100 * right) / images,
      })),
    ...(realMeter && { real: realMeter.result() }),
  };
  const right = Uint32Array.from([...labels.keys()].filter((i) => main.rank[i] === 0));
  return { model: { report, answers }, right };
}

/** Logits of what the model is judged by. */
function mainRow(
  { class: own, distillation }: HeadLogits,
  { row, numClasses, joint }: { row: number; numClasses: number; joint: JointRule | undefined },
): Float32Array {
  const part = (logits: Float32Array): Float32Array =>
    logits.subarray(row * numClasses, (row + 1) * numClasses);
  return distillation === undefined ? part(own) : jointLogits(part(own), part(distillation), joint);
}

/** @throws ConfigError for pictures or classes that ReaL's labels are not of */
function checkReal({ dataset, numClasses, classes, relabel }: Contest, real: RealLabels): void {
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
        ? `--real: ${dataset.describe(0)} is no validation picture of ImageNet (ILSVRC2012_val_00000001.JPEG)`
        : `--real: its labels are for ImageNet's 1,000 classes in their order, not for ${problem}`,
      { hint: "Leave --real out, or evaluate on ImageNet's validation pictures under their own names." },
    );
  }
}
