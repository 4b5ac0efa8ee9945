/**
 * Runs the studies of packages/deit/recipes/table3-cifar10.ts: how a convnet is best learnt from, and whether fine-tuning at a higher
 * resolution wants it, too.
 *
 *   npx node scripts/table3.ts --teacher TEACHER --phase tune                      into results/table3-cifar10-tuning.csv
 *   npx node scripts/table3.ts --teacher TEACHER --phase final                     into results/table3-cifar10.csv
 *   npx node scripts/table3.ts --teacher TEACHER --study finetune --phase tune     into results/finetune-cifar10-tuning.csv
 *   npx node scripts/table3.ts --teacher TEACHER --study finetune --phase final    into results/finetune-cifar10.csv
 *
 * `tune` tries every row with the same number of settings on images out of 45,000 training images and measures on the
 * other 5,000; the test images are not looked at. `final` takes each row's best setting, trains it with fresh seeds and
 * measures on the 10,000 test images. The same command goes on where it stopped; `--jobs N` trains N at a time with one
 * thread each. The teacher's answers are kept under --runs and shared by the rows of a seed.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { StudyRow } from "../packages/deit/recipes/table3-cifar10.ts";
import { finetuneRecipe, finetuneRows, recipe, rows } from "../packages/deit/recipes/table3-cifar10.ts";
import { finishedLog } from "../packages/lab/src/ablation/run.ts";
import { parseTrainOptions } from "../packages/deit/src/config/resolve.ts";
import type { TrainInput, TrainOptions } from "../packages/deit/src/config/schema.ts";
import { needsTeacher } from "../packages/deit/src/distillation/distillation-request.ts";
import { planTraining } from "../packages/deit/src/training/plan.ts";
import { train } from "../packages/deit/src/training/train.ts";
import { readTable, runTasks, sumOf, writeTable } from "./study.ts";

const { values } = parseArgs({
  options: {
    teacher: { type: "string" },
    study: { type: "string", default: "table3" },
    phase: { type: "string", default: "final" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string" },
    jobs: { type: "string", default: "2" },
    runs: { type: "string", default: "runs/table3-cifar10" },
    results: { type: "string", default: "results" },
    run: { type: "string" },
  },
});

interface Study {
  /** The tables' names. */
  readonly name: string;
  readonly recipe: TrainInput & { readonly epochs: number };
  readonly rows: readonly StudyRow[];
  readonly tuningEpochs: number;
}

interface Run {
  readonly row: StudyRow;
  readonly seed: number;
  readonly setting: TrainInput;
  readonly epochs: number;
  readonly tuning: boolean;
  readonly folder: string;
}

const STUDIES: Readonly<Record<string, Study>> = {
  table3: { name: "table3-cifar10", recipe, rows, tuningEpochs: 5 },
  finetune: { name: "finetune-cifar10", recipe: finetuneRecipe, rows: finetuneRows, tuningEpochs: 2 },
};
const study = STUDIES[values.study];
if (study === undefined || !["tune", "final"].includes(values.phase)) {
  console.error("--study table3|finetune, --phase tune|final");
  process.exit(2);
}

/** No final run has this seed: another subset, another split, other weights. */
const TUNING_SEED = 100;
const TUNING = join(values.results, `${study.name}-tuning.csv`);
const FINAL = join(values.results, `${study.name}.csv`);
const TUNING_COLUMNS = ["row", "setting", "seed", "epochs", "held_out_acc1", "minutes"];
const FINAL_COLUMNS =
  "line,row,seed,setting,epochs,acc1,minutes,teacher_minutes,cosine_of_tokens,cosine_of_token_parameters,paper";

/** Rows that wait for the teacher come first: the others fill the time, and the next ones find its answers. */
const ORDER = ["soft", "none", "two class tokens", "hard", "token"];
const inOrder = study.rows.toSorted((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));

function planned(study: Study, row: StudyRow, parts: Omit<Run, "row" | "folder" | "epochs">): Run {
  const own = parts.tuning ? study.tuningEpochs : Number(values.epochs ?? study.recipe.epochs);
  const words = `${row.name}-${describe(parts.setting)}-${own}-epochs-seed-${parts.seed}`;
  const kind = parts.tuning ? "tuning" : "final";
  const part = study.name.startsWith("table3") ? kind : join("finetune", kind);
  const folder = join(values.runs, part, words.toLowerCase().replaceAll(/[^a-z0-9.]+/g, "-"));
  return { row, ...parts, epochs: own, folder };
}

function tuningRuns(of: Study, among = of.rows): Run[] {
  const settings = among.map((row) => row.settings.length);
  return Array.from({ length: Math.max(...settings) }, (_, i) =>
    among.map((row) => planned(of, row, { setting: row.settings[i] ?? {}, seed: TUNING_SEED, tuning: true })),
  ).flat();
}

function describe(setting: TrainInput): string {
  return Object.entries(setting)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
    .join(" ");
}

