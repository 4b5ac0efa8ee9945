/** What is compared with what in a table, and how it is told: in tables, files and on the page. Nothing is trained. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AnswerRecord } from "../../src/ablation/answers.ts";
import { summariseAnswers } from "../../src/ablation/answers.ts";
import { writeAblation } from "../../src/ablation/files.ts";
import type { ResultRecord } from "../../src/ablation/results.ts";
import { RESULTS_FILE, comparisonsOf, summariseResults } from "../../src/ablation/results.ts";
import { papersOf, shownSummaries } from "../../src/ablation/summary-table.ts";
import type { AblationRow, AblationTable } from "../../src/ablation/table.ts";
import { loadTable } from "../../src/ablation/table.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";

const heads = (name: string): NonNullable<AblationRow["lines"]> => [
  { name: `${name}: distillation head`, head: "distillation" },
  { name: `${name}: both heads`, head: "joint" },
];
const table: AblationTable = {
  name: "students",
  recipe: {},
  rows: [
    { name: "labels", change: {}, lines: heads("labels"), series: "students", x: 1 },
    { name: "convnet", change: {}, lines: heads("convnet"), series: "students", x: 10 },
    { name: "transformer", change: {}, lines: heads("transformer"), series: "students", x: 100 },
    { name: "average", change: { modelEma: true } },
  ],
  contrasts: [{ name: "convnet − transformer", row: "convnet", against: "transformer" }],
};

test("a head is compared with the same head of the baseline, where there is one, and of a contrast's other row", () => {
  expect(comparisonsOf(table).map(({ name, against }) => [name, against])).toEqual([
    ["labels: distillation head", undefined],
    ["labels: both heads", undefined],
    ["convnet: distillation head", "labels: distillation head"],
    ["convnet: both heads", "labels: both heads"],
    ["transformer: distillation head", "labels: distillation head"],
    ["transformer: both heads", "labels: both heads"],
    ["average", "labels: both heads"],
    ["convnet − transformer: distillation head", "transformer: distillation head"],
    ["convnet − transformer: both heads", "transformer: both heads"],
  ]);
});

describe("a contrast", () => {
  const SEEDS = [0, 1, 2];
  const values: Record<string, readonly number[]> = {
    labels: [50, 52, 54],
    convnet: [60, 61, 65],
    transformer: [58, 59.1, 62.9],
  };
  const each = <T>(make: (row: string, line: string, seed: number, value: number) => T): T[] =>
    Object.entries(values).flatMap(([row, of]) =>
      heads(row).flatMap(({ name }) => SEEDS.map((seed) => make(row, name, seed, of[seed] ?? 0))),
    );
  const records = each(
    (row, line, seed, acc1) =>
      ({ line, row, seed: String(seed), acc1: String(acc1) }) as unknown as ResultRecord,
  );
  const answers = each((row, line, seed, value): AnswerRecord[] => [
    { line, row, seed, with: "convnet", disagreement: 100 - value, images: 10 },
    { line, row, seed, with: "witness", disagreement: 90 - value, images: 10 },
  ]).flat();
  // 4.3027 · s / √3 of 2, 1.9 and 2.1
  const half = (4.302_65 * 0.1) / Math.sqrt(3);

  test("is paired by seed, in top-1 and in disagreement with everyone", () => {
    const found = summariseResults(table, records).find(
      ({ name }) => name === "convnet − transformer: both heads",
    );
    expect(found).toMatchObject({ line: "convnet: both heads", difference: { pairs: 3, found: true } });
    expect(found?.difference?.mean).toBeCloseTo(2, 6);
    expect(found?.difference?.half).toBeCloseTo(half, 4);
    const summaries = summariseAnswers(table, answers);
    const contrasts = summaries.filter(({ name }) => name === "convnet − transformer: distillation head");
    expect(contrasts.map((one) => [one.with, one.difference?.against])).toEqual([
      ["convnet", "transformer: distillation head"],
      ["witness", "transformer: distillation head"],
    ]);
    for (const { difference } of contrasts) expect(difference?.mean).toBeCloseTo(-2, 6);
    const mean = summaries.find(({ name }) => name === "convnet: both heads");
    expect(mean?.mean).toBeCloseTo(38, 6);
    expect(mean?.half).toBeCloseTo((4.302_65 * Math.sqrt(7)) / Math.sqrt(3), 3);
  });

  test("is a line of the tables, of the CSV files and of the page", async () => {
    const shown = shownSummaries(summariseResults(table, records), papersOf(table));
    expect(shown[0]).toEqual(["", "seeds", "mean", "± 95 %", "spread", "difference", "± 95 %"]);
    expect(shown.at(-1)).toEqual([
      "convnet − transformer: both heads",
      "3",
      "",
      "",
      "",
      "+2.00 *",
      half.toFixed(2),
    ]);
    const out = await temporaryFolder();
    await writeFile(join(out, RESULTS_FILE), ""); // as recordResults does
    const [labels, ...others] = table.rows;
    const paper = heads("labels").map((line) => ({ ...line, paper: 81.8 }));
    const withPaper = { ...table, rows: [...(labels ? [{ ...labels, lines: paper }] : []), ...others] };
    const outcome = { table: withPaper, records, answers, missing: 0 };
    const files = await writeAblation(out, outcome, { command: "deit analyze ablation" });
    expect((await readdir(out)).toSorted()).toEqual(files.toSorted());
    for (const name of ["curves", "differences", "answers-convnet", "answers-witness"])
      expect(files).toEqual(expect.arrayContaining([`${name}.svg`]));
    const read = (name: string): Promise<string> => readFile(join(out, name), "utf8");
    expect(await read("summary.csv")).toContain(
      `convnet: both heads,3,62.000,2.646,6.572,transformer: both heads,3,2.000,${half.toFixed(3)},true\n`,
    );
    expect(await read("answers-summary.csv")).toContain(
      `witness,convnet: both heads,3,28.000,2.646,6.572,transformer: both heads,3,-2.000,${half.toFixed(3)},true\n`,
    );
    const document = JSON.parse(await read("ablation.json"));
    expect(document.answerSummaries).toHaveLength(2 * 8);
    const page = await read("index.html");
    for (const part of [
      "Disagreement with witness",
      "convnet − transformer: both heads",
      "the paper",
      "81.8",
    ])
      expect(page).toContain(part);
    expect(page).toContain("deit analyze ablation");
  });
});

test("Table 2's recipe asks its question", async () => {
  const comparisons = comparisonsOf(await loadTable("table2-cifar10"));
  expect(comparisons).toContainEqual({
    name: "convnet − transformer: both heads",
    line: "taught by the convnet: both heads",
    against: "taught by the transformer: both heads",
  });
});
