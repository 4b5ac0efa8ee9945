/** What the trainings of an ablation gave: a record for each line of each finished run, kept as results.csv, and their summary. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { z } from "zod";
import { FormatError } from "deit-ts";
import type { EpochRecord } from "deit-ts";
import { csv, writeFileAtomic } from "deit-ts/studies";
import type { AblationPlan, PlannedRun } from "./plan.ts";
import { finishedRun } from "./run.ts";
import type { Comparison, Summary } from "./statistics.ts";
import { summarise } from "./statistics.ts";
import type { AblationLine, AblationRow, AblationTable } from "./table.ts";
import { describeChange } from "./table.ts";

export const RESULTS_FILE = "results.csv";

/** Columns of results.csv. A line, its row, seed and epochs are one's key. Accuracies are percent, of the last epoch. */
const COLUMNS = [
  "line",
  "row",
  "seed",
  "epochs",
  "change",
  "acc1",
  "acc5",
  "test_loss",
  "train_loss",
  "minutes",
  "teacher_minutes",
  "waiting_share",
  "cosine_of_tokens",
  "cosine_of_token_parameters",
  "paper",
] as const;
const KEY = ["line", "row", "seed", "epochs"] as const;

export type ResultRecord = Readonly<Record<(typeof COLUMNS)[number], string>>;

/** The lines of a row. */
export function linesOf({ name, lines, paper, change }: AblationRow): readonly AblationLine[] {
  return lines ?? [{ name, head: change.modelEma === true ? "average" : "joint", paper }];
}

/** Records of the plan's finished runs. */
async function finishedRecords({ runs }: AblationPlan): Promise<ResultRecord[]> {
  const records: ResultRecord[] = [];
  for (const run of runs) {
    const log = await finishedRun(run);
    if (log !== undefined) records.push(...recordsOf(run, log));
  }
  return records;
}

/** Writes what is finished into results.csv; lines of other seeds, epochs and rows stay there. @returns those of this plan */
export async function recordResults(plan: AblationPlan, out: string): Promise<ResultRecord[]> {
  const file = join(out, RESULTS_FILE);
  const records = await finishedRecords(plan);
  const keyOf = (record: Readonly<Record<string, string>>): string =>
    JSON.stringify(KEY.map((name) => record[name] ?? ""));
  const table = new Map<string, Readonly<Record<string, string>>>();
  for (const record of await readRecords(file)) table.set(keyOf(record), record);
  for (const record of records) table.set(keyOf(record), record);
  const names = plan.table.rows.map(({ name }) => name);
  const sorted = [...table.values()].toSorted(
    (a, b) =>
      rank(names, a) - rank(names, b) ||
      Number(a["epochs"]) - Number(b["epochs"]) ||
      Number(a["seed"]) - Number(b["seed"]),
  );
  const cells = sorted.map((record) => COLUMNS.map((name) => record[name] ?? ""));
  await writeFileAtomic(file, csv([COLUMNS, ...cells]), { what: "the results" });
  return records;
}

/** Teachers and rows of earlier tables come last. */
function rank(names: readonly string[], record: Readonly<Record<string, string>>): number {
  const index = names.indexOf(record["row"] ?? "");
  return index < 0 ? names.length : index;
}

async function readRecords(file: string): Promise<Record<string, string>[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  try {
    return parse(text, { columns: true, relaxColumnCount: true });
  } catch (cause) {
    throw new FormatError(file, "is not a table of results", {
      code: "study/damaged-results",
      hint: "Rename it and start again: it is rebuilt from the finished runs beside it.",
      cause,
    });
  }
}

const metricsSchema = z.object({ acc1: z.number(), acc5: z.number(), loss: z.number() });
const headsSchema = z.record(z.string(), metricsSchema);
const tokensSchema = z.object({ lastLayer: z.number(), parameters: z.number() });

