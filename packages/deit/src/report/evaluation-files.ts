/** What `deit eval --out DIR` writes: results, every answer, confusions and classes as tables, figures, and one page. */
import type { ImageAnswers } from "../evaluation/metrics/answer-sheet.ts";
import { HEADS, mainAnswers } from "../evaluation/metrics/answer-sheet.ts";
import { calibrate } from "../evaluation/metrics/calibration.ts";
import { confusionMatrix, mostConfused } from "../evaluation/metrics/confusion-counts.ts";
import { evaluationDocument } from "../evaluation/evaluation-document.ts";
import type { MeasuredCheckpoint, MeasuredCheckpoints } from "../evaluation/measure-checkpoints.ts";
import type { CheckpointReport } from "../evaluation/checkpoint-report.ts";
import { countOf, shareOf } from "../evaluation/metrics/share.ts";
import { describeWrong, wrongImages } from "../evaluation/metrics/wrong-images.ts";
import type { ScoreRow } from "../figures/class-table.ts";
import { classTable, SCORES_EXPLAINED } from "../figures/class-table.ts";
import { confusionChart, LARGEST_MATRIX } from "../figures/confusion.ts";
import type { Chart } from "../figures/chart.ts";
import type { Html } from "../figures/html.ts";
import { html } from "../figures/html.ts";
import type { PageSection, PageTable } from "../figures/page.ts";
import { WRONG_ROWS, wrongList } from "../figures/wrong-list.ts";
import { thumbnail, thumbnailImage } from "./examples.ts";
import { writeAnalysis } from "./analysis-folder.ts";
import { shortName as short } from "../class-names.ts";
import { accuracyFigure, reliabilityFigure } from "./evaluation-figures.ts";

/** Wrong images that are shown as such. */
const SHOWN = 12;

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
      lead: "Accuracy of every head with its interval, precision and recall of every class, confusions, misclassified images, and calibration.",
      sections: [
        ...sectionsOf(measured, figures),
        ...(await wrongSections(measured)),
        calibrationSection(models, figures["reliability"]),
      ],
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
  figures: Record<string, Chart>,
): PageSection[] {
  const sections: PageSection[] = [
    {
      title: "Accuracy",
      table: accuracyTable(models),
      ...(figures["accuracy"] && { figure: figures["accuracy"] }),
    },
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
  for (const { report } of models)
    sections.push({
      title: `Classes${ofModel(report, models)}`,
      lead: SCORES_EXPLAINED,
      body: html`<div class="card">${classTable(scoreRows(report), report.macro)}</div>`,
    });
  const matrices = Object.entries(figures).filter(([name]) => name.startsWith("confusion"));
  for (const [i, [, figure]] of matrices.entries())
    sections.push({ title: i === 0 ? "Confusions" : "", figure });
  for (const { report } of models)
    if (report.confusions.length > 0)
      sections.push({
        title: `Most frequent mistakes${ofModel(report, models)}`,
        table: {
          head: ["class", "predicted as", "images"],
          rows: report.confusions.map(({ label, predicted, count }) => [
            short(label),
            short(predicted),
            count,
          ]),
          right: [2],
        },
      });
  return sections;
}

function calibrationSection(models: readonly MeasuredCheckpoint[], figure: Chart | undefined): PageSection {
  return {
    title: "Calibration",
    lead: "Of predictions with 80 % confidence, 80 of 100 should be correct. The temperature divides the logits; it is evaluated on the half of the images that it was not fitted to.",
    ...(figure && { figure }),
    table: calibrationTable(models),
  };
}

/** Which of several models a section is about. */
function ofModel({ name }: CheckpointReport, models: readonly MeasuredCheckpoint[]): string {
  return models.length > 1 ? `, ${name}` : "";
}

function scoreRows({ perClass, classesWithoutImages }: CheckpointReport): ScoreRow[] {
  const none = { images: 0, answered: 0, precision: null, recall: null, f1: null };
  return [
    ...perClass.map(({ class: name, ...scores }) => ({ ...scores, name: short(name) })),
    ...classesWithoutImages.map((name) => ({ ...none, name: short(name) })),
  ];
}

/** Wrong images of each model, the largest loss first. */
async function wrongSections({ comparison, models }: MeasuredCheckpoints): Promise<PageSection[]> {
  const { dataset } = comparison;
  const classes = comparison.classes.map(short);
  const sections: PageSection[] = [];
  for (const { report, answers } of models) {
    const all = { ...answers, ...mainAnswers(answers) };
    const wrong = wrongImages(answers, all, SHOWN + WRONG_ROWS);
    const rows = describeWrong(wrong, all, { dataset, classes });
    const images: Html[] = [];
    for (const [i, { entry }] of wrong.slice(0, SHOWN).entries()) {
      const small = await thumbnail(await dataset.read(answers.images[entry] ?? 0));
      images.push(thumbnailImage(small, { alt: rows[i]?.label ?? "", title: rows[i]?.image ?? "" }));
    }
    sections.push({
      title: `Wrong images${ofModel(report, models)}`,
      body: html`<div class="card">
        ${wrongList(rows, { images, wrong: report.images - (report.correct ?? 0), total: report.images })}
      </div>`,
    });
  }
  return sections;
}

const HEAD_NAMES = { class: "class head", distillation: "distillation head", joint: "both heads" } as const;

function accuracyTable(models: readonly MeasuredCheckpoint[]): PageTable {
  const withReal = models.some(({ report }) => report.real !== undefined);
  const ks = Object.keys(models[0]?.report.topk ?? {});
  // among five classes or fewer every answer is one of the first five
  const withTop5 = models.some(({ report }) => report.classes > 5);
  const rows = models.flatMap(({ report }) => {
    const { heads, interval, real, topk = {} } = report;
    const own = [
      report.name,
      report.inputSize.join(" × "),
      report.acc1.toFixed(2),
      interval === undefined
        ? ""
        : `${interval.acc1.map((bound) => bound.toFixed(1)).join(" to ")} (${countOf(shareOf(report.acc1, report.images))})`,
      ...(withTop5 ? [report.acc5.toFixed(2)] : []),
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
          ...(withTop5 ? [acc5.toFixed(2)] : []),
          ...ks.map(() => ""),
          ...reals,
          loss.toFixed(4),
          "",
        ],
      ];
    });
    return [own, ...parts];
  });
  const head = [
    "",
    "pixels",
    "top-1 %",
    "95 % interval",
    ...(withTop5 ? ["top-5 %"] : []),
    ...ks.map((k) => `top-${k} %`),
  ];
  const all = [...head, ...(withReal ? ["ReaL %"] : []), "loss", "images/s"];
  return { head: all, rows, right: all.map((_, i) => i).slice(1) };
}

function calibrationTable(models: readonly MeasuredCheckpoint[]): PageTable {
  return {
    head: [
      "",
      "calibration error %",
      "overconfidence, points",
      "temperature",
      "error with it %",
      "loss with it",
    ],
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
    perClass.map((own) => [
      name,
      own.index,
      own.class,
      own.images,
      own.acc1,
      own.answered,
      ...[own.precision, own.recall, own.f1].map((score) => score ?? ""),
    ]),
  );
  const head = ["model", "index", "class", "images", "acc1", "answered", "precision", "recall", "f1"];
  return [head, ...rows];
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
