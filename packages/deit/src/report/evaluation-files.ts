/** What `deit eval --out DIR` writes: results, every answer, confusions and classes as tables, figures, and one page. */
import type { ImageAnswers } from "../evaluation/metrics/answer-sheet.ts";
import { HEADS, mainAnswers } from "../evaluation/metrics/answer-sheet.ts";
import { calibrate } from "../evaluation/metrics/calibration.ts";
import { confusionMatrix, mostConfused } from "../evaluation/metrics/confusion-counts.ts";
import { evaluationDocument } from "../evaluation/evaluation-document.ts";
import type { MeasuredCheckpoint, MeasuredCheckpoints } from "../evaluation/measure-checkpoints.ts";
import { countOf, shareOf } from "../evaluation/metrics/share.ts";
import { confusionChart, LARGEST_MATRIX } from "../figures/confusion.ts";
import type { Chart } from "../figures/chart.ts";
import type { PageSection, PageTable } from "../figures/page.ts";
import { writeAnalysis } from "./analysis-folder.ts";
import { shortName as short } from "../class-names.ts";
import { accuracyFigure, reliabilityFigure } from "./evaluation-figures.ts";

/** Rows of a table of the page. */
const SHOWN = 15;

/** Writes into a folder, which is made. @returns the names of the files */
export async function writeEvaluation(
  folder: string,
  measured: MeasuredCheckpoints,
  { command }: { command?: string | undefined } = {},
): Promise<string[]> {
  const { comparison, models } = measured;
  const figures = figuresOf(measured);
  const [first] = models;
  return writeAnalysis(folder, {
    files: {
      "results.json": evaluationDocument(measured, { perClass: true }),
      "answers.csv": answerRows(measured),
      "classes.csv": classRows(measured),
      "confusions.csv": confusionRows(measured),
    },
    figures,
    page: {
      title: models.length === 1 ? (first?.report.name ?? "") : `${models.length} models side by side`,
      kind: `${(first?.report.images ?? 0).toLocaleString("en-US")} images of ${comparison.dataset.name}`,
      lead: "Accuracy of every head with its interval, what confidence is worth, and what is taken for what.",
      sections: sectionsOf(measured, figures),
    },
    command,
  });
}

function figuresOf({ comparison, models }: MeasuredCheckpoints): Record<string, Chart> {
  const { numClasses } = comparison;
  const shortened = comparison.classes.map(short);
  const classes = new Set(shortened).size === numClasses ? shortened : comparison.classes;
  const reports = models.map(({ report }) => report);
  const matrices = numClasses > LARGEST_MATRIX ? [] : models;
  return {
    ...(models.length > 1 && { accuracy: accuracyFigure(reports) }),
    reliability: reliabilityFigure(
      models.map(({ report: { name }, answers }) => {
        const { confidence, rank } = mainAnswers(answers);
        return { name, calibration: calibrate(confidence, (i) => rank[i] === 0) };
      }),
    ),
    ...Object.fromEntries(
      matrices.map(({ report: { name }, answers }, i) => [
        matrices.length === 1 ? "confusion" : `confusion-${i + 1}`,
        confusionChart(
          { counts: confusionMatrix({ ...pairsOf(answers), numClasses }), classes },
          { title: name },
        ),
      ]),
    ),
  };
}

function sectionsOf(
  { models, differences }: MeasuredCheckpoints,
  { accuracy, reliability, ...confusions }: Record<string, Chart>,
): PageSection[] {
  const sections: PageSection[] = [
    { title: "Accuracy", table: accuracyTable(models), ...(accuracy && { figure: accuracy }) },
  ];
  if (differences.length > 0)
    sections.push({
      title: "Differences",
      lead: "Of top-1 on the same images, with the paired 95 % interval, in points.",
      table: {
        head: ["", "against", "points", "95 % interval", ""],
        rows: differences.map(({ from, to, acc1, interval: [low, high] }) => [
          to,
          from,
          acc1.toFixed(2),
          `${low.toFixed(2)} to ${high.toFixed(2)}`,
          low > 0 || high < 0 ? "" : "may be chance",
        ]),
        right: [2, 3],
      },
    });
  sections.push({
    title: "What confidence is worth",
    lead: "Answers given with 80 % should be right in 80 of 100. The temperature divides the logits; its worth is measured on the half of the images that it was not fitted to.",
    ...(reliability && { figure: reliability }),
    table: calibrationTable(models),
  });
  for (const [i, figure] of Object.values(confusions).entries())
    sections.push({ title: i === 0 ? "What is taken for what" : "", figure });
  for (const { report, answers } of models) {
    const of = models.length > 1 ? `, ${report.name}` : "";
    if (report.confusions.length > 0)
      sections.push({
        title: `Most confused${of}`,
        table: {
          head: ["label", "answer", "images"],
          rows: report.confusions.map(({ label, predicted, count }) => [
            short(label),
            short(predicted),
            count,
          ]),
          right: [2],
        },
      });
    const weakest = report.perClass
      .toSorted((a, b) => a.acc1 - b.acc1 || b.images - a.images)
      .slice(0, SHOWN);
    if (answers.labels.length > 0)
      sections.push({
        title: `Weakest classes${of}`,
        table: {
          head: ["class", "images", "top-1 %"],
          rows: weakest.map(({ class: name, images, acc1 }) => [short(name), images, acc1.toFixed(1)]),
          right: [1, 2],
        },
      });
  }
  return sections;
}

