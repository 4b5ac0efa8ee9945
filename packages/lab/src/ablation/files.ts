/** What `deit analyze ablation --out DIR` writes besides its runs and results.csv: summary, figures, and all of it as one page. */
import { writeAnalysis } from "deit-ts/charts";
import type { Chart, PageSection, PageTable } from "deit-ts/charts";
import type { AnswerRecord } from "./answers.ts";
import { disagreements, summariseAnswers } from "./answers.ts";
import { curvesFigure, differencesFigure } from "./figures.ts";
import type { ResultRecord } from "./results.ts";
import { RESULTS_FILE, summariseResults } from "./results.ts";
import type { Measured } from "./statistics.ts";
import { answerSummaryRows, papersOf, shownSummaries, summaryRows } from "./summary-table.ts";
import type { AblationTable } from "./table.ts";

export interface AblationOutcome {
  readonly table: AblationTable;
  readonly records: readonly ResultRecord[];
  readonly answers: readonly AnswerRecord[];
  /** Trainings of the plan that are not finished. */
  readonly missing: number;
}

/** Writes into the study's folder. @returns the names of the files, results.csv among them */
export async function writeAblation(
  out: string,
  { table, records, answers, missing }: AblationOutcome,
  { command }: { command?: string | undefined } = {},
): Promise<string[]> {
  const summaries = summariseResults(table, records);
  const measured: Measured[] = records.map(({ line, seed, acc1 }) => ({
    line,
    seed: Number(seed),
    value: Number(acc1),
  }));
  const words = { value: "top-1, %" };
  const sections: PageSection[] = [];
  const figures: Record<string, Chart> = {};
  const add = (name: string, figure: Chart | undefined, section: PageSection): void => {
    if (figure === undefined) return;
    figures[name] = figure;
    sections.push({ ...section, figure });
  };
  add("curves", curvesFigure(table, measured, words), { title: "The curves", lead: CURVES });
  add("differences", differencesFigure(measured, summaries, words), {
    title: "The differences",
    lead: DIFFERENCES,
  });
  sections.push({
    title: "The numbers",
    lead: NUMBERS,
    table: pageTable(shownSummaries(summaries, papersOf(table))),
  });
  const answerSummaries = summariseAnswers(table, answers);
  for (const [other, own] of Map.groupBy(answers, (answer) => answer.with)) {
    const compared = answerSummaries.filter((summary) => summary.with === other);
    const section = {
      title: `Disagreement with ${other}`,
      lead: ANSWERS,
      table: pageTable(shownSummaries(compared)),
    };
    const name = `answers-${other.replaceAll(/\W+/g, "-")}`;
    const figure = differencesFigure(disagreements(own), compared, { value: "disagreement, %" });
    if (figure === undefined) sections.push(section);
    else add(name, figure, section);
  }
  const written = await writeAnalysis(out, {
    files: {
      "summary.csv": summaryRows(summaries),
      "ablation.json": { table: table.name, missing, summaries, answerSummaries, records, answers },
      ...(answers.length > 0 && {
        "answers.csv": answerRows(answers),
        "answers-summary.csv": answerSummaryRows(answerSummaries),
      }),
    },
    figures,
    page: {
      title: table.name,
      kind: `ablation, ${records.length} results${missing > 0 ? `, ${missing} ${missing === 1 ? "training" : "trainings"} still to do` : ""}`,
      sections,
    },
    command,
  });
  return [RESULTS_FILE, ...written];
}

const CURVES = "Means over seeds with their 95 % intervals.";
const DIFFERENCES =
  "Differences from the baseline, or of two rows, with the same seed (ticks), their mean and its 95 % t-interval. Grey: the interval holds 0, or there is one seed.";
const NUMBERS =
  "Top-1 in percent after the last epoch. ± is half of a 95 % t-interval: a smaller difference could not have been found with these seeds.";
const ANSWERS =
  "Percent of the validation images on which the two disagree; differences are paired by seed. ± is half of a 95 % t-interval.";

function pageTable([head = [], ...rows]: string[][]): PageTable {
  return { head, rows, right: head.keys().toArray().slice(1) };
}

function answerRows(answers: readonly AnswerRecord[]): (string | number)[][] {
  return [
    ["line", "row", "seed", "with", "disagreement", "images"],
    ...answers.map((answer) => [
      answer.line,
      answer.row,
      answer.seed,
      answer.with,
      answer.disagreement.toFixed(3),
      answer.images,
    ]),
  ];
}
