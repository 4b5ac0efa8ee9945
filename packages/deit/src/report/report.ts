/**
 * `report.html` of a run: measures its best model, draws what was found, writes the page into the run folder. The
 * folder and the images are all that is needed, so that a report can be made again at any time, of a running
 * run, too.
 */
import { basename, join, resolve } from "node:path";
import { resolveTrainOptions } from "../config/resolve.ts";
import { calibrate } from "../evaluation/metrics/calibration.ts";
import type { MacroScores } from "../evaluation/metrics/confusion-counts.ts";
import { classResults, macroScores } from "../evaluation/metrics/confusion-counts.ts";
import type { EvaluateHooks } from "../evaluation/logits.ts";
import type { Selection } from "../evaluation/metrics/share.ts";
import { shareOf, shareReport } from "../evaluation/metrics/share.ts";
import type { EvaluationMetrics } from "../evaluation/metrics/metrics.ts";
import { wrongImages } from "../evaluation/metrics/wrong-images.ts";
import { WRONG_ROWS } from "../figures/wrong-list.ts";
import { scientific } from "../figures/axis.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { readRun } from "../training/run/run-folder.ts";
import { planTraining } from "../training/plan.ts";
import type { EpochRecord } from "../training/run/run-log.ts";
import { curves, reliability } from "./charts.ts";
import { makeExamples, surest } from "./examples.ts";
import type { MeasureSettings } from "./measure.ts";
import { measureRun } from "./measure.ts";
import { ACCURACY, LOSS, present, RATE, reportPage } from "./page.ts";

/** In the run folder. */
const REPORT_FILE = "report.html";

/** Images shown of either kind: surest and right, wrong with the largest loss. */
const EXAMPLES = 12;

export interface ReportOptions extends EvaluateHooks {
  /** Where and how fast to compute, when not as the run did. */
  readonly machine?: Partial<MeasureSettings>;
}

/** What `deit report --json` prints. Other tools read it: add keys, never rename these. */
export interface ReportResult {
  /** Path of the page. */
  readonly report: string;
  readonly images: number;
  /** Images whose class was answered first, and Wilson's 95 % interval of their share, in percent. */
  readonly correct: number;
  readonly interval: readonly [low: number, high: number];
  /** Images that were not trained on, and how the weights were chosen by them; undefined for a run without a record. */
  readonly selection?: Selection | undefined;
  /** Percent. */
  readonly acc1: number;
  readonly acc5: number;
  readonly loss: number;
  /** Expected calibration error of top-1 in 15 bins, 0 to 1. */
  readonly ece: number;
  /** Precision, recall and F1, means over the classes. */
  readonly macro: MacroScores;
  /** Images of training and validation that cannot be read, and images of which there are exact copies. */
  readonly broken: number;
  readonly copies: number;
}

/**
 * Writes report.html into the run folder `run`.
 * @throws DeitError and its kin for everything that a user can mend: no run, no model yet, images that are gone
 */
export async function reportRun(
  run: string,
  { machine = {}, onEvent, signal }: ReportOptions = {},
): Promise<ReportResult> {
  const record = await readRun(run);
  const { options } = resolveTrainOptions([{ source: run, spelling: "key", values: record.args }]);
  const { data, batches, evaluation, machine: own } = planTraining(options);
  const { device, threads, workers } = own;
  const { cropRatio: evalCropRatio } = evaluation;
  const settings = { device, threads, workers, batchSize: batches.batchSize, evalCropRatio, ...machine };
  const measured = await measureRun(run, { data, ...settings }, { onEvent, signal });
  const { answers, dataset, transform, loaded, metrics } = measured;
  const calibration = calibrate(answers.confidence, (i) => answers.labels[i] === answers.predicted[i]);
  const best = loaded.metadata.epoch;
  const { log } = record;
  const perClass = Math.ceil(EXAMPLES / Math.min(EXAMPLES, dataset.classes.length));
  const right = surest(answers, { count: EXAMPLES, perClass });
  const wrong = wrongImages(answers, answers, EXAMPLES + WRONG_ROWS);
  const source = { answers, dataset, transform };
  const page = reportPage({
    name: basename(resolve(run)),
    record,
    measured,
    calibration,
    charts: {
      loss: curves(log, present(log, LOSS), { description: "Loss by epoch" }),
      accuracy: curves(log, present(log, ACCURACY), {
        description: "Accuracy by epoch",
        ...bestPoint(log, best),
      }),
      rate: curves(log, RATE, { format: scientific, description: "Learning rate by epoch" }),
      reliability: reliability(calibration),
    },
    examples: {
      perClass,
      right: await makeExamples(right, source),
      wrong: await makeExamples(
        wrong.slice(0, EXAMPLES).map(({ entry }) => entry),
        source,
      ),
    },
    wrong,
  });
  const report = join(run, REPORT_FILE);
  await writeFileAtomic(report, page, { what: "the report" });
  const { selection, check } = measured;
  const { numClasses } = loaded.model.config;
  return {
    report,
    ...figures(metrics),
    ece: calibration.ece,
    macro: macroScores(classResults({ ...answers, numClasses })),
    broken: check.broken.length,
    copies: check.copies.length,
    ...(selection && { selection }),
  };
}

function figures({
  images,
  acc1,
  acc5,
  loss,
}: EvaluationMetrics): Omit<ReportResult, "report" | "ece" | "selection" | "macro" | "broken" | "copies"> {
  return { ...shareReport(shareOf(acc1, images)), acc1, acc5, loss };
}

/** Where the best epoch is marked: on the weights that were best, the trained ones or their average. */
function bestPoint(
  log: readonly EpochRecord[],
  epoch: number | undefined,
): { best?: { epoch: number; key: string } } {
  const record = log.find((candidate) => candidate.epoch === epoch);
  if (record === undefined) return {};
  return { best: { epoch: record.epoch, key: bestKey(record) } };
}

/** Which of a record's accuracies is the one that "best" was chosen by: the higher, the trained weights' on a tie. */
function bestKey({ test_acc1: trained = 0, test_ema_acc1: averaged }: EpochRecord): string {
  return typeof averaged === "number" && averaged > trained ? "test_ema_acc1" : "test_acc1";
}
