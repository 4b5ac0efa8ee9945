/** What `deit analyze ablation --out DIR` writes besides its runs and results.csv: summary, figures, and all of it as one page. */
import { join } from "node:path";
import type { Figure } from "../../figures/draw.ts";
import { writeFigure } from "../../figures/draw.ts";
import type { PageSection } from "../../figures/page.ts";
import { figurePage } from "../../figures/page.ts";
import { writeFileAtomic } from "../../formats/atomic-file.ts";
import { csv } from "../../formats/csv.ts";
import type { AnswerRecord } from "./answers.ts";
import { curvesFigure, differencesFigure } from "./figures.ts";
import type { ResultRecord } from "./results.ts";
import { comparedLines, linesOf, RESULTS_FILE, summariseResults } from "./results.ts";
import type { Measured, Summary } from "./statistics.ts";
import { summarise } from "./statistics.ts";
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
  const figures: { name: string; figure: Figure }[] = [];
  const add = (name: string, figure: Figure | undefined, section: PageSection): void => {
    if (figure === undefined) return;
    figures.push({ name, figure });
    sections.push({ ...section, figure });
  };
  add("curves", curvesFigure(table, measured, words), { title: "The curves", lead: CURVES });
  add("differences", differencesFigure(measured, summaries, words), {
    title: "The differences",
    lead: DIFFERENCES,
  });
  const [head = [], ...rows] = shownSummaries(table, summaries);
  sections.push({ title: "The numbers", lead: NUMBERS, table: { head, rows, right: [1, 2, 3, 4, 5, 6] } });
  for (const other of new Set(answers.map((answer) => answer.with))) {
    const own = answers
      .filter((answer) => answer.with === other)
      .map(({ line, seed, disagreement }) => ({ line, seed, value: disagreement }));
    const compared = summarise(own, comparedLines(table));
    const [head = [], ...rows] = shownSummaries(table, compared);
    add(
      `answers-${other.replaceAll(/\W+/g, "-")}`,
      differencesFigure(own, compared, { value: "disagreement, %" }),
      {
        title: `Disagreement with ${other}`,
        lead: ANSWERS,
        table: { head: head.slice(0, -1), rows: rows.map((row) => row.slice(0, -1)), right: [1, 2, 3, 4, 5] },
      },
    );
  }
  const page = await figurePage({
    title: table.name,
    kind: `ablation, ${records.length} results${missing > 0 ? `, ${missing} trainings still to do` : ""}`,
    sections,
    ...(command !== undefined && { command }),
  });
  const texts: Record<string, string> = {
    "summary.csv": csv(summaryRows(summaries)),
    "ablation.json": `${JSON.stringify({ table: table.name, missing, summaries, records, answers }, null, 2)}\n`,
    "index.html": page,
    ...(answers.length > 0 && { "answers.csv": csv(answerRows(answers)) }),
  };
  for (const [name, text] of Object.entries(texts))
    await writeFileAtomic(join(out, name), text, { what: name });
  const drawn: string[] = [];
  for (const { name, figure } of figures) drawn.push(...(await writeFigure(out, name, figure)));
  return [RESULTS_FILE, ...Object.keys(texts), ...drawn];
}

const CURVES = "Means over seeds with their 95 % intervals.";
const DIFFERENCES =
  "Differences from the baseline of the same seed (ticks), their mean and its 95 % t-interval. Grey: the interval holds 0, or there is one seed.";
const NUMBERS =
  "Top-1 in percent after the last epoch. The interval of a difference is half of its 95 % t-interval: a smaller difference could not have been found with these seeds.";
const ANSWERS =
  "Percent of the validation pictures that the two answer differently; differences are paired by seed, with their 95 % t-intervals.";

/** The summary as people read it: its head, and a row for each line. */
export function shownSummaries({ rows }: AblationTable, summaries: readonly Summary[]): string[][] {
  const papers = new Map(rows.flatMap(linesOf).map(({ name, paper }) => [name, paper]));
  const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  return [
    ["", "seeds", "mean", "spread", "difference", "± 95 %", "the paper"],
    ...summaries.map(({ line, seeds, mean, deviation, difference }) => [
      line,
      String(seeds.length),
      mean.toFixed(2),
      deviation?.toFixed(2) ?? "–",
      difference === null ? "–" : `${signed(difference.mean)}${difference.found ? " *" : ""}`,
      difference?.half?.toFixed(2) ?? "–",
      String(papers.get(line) ?? "–"),
    ]),
  ];
}

function summaryRows(summaries: readonly Summary[]): (string | number)[][] {
  return [
    ["line", "seeds", "mean", "deviation", "against", "pairs", "difference", "half_interval_95", "found"],
    ...summaries.map(({ line, seeds, mean, deviation, difference }) => [
      line,
      seeds.length,
      mean.toFixed(3),
      deviation?.toFixed(3) ?? "",
      difference?.against ?? "",
      difference?.pairs ?? "",
      difference?.mean.toFixed(3) ?? "",
      difference?.half?.toFixed(3) ?? "",
      difference === null ? "" : String(difference.found),
    ]),
  ];
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
