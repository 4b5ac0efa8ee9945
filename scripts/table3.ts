/**
 * Runs the study of recipes/table3-cifar10.ts: how a convnet is best learnt from.
 *
 *   node scripts/table3.ts --teacher TEACHER --phase tune     into results/table3-cifar10-tuning.csv
 *   node scripts/table3.ts --teacher TEACHER --phase final    into results/table3-cifar10.csv
 *
 * `tune` tries every row with the same number of settings on 45,000 training pictures' subset and measures on the other
 * 5,000; the test pictures are not looked at. `final` takes each row's best setting, trains it with fresh seeds and
 * measures on the 10,000 test pictures. The same command goes on where it stopped; `--jobs N` trains N at a time with
 * one thread each. The teacher's answers are kept under --runs and shared by the rows of a seed.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Table3Row } from "../recipes/table3-cifar10.ts";
import { learningRates, recipe, rows } from "../recipes/table3-cifar10.ts";
import { parseTrainOptions } from "../src/config/resolve.ts";
import type { TrainInput, TrainOptions } from "../src/config/schema.ts";
import { needsTeacher } from "../src/distillation/teacher.ts";
import type { EpochRecord } from "../src/training/run-log.ts";
import { train } from "../src/training/train.ts";
import { finishedLog, readTable, runTasks, sumOf, writeTable } from "./study.ts";

const { values } = parseArgs({
  options: {
    teacher: { type: "string" },
    phase: { type: "string", default: "final" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string", default: String(recipe.epochs) },
    "tuning-epochs": { type: "string", default: "5" },
    jobs: { type: "string", default: "2" },
    runs: { type: "string", default: "runs/table3-cifar10" },
    results: { type: "string", default: "results" },
    run: { type: "string" },
  },
});

interface Run {
  readonly row: Table3Row;
  readonly seed: number;
  readonly setting: TrainInput;
  readonly epochs: number;
  readonly holdOut: boolean;
  readonly folder: string;
}

/** No final run has this seed: another subset, another split, other weights. */
const TUNING_SEED = 100;
const TUNING = join(values.results, "table3-cifar10-tuning.csv");
const FINAL = join(values.results, "table3-cifar10.csv");
const TUNING_COLUMNS = ["row", "setting", "seed", "epochs", "held_out_acc1", "minutes"];
const FINAL_COLUMNS = [
  "line",
  "row",
  "seed",
  "setting",
  "epochs",
  "acc1",
  "minutes",
  "teacher_minutes",
  "paper",
];

/** Rows that wait for the teacher come first: the others fill the time, and the next ones find its answers. */
const inOrder = rows.toSorted((a, b) => order(a) - order(b));

function order({ name }: Table3Row): number {
  return ["soft", "none", "two class tokens", "hard", "token"].indexOf(name);
}

const tuningRuns: Run[] = [0, 1].flatMap((i) =>
  learningRates.flatMap((lr) =>
    inOrder.map((row) => {
      const setting = { ...row.tuned[i], lr };
      return run({ row, setting, seed: TUNING_SEED, epochs: Number(values["tuning-epochs"]), holdOut: true });
    }),
  ),
);

function run(parts: Omit<Run, "folder">): Run {
  const slug = `${parts.row.name}-${describe(parts.setting)}-${parts.epochs}-epochs-seed-${parts.seed}`;
  const name = slug.toLowerCase().replaceAll(/[^a-z0-9.]+/g, "-");
  return { ...parts, folder: join(values.runs, parts.holdOut ? "tuning" : "final", name) };
}

function describe(setting: TrainInput): string {
  return Object.entries(setting)
    .map(([key, value]) => `${key} ${value}`)
    .join(" ");
}