function recordsOf({ row, label, seed, plan }: PlannedRun, log: readonly EpochRecord[]): ResultRecord[] {
  const last = log.at(-1);
  if (last === undefined) return [];
  const total = (key: string): number => log.reduce((sum, record) => sum + Number(record[key] ?? 0), 0);
  const tokens = tokensSchema.safeParse(last["test_token_similarity"]).data;
  const lines = row === undefined ? [{ name: label, head: "joint" } as const] : linesOf(row);
  return lines.map((line) => {
    const metrics = metricsOf(last, line.head);
    return {
      line: line.name,
      row: row?.name ?? label,
      seed: String(seed),
      epochs: String(plan.loop.epochs),
      change: row === undefined ? "" : describeChange({ ...row.change, ...row.setting }),
      acc1: metrics?.acc1.toFixed(2) ?? "",
      acc5: metrics?.acc5.toFixed(2) ?? "",
      test_loss: metrics?.loss.toFixed(4) ?? "",
      train_loss: typeof last["train_loss"] === "number" ? last.train_loss.toFixed(4) : "",
      minutes: (total("seconds") / 60).toFixed(2),
      teacher_minutes: (total("teacher_seconds") / 60).toFixed(2),
      waiting_share: (total("waiting_seconds") / total("seconds")).toFixed(3),
      cosine_of_tokens: tokens?.lastLayer.toFixed(3) ?? "",
      cosine_of_token_parameters: tokens?.parameters.toFixed(3) ?? "",
      paper: "paper" in line && line.paper !== undefined ? String(line.paper) : "",
    };
  });
}

/** Of a model with one head every name means that. */
function metricsOf(last: EpochRecord, head: AblationLine["head"]): z.infer<typeof metricsSchema> | undefined {
  const of = (prefix: string): z.infer<typeof metricsSchema> | undefined =>
    metricsSchema.safeParse({
      acc1: last[`${prefix}_acc1`],
      acc5: last[`${prefix}_acc5`],
      loss: last[`${prefix}_loss`],
    }).data;
  if (head === "average") return of("test_ema") ?? of("test");
  const heads = headsSchema.safeParse(last["test_heads"]).data ?? {};
  return head === "joint" ? of("test") : (heads[head] ?? heads["class"]);
}

/** Top-1 of each line of the table, with what it is compared with. */
export function summariseResults(table: AblationTable, records: readonly ResultRecord[]): Summary[] {
  return summarise(
    records.flatMap(({ line, seed, acc1 }) =>
      acc1 === "" ? [] : [{ line, seed: Number(seed), value: Number(acc1) }],
    ),
    comparisonsOf(table),
  );
}

/** Each line against its row's baseline, then the table's contrasts; a head is compared with the same head. */
export function comparisonsOf({ rows, contrasts = [] }: AblationTable): Comparison[] {
  const named = (name: string | undefined): AblationRow | undefined => rows.find((row) => row.name === name);
  const lines = rows.flatMap((row) => {
    const baseline = named(row.against ?? rows[0]?.name);
    return linesOf(row).map((line): Comparison => ({
      name: line.name,
      line: line.name,
      against: baseline === row ? undefined : counterpart(line, baseline)?.name,
    }));
  });
  const contrasted = contrasts.flatMap(({ name, row, against }) => {
    const own = named(row);
    const [other, all] = [named(against), own === undefined ? [] : linesOf(own)];
    return all.map((line): Comparison => ({
      name: all.length > 1 ? `${name}: ${HEADS[line.head]}` : name,
      line: line.name,
      against: counterpart(line, other)?.name,
    }));
  });
  return [...lines, ...contrasted];
}

const HEADS: Readonly<Record<AblationLine["head"], string>> = {
  class: "class head",
  distillation: "distillation head",
  joint: "both heads",
  average: "average",
};

/** The line of the same head; of a row without one, the last, which is that of all its heads. */
function counterpart({ head }: AblationLine, row: AblationRow | undefined): AblationLine | undefined {
  const lines = row === undefined ? [] : linesOf(row);
  return lines.find((line) => line.head === head) ?? lines.at(-1);
}
