/** Summaries of an ablation as rows of a table, for people and for files. Pure. */
import type { AnswerSummary } from "./answers.ts";
import { linesOf } from "./results.ts";
import type { Summary } from "./statistics.ts";
import type { AblationTable } from "./table.ts";

/** The paper's results by line. */
export function papersOf({ rows }: AblationTable): ReadonlyMap<string, number> {
  return new Map(
    rows.flatMap(linesOf).flatMap(({ name, paper }) => (paper === undefined ? [] : [[name, paper] as const])),
  );
}

/** As people read it: its head, and a row for each line and contrast. Of a contrast, the difference alone. */
export function shownSummaries(
  summaries: readonly Summary[],
  papers: ReadonlyMap<string, number> = new Map(),
): string[][] {
  const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  return [
    [
      "",
      "seeds",
      "mean",
      "± 95 %",
      "spread",
      "difference",
      "± 95 %",
      ...(papers.size === 0 ? [] : ["the paper"]),
    ],
    ...summaries.map(({ name, line, seeds, mean, half, deviation, difference }) => [
      name,
      ...(name === line
        ? [String(seeds.length), mean.toFixed(2), half?.toFixed(2) ?? "–", deviation?.toFixed(2) ?? "–"]
        : [String(difference?.pairs ?? 0), "", "", ""]),
      difference === null ? "–" : `${signed(difference.mean)}${difference.found ? " *" : ""}`,
      difference?.half?.toFixed(2) ?? "–",
      ...(papers.size === 0 ? [] : [String(papers.get(name) ?? "–")]),
    ]),
  ];
}

const COLUMNS = [
  "line",
  "seeds",
  "mean",
  "deviation",
  "mean_half_interval_95",
  "against",
  "pairs",
  "difference",
  "half_interval_95",
  "found",
] as const;

/** summary.csv: a line that is compared with several has a row for each. */
export function summaryRows(summaries: readonly Summary[]): (string | number)[][] {
  return [[...COLUMNS], ...summaries.map(cellsOf)];
}

/** answers-summary.csv. */
export function answerSummaryRows(summaries: readonly AnswerSummary[]): (string | number)[][] {
  return [["with", ...COLUMNS], ...summaries.map((summary) => [summary.with, ...cellsOf(summary)])];
}

function cellsOf({ line, seeds, mean, deviation, half, difference }: Summary): (string | number)[] {
  return [
    line,
    seeds.length,
    mean.toFixed(3),
    deviation?.toFixed(3) ?? "",
    half?.toFixed(3) ?? "",
    difference?.against ?? "",
    difference?.pairs ?? "",
    difference?.mean.toFixed(3) ?? "",
    difference?.half?.toFixed(3) ?? "",
    difference === null ? "" : String(difference.found),
  ];
}
