/** What the studies share: trainings side by side in processes of their own, and tables that grow row by row. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import type { EpochRecord } from "../packages/deit/src/training/run-log.ts";

/** Runs this script once for each task, `jobs` at a time, with `args` added to its own, and calls `done` after each; failed ones are told at the end. */
export async function runTasks(
  tasks: readonly { readonly name: string; readonly args: readonly string[] }[],
  { jobs, done }: { jobs: number; done: () => Promise<void> },
): Promise<void> {
  const queue = [...tasks];
  const failed: string[] = [];
  const work = async (): Promise<void> => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
      const own = process.argv.slice(1);
      const child = spawn(process.execPath, [...own, ...task.args], { stdio: "inherit" });
      const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
      if (code !== 0) failed.push(task.name);
      await done();
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  if (failed.length > 0) {
    console.error(`not finished: ${failed.join("; ")}; the same command goes on`);
    process.exitCode = 1;
  }
}

/** A csv file by the first `keys` cells of its lines; empty when there is none. No cell has a comma in it. */
export async function readTable(file: string, keys: number): Promise<Map<string, string[]>> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));
  return new Map(lines.map((cells) => [cells.slice(0, keys).join(), cells]));
}

/** Writes such a file, lines in the order of `rank`, then of their keys. */
export async function writeTable(
  file: string,
  columns: readonly string[],
  table: ReadonlyMap<string, readonly string[]>,
  rank: (cells: readonly string[]) => number,
): Promise<void> {
  const sorted = [...table].toSorted((a, b) => rank(a[1]) - rank(b[1]) || (a[0] < b[0] ? -1 : 1));
  await writeFile(
    file,
    `${[columns, ...sorted.map(([, cells]) => cells)].map((cells) => cells.join()).join("\n")}\n`,
  );
}

/** Total of a number that every epoch's record has. */
export function sumOf(log: readonly EpochRecord[], key: string): number {
  return log.reduce((total, record) => total + Number(record[key] ?? 0), 0);
}