/** A row's run with the best result on the held-out images; the first one, should two be equal. */
async function bestTuning(of: Study, row: StudyRow): Promise<Run> {
  const file = join(values.results, `${of.name}-tuning.csv`);
  const table = await readTable(file, 3);
  const tried = tuningRuns(of, [row]).map((run) => {
    const cells = table.get([row.name, describe(run.setting), run.seed].join());
    if (cells !== undefined) return { run, acc1: Number(cells[4]) };
    console.error(`${file} lacks ${row.name}, ${describe(run.setting)}: run --phase tune first`);
    process.exit(1);
  });
  const [best] = tried.toSorted((a, b) => b.acc1 - a.acc1);
  if (best === undefined) throw new Error(`${row.name} has no settings`);
  return best.run;
}

async function finalRuns(of: Study, among = of.rows): Promise<Run[]> {
  const settings = new Map<StudyRow, TrainInput>();
  for (const row of among) settings.set(row, (await bestTuning(of, row)).setting);
  return values.seeds
    .split(",")
    .map(Number)
    .flatMap((seed) =>
      among.map((row) => planned(of, row, { setting: settings.get(row) ?? {}, seed, tuning: false })),
    );
}

/** The student that a fine-tuning starts from: the distilled one of the same seed. */
async function student({ seed, tuning }: Run): Promise<string> {
  const table3 = STUDIES["table3"];
  const row = rows.find(({ name }) => name === "token");
  if (table3 === undefined || row === undefined) throw new Error("there is no distilled row");
  if (tuning) return (await bestTuning(table3, row)).folder;
  const [found] = (await finalRuns(table3, [row])).filter((run) => run.seed === seed);
  return found?.folder ?? "";
}

async function optionsOf(of: Study, run: Run): Promise<TrainOptions> {
  const { row, setting, seed, epochs, tuning, folder } = run;
  const options = parseTrainOptions({
    ...of.recipe,
    ...row.change,
    ...setting,
    ...(of.name.startsWith("finetune") && { finetune: await student(run) }),
    seed,
    epochs,
    holdOut: tuning,
    threads: 1,
    outputDir: folder,
  });
  if (!needsTeacher(options)) return options;
  return { ...options, teacherPath: values.teacher ?? null, teacherCache: join(values.runs, "answers") };
}

/** Adds what is finished to the phase's table. */
async function record(of: Study, runs: readonly Run[]): Promise<void> {
  const tuning = values.phase === "tune";
  const [file, columns] = tuning ? [TUNING, TUNING_COLUMNS] : [FINAL, FINAL_COLUMNS.split(",")];
  const table = await readTable(file, 3);
  for (const { row, setting, seed, epochs, folder } of runs) {
    const log = await finishedLog(folder, epochs);
    const last = log?.at(-1);
    if (log === undefined || last === undefined) continue;
    const minutes = (sumOf(log, "seconds") / 60).toFixed(2);
    if (tuning) {
      const key = [row.name, describe(setting), String(seed)];
      table.set(key.join(), [...key, String(epochs), (last.test_acc1 ?? 0).toFixed(2), minutes]);
      continue;
    }
    const heads = last["test_heads"] as Readonly<Record<string, { readonly acc1: number }>>;
    const tokens = last["test_token_similarity"] as
      | { readonly lastLayer: number; readonly parameters: number }
      | undefined;
    for (const { name, head, paper } of row.lines) {
      const key = [name, row.name, String(seed)];
      table.set(key.join(), [
        ...key,
        describe(setting),
        String(epochs),
        (heads[head]?.acc1 ?? Number.NaN).toFixed(2),
        minutes,
        (sumOf(log, "teacher_seconds") / 60).toFixed(2),
        tokens?.lastLayer.toFixed(3) ?? "",
        tokens?.parameters.toFixed(3) ?? "",
        String(paper ?? ""),
      ]);
    }
  }
  const names = of.rows.flatMap((row) => (tuning ? [row.name] : row.lines.map(({ name }) => name)));
  await writeTable(file, columns, table, ([name = ""]) => names.indexOf(name));
}

const runs = values.phase === "tune" ? tuningRuns(study, inOrder) : await finalRuns(study, inOrder);
if (values.run !== undefined) {
  const chosen = runs.find(({ folder }) => folder === values.run);
  if (chosen === undefined) throw new Error(`no run ${values.run}`);
  const { last, seconds } = await train(planTraining(await optionsOf(study, chosen)));
  const { row, setting, seed } = chosen;
  console.error(`${row.name}, ${describe(setting)}, seed ${seed}: ${last.acc1} %, ${Math.round(seconds)} s`);
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
    { jobs: Number(values.jobs), done: async () => record(study, runs) },
  );
  await record(study, runs);
  console.error(`${values.phase === "tune" ? TUNING : FINAL}: ${runs.length} runs`);
}