const HEAD_NAMES = { class: "class head", distillation: "distillation head", joint: "both heads" } as const;

function accuracyTable(models: readonly MeasuredCheckpoint[]): PageTable {
  const withReal = models.some(({ report }) => report.real !== undefined);
  const ks = Object.keys(models[0]?.report.topk ?? {});
  const rows = models.flatMap(({ report }) => {
    const { heads, interval, real, topk = {} } = report;
    const own = [
      report.name,
      report.inputSize.join(" × "),
      report.acc1.toFixed(2),
      interval === undefined
        ? ""
        : `${interval.acc1.map((bound) => bound.toFixed(1)).join(" to ")} (${countOf(shareOf(report.acc1, report.images))})`,
      report.acc5.toFixed(2),
      ...ks.map((k) => (topk[k] ?? Number.NaN).toFixed(2)),
      ...(withReal ? [real === undefined ? "" : real.acc1.toFixed(2)] : []),
      report.loss.toFixed(4),
      report.imagesPerSecond.toPrecision(3),
    ];
    const parts = HEADS.flatMap((head) => {
      const figures = heads.distillation === undefined ? undefined : heads[head];
      if (figures === undefined) return [];
      const reals = withReal ? [real?.heads[head]?.acc1.toFixed(2) ?? ""] : [];
      const { acc1, acc5, loss } = figures;
      return [
        [
          `— ${HEAD_NAMES[head]}`,
          "",
          acc1.toFixed(2),
          "",
          acc5.toFixed(2),
          ...ks.map(() => ""),
          ...reals,
          loss.toFixed(4),
          "",
        ],
      ];
    });
    return [own, ...parts];
  });
  const head = ["", "pixels", "top-1 %", "95 % interval", "top-5 %", ...ks.map((k) => `top-${k} %`)];
  const all = [...head, ...(withReal ? ["ReaL %"] : []), "loss", "images/s"];
  return { head: all, rows, right: all.map((_, i) => i).slice(1) };
}

function calibrationTable(models: readonly MeasuredCheckpoint[]): PageTable {
  return {
    head: ["", "calibration error %", "too sure by points", "temperature", "error with it %", "loss with it"],
    rows: models.map(({ report: { name, calibration } }) => {
      const { ece, overconfidence, temperature, crossFitted } = calibration;
      return [
        name,
        (100 * ece).toFixed(2),
        (100 * overconfidence).toFixed(2),
        temperature?.toFixed(2) ?? "",
        crossFitted === undefined ? "" : (100 * crossFitted.ece).toFixed(2),
        crossFitted?.loss.toFixed(4) ?? "",
      ];
    }),
    right: [1, 2, 3, 4, 5],
  };
}

/** A line for each model, head and image. */
function answerRows({
  comparison: { dataset, classes },
  models,
}: MeasuredCheckpoints): (string | number)[][] {
  const rows: (string | number)[][] = [
    ["model", "head", "image", "label", "answer", "confidence", "truth", "rank"],
  ];
  for (const { report, answers } of models) {
    for (const head of HEADS) {
      const own = answers.heads[head];
      if (own === undefined) continue;
      for (const [i, image] of answers.images.entries()) {
        rows.push([
          report.name,
          head,
          dataset.describe(image),
          classes[answers.labels[i] ?? -1] ?? "",
          classes[own.predicted[i] ?? -1] ?? "",
          (own.confidence[i] ?? Number.NaN).toFixed(6),
          (own.truth[i] ?? Number.NaN).toFixed(6),
          (own.rank[i] ?? 0) + 1,
        ]);
      }
    }
  }
  return rows;
}

function classRows({ models }: MeasuredCheckpoints): (string | number)[][] {
  const rows = models.flatMap(({ report: { name, perClass } }) =>
    perClass.map(({ index, class: label, images, acc1 }) => [name, index, label, images, acc1]),
  );
  return [["model", "index", "class", "images", "acc1"], ...rows];
}

/** The cells of the confusion matrix that are not 0, right answers too. */
function confusionRows({ comparison, models }: MeasuredCheckpoints): (string | number)[][] {
  const { classes, numClasses } = comparison;
  const rows = models.flatMap(({ report: { name, perClass }, answers }) => {
    const right = perClass
      .map(
        ({ class: label, images, acc1 }) => [name, label, label, Math.round((images * acc1) / 100)] as const,
      )
      .filter(([, , , count]) => count > 0);
    const wrong = mostConfused({ ...pairsOf(answers), numClasses }, Number.MAX_SAFE_INTEGER).map(
      ({ label, predicted, count }) => [name, classes[label] ?? "", classes[predicted] ?? "", count] as const,
    );
    return [...right, ...wrong].map((row) => [...row]);
  });
  return [["model", "label", "answer", "images"], ...rows];
}

function pairsOf(answers: ImageAnswers): { labels: Int32Array; predicted: Int32Array } {
  return { labels: answers.labels, predicted: mainAnswers(answers).predicted };
}
