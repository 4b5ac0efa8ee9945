/**
 * Runs the ablation of recipes/ablation-cifar10.ts, and writes results/ablation-cifar10.csv from what is done:
 *
 *   node scripts/ablation.ts --epochs 4 --seeds 0,1,2
 *
 * The first seed trains every row, the others the whole recipe alone: its spread is what a difference is held
 * against. Each run has a folder under --runs; the same command goes on where it stopped, and rows that are in the
 * table are not run again. `--row` picks rows by name, several times; `--jobs N` trains N at a time with one thread each.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AblationRow } from "../recipes/ablation-cifar10.ts";
import { recipe, rows } from "../recipes/ablation-cifar10.ts";
import { parseTrainOptions } from "../src/config/resolve.ts";
import type { TrainOptions } from "../src/config/schema.ts";
import { isRunFolder, readRun } from "../src/training/run-folder.ts";
import { train } from "../src/training/train.ts";

const { values } = parseArgs({
  options: {
    epochs: { type: "string", default: "4" },
    seeds: { type: "string", default: "0,1,2" },
    row: { type: "string", multiple: true },
    runs: { type: "string", default: "runs/ablation-cifar10" },
    jobs: { type: "string", default: "1" },
    threads: { type: "string" },
    job: { type: "string" },
  },
});

interface Run {
  readonly row: AblationRow;
  readonly seed: number;
  readonly epochs: number;
  readonly folder: string;
}

const epochsList = values.epochs.split(",").map(Number);
const [firstSeed = 0, ...otherSeeds] = values.seeds.split(",").map(Number);
const chosen = values.row;
const unknown = chosen?.find((name) => !rows.some((row) => row.name === name));
if (unknown !== undefined) {
  console.error(`unknown row "${unknown}"; rows: ${rows.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const wanted = rows.filter(({ name }) => chosen?.includes(name) ?? true);
const planned: Run[] = epochsList.flatMap((epochs) =>
  [
    ...wanted.map((row) => ({ row, seed: firstSeed })),
    ...otherSeeds.flatMap((seed) =>
      wanted.slice(0, chosen ? wanted.length : 1).map((row) => ({ row, seed })),
    ),
  ].map((run) => ({ ...run, epochs, folder: folderOf(run.row, run.seed, epochs) })),
);

function folderOf({ name }: AblationRow, seed: number, epochs: number): string {
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return join(values.runs, `${slug}-${epochs}-epochs-seed-${seed}`);
}

function optionsOf({ row, seed, epochs, folder }: Run): TrainOptions {
  return parseTrainOptions({
    ...recipe,
    ...row.change,
    seed,
    epochs,
    outputDir: folder,
    ...(values.threads !== undefined && { threads: Number(values.threads) }),
  });
}

const COLUMNS =
  "row,seed,epochs,acc1,acc5,test_loss,train_loss,minutes,waiting_share,paper_deit_b_224_imagenet";
const RESULTS = "results/ablation-cifar10.csv";

/** The lines that are there, by row, seed and epochs: runs of other machines and days stay in the table. */
async function readResults(): Promise<Map<string, string>> {
  const text = await readFile(RESULTS, "utf8").catch(() => "");
  const lines = text.trim().split("\n").slice(1);
  return new Map(lines.map((line) => [/^(?:"[^"]*"|[^,]*),\d+,\d+/.exec(line)?.[0] ?? line, line]));
}

function keyOf({ row, seed, epochs }: Run): string {
  return `${row.name.includes(",") ? `"${row.name}"` : row.name},${seed},${epochs}`;
}

/** The line of a finished run. The EMA row's accuracy is that of the average. */
async function lineOf(run: Run): Promise<string | undefined> {
  if (!(await isRunFolder(run.folder))) return undefined;
  const { log } = await readRun(run.folder);
  const last = log.at(-1);
  if (log.length < run.epochs || last?.test_acc1 === undefined) return undefined;
  const averaged = run.row.change.modelEma === true ? "_ema" : "";
  const sum = (key: string): number => log.reduce((total, record) => total + Number(record[key] ?? 0), 0);
  const cells = [
    keyOf(run),
    last[`test${averaged}_acc1`],
    last[`test${averaged}_acc5`],
    Number(last[`test${averaged}_loss`]).toFixed(4),
    last.train_loss.toFixed(4),
    (sum("seconds") / 60).toFixed(2),
    (sum("waiting_seconds") / sum("seconds")).toFixed(3),
    run.row.paper ?? "",
  ];
  return cells.map((cell) => (typeof cell === "object" ? "" : String(cell))).join(",");
}

/** Adds the finished runs to the table, rows in the order of the recipe. */
async function writeResults(): Promise<number> {
  const lines = await readResults();
  for (const run of planned) {
    const line = await lineOf(run);
    if (line !== undefined) lines.set(keyOf(run), line);
  }
  const rank = ([key]: [string, string]): number =>
    rows.findIndex(({ name }) => key.startsWith(`${name},`) || key.startsWith(`"${name}",`));
  const sorted = [...lines].toSorted((a, b) => rank(a) - rank(b) || (a[0] < b[0] ? -1 : 1));
  await writeFile(RESULTS, `${[COLUMNS, ...sorted.map(([, line]) => line)].join("\n")}\n`);
  return lines.size;
}

await mkdir(values.runs, { recursive: true });
const jobs = Number(values.jobs);
if (jobs > 1) {
  const args = process.argv.slice(1);
  await Promise.all(
    Array.from({ length: jobs }, async (_, i) => {
      const child = spawn(
        process.execPath,
        [...args, "--jobs", "1", "--threads", "1", "--job", `${i}/${jobs}`],
        {
          stdio: "inherit",
        },
      );
      return new Promise((resolve) => child.on("exit", resolve));
    }),
  );
} else {
  const [index = 0, count = 1] = (values.job ?? "0/1").split("/").map(Number);
  const there = await readResults();
  for (const run of planned.filter((run, i) => i % count === index && !there.has(keyOf(run)))) {
    const { best, seconds } = await train(optionsOf(run));
    console.error(
      `${run.row.name}, seed ${run.seed}, ${run.epochs} epochs: ${best.acc1} %, ${Math.round(seconds)} s`,
    );
    if (values.job === undefined) await writeResults();
  }
}
if (values.job === undefined) console.error(`results/ablation-cifar10.csv: ${await writeResults()} runs`);