/** Each row's best setting on the held-out pictures; the first one, should two be equal. */
async function finalRuns(): Promise<Run[]> {
  const table = await readTable(TUNING, 3);
  const chosen = new Map(
    rows.map((row) => {
      const tried = tuningRuns
        .filter((candidate) => candidate.row === row)
        .map(({ setting, seed }) => {
          const cells = table.get([row.name, describe(setting), seed].join());
          return { setting, acc1: cells === undefined ? undefined : Number(cells[4]) };
        });
      const missing = tried.find(({ acc1 }) => acc1 === undefined);
      if (missing !== undefined) {
        console.error(`${TUNING} lacks ${row.name}, ${describe(missing.setting)}: run --phase tune first`);
        process.exit(1);
      }
      const [best] = tried.toSorted((a, b) => (b.acc1 ?? 0) - (a.acc1 ?? 0));
      return [row, best?.setting ?? {}];
    }),
  );
  const epochs = Number(values.epochs);
  return values.seeds
    .split(",")
    .map(Number)
    .flatMap((seed) =>
      inOrder.map((row) => run({ row, setting: chosen.get(row) ?? {}, seed, epochs, holdOut: false })),
    );
}

function optionsOf({ row, setting, seed, epochs, holdOut, folder }: Run): TrainOptions {
  const input: TrainInput = { ...recipe, ...row.change, ...setting };
  const options = parseTrainOptions({ ...input, seed, epochs, holdOut, threads: 1, outputDir: folder });
  if (!needsTeacher(options)) return options;
  return {
    ...options,
    teacherPath: values.teacher ?? null,
    teacherCache: join(values.runs, "answers"),
  };
}

function acc1Of(log: readonly EpochRecord[], head: string): number {
  const heads = log.at(-1)?.["test_heads"] as Record<string, { acc1: number }> | undefined;
  return heads?.[head]?.acc1 ?? Number.NaN;
}

async function record(runs: readonly Run[]): Promise<void> {
  const [file, columns, keys] =
    values.phase === "tune" ? [TUNING, TUNING_COLUMNS, 3] : [FINAL, FINAL_COLUMNS, 3];
  const table = await readTable(file, keys);
  for (const { row, setting, seed, epochs, folder } of runs) {
    const log = await finishedLog(folder, epochs);
    if (log === undefined) continue;
    const minutes = (sumOf(log, "seconds") / 60).toFixed(2);
    if (values.phase === "tune") {
      const acc1 = log.at(-1)?.test_acc1 ?? 0;
      table.set([row.name, describe(setting), seed].join(), [
        ...[row.name, describe(setting), seed, epochs].map(String),
        acc1.toFixed(2),
        minutes,
      ]);
      continue;
    }
    const teaching = (sumOf(log, "teacher_seconds") / 60).toFixed(2);
    for (const { name, head, paper } of row.lines) {
      table.set([name, row.name, seed].join(), [
        ...[name, row.name, seed, describe(setting), epochs].map(String),
        acc1Of(log, head).toFixed(2),
        minutes,
        teaching,
        String(paper ?? ""),
      ]);
    }
  }
  const names = rows.flatMap((row) =>
    values.phase === "tune" ? [row.name] : row.lines.map(({ name }) => name),
  );
  await writeTable(file, columns, table, ([name = ""]) => names.indexOf(name));
}

const runs = values.phase === "tune" ? tuningRuns : await finalRuns();
if (values.run !== undefined) {
  const chosen = runs.find(({ folder }) => folder === values.run);
  if (chosen === undefined) throw new Error(`no run ${values.run}`);
  const { last, seconds } = await train(optionsOf(chosen));
  console.error(
    `${chosen.row.name}, ${describe(chosen.setting)}, seed ${chosen.seed}: ${last.acc1} %, ${Math.round(seconds)} s`,
  );
} else {
  if (values.teacher === undefined) {
    console.error(
      "which teacher? --teacher FILE, trained on CIFAR-10 (a .safetensors or .onnx file, or a run folder)",
    );
    process.exit(2);
  }
  await mkdir(values.runs, { recursive: true });
  await mkdir(values.results, { recursive: true });
  const open: Run[] = [];
  for (const candidate of runs)
    if ((await finishedLog(candidate.folder, candidate.epochs)) === undefined) open.push(candidate);
  await runTasks(
    open.map(({ folder }) => ({ name: folder, args: ["--run", folder] })),
    { jobs: Number(values.jobs), done: async () => record(runs) },
  );
  await record(runs);
  console.error(`${values.phase === "tune" ? TUNING : FINAL}: ${runs.length} runs`);
}
