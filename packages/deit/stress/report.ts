/** The row that each part of a stress run leaves in results/reliability.csv. */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parse } from "csv-parse/sync";
import { csv } from "../src/formats/csv.ts";

export interface PartResult {
  /** Files, kills, times that the lock was held, images: what the part counts. */
  readonly count: number;
  readonly faults: readonly string[];
  readonly worstSeconds: number;
  /** Undefined where memory is not what the part is about. */
  readonly worstBytes: number | undefined;
}

const COLUMNS = [
  "date",
  "version",
  "part",
  "seed",
  "count",
  "faults",
  "worst_seconds",
  "worst_mb",
  "processor",
  "command",
] as const;
const TABLE = fileURLToPath(new URL("../../../results/reliability.csv", import.meta.url));

/** When the run began: a checkout may have moved on when it ends. */
const VERSION = commit();

interface Part {
  readonly part: string;
  readonly seed: number;
  readonly command: string;
  /** Adds to the last row of this part and version, if there is one. */
  readonly more: boolean;
}

export async function record(
  { part, seed, command, more }: Part,
  { count, faults, worstSeconds, worstBytes }: PartResult,
  table: string = TABLE,
): Promise<void> {
  const text = await readFile(table, "utf8").catch(() => csv([COLUMNS]));
  const rows: Record<string, string>[] = parse(text, { columns: true });
  const before = more
    ? rows.findLast((row) => row["part"] === part && row["version"] === VERSION)
    : undefined;
  const row = before ?? { seed: String(seed), count: "0", faults: "0", worst_seconds: "0", worst_mb: "" };
  if (before === undefined) rows.push(row);
  const megabytes =
    worstBytes === undefined ? undefined : Math.max(Number(row["worst_mb"]), Math.round(worstBytes / 1e6));
  Object.assign(row, {
    date: new Date().toISOString().slice(0, 10),
    version: VERSION,
    part,
    count: String(Number(row["count"]) + count),
    faults: String(Number(row["faults"]) + faults.length),
    worst_seconds: Math.max(Number(row["worst_seconds"]), worstSeconds).toFixed(2),
    worst_mb: megabytes === undefined ? "" : String(megabytes),
    processor: `${cpus()[0]?.model ?? process.arch}, ${cpus().length} cores`,
    command: before === undefined ? command : `${row["command"]}; ${command} --more`,
  });
  const cells = rows.map((each) => COLUMNS.map((name) => each[name] ?? ""));
  await writeFile(table, csv([COLUMNS, ...cells]));
}

/** Of the sources that run; with + when they were changed since. */
function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
    const isChanged = git("status", "--porcelain", "--", "packages") !== "";
    return git("rev-parse", "--short", "HEAD") + (isChanged ? "+" : "");
  } catch {
    return ""; // no checkout
  }
}
