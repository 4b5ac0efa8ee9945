/**
 * Transfer of pretrained weights to another dataset: packages/deit/recipes/flowers-finetune.ts and packages/deit/recipes/cifar10-finetune.ts.
 *
 *   npx node scripts/transfer.ts flowers --weights CKPT --data-path DIR --phase tune     into results/flowers-tuning.csv
 *   npx node scripts/transfer.ts flowers --weights CKPT --data-path DIR                  into results/flowers.csv
 *   npx node scripts/transfer.ts flowers --weights CKPT --data-path DIR --phase probe    what is cheaper, into the same
 *   npx node scripts/transfer.ts cifar10 --weights CKPT                                  into results/cifar10-transfer.csv
 *
 * `tune` tries the recipe's settings at the smallest size on a part of the training images, held back; the validation
 * images are not looked at. `final` takes the best, trains at every size and measures on the validation images once,
 * after the last epoch; `--seeds` repeats it. The same command goes on where it stopped. `probe` leaves the weights as they
 * are: nearest neighbours and a linear probe on their features.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as cifar10 from "../packages/deit/recipes/cifar10-finetune.ts";
import * as flowers from "../packages/deit/recipes/flowers-finetune.ts";
import { finishedLog } from "../packages/lab/src/ablation/run.ts";
import { probe } from "../packages/lab/src/probe.ts";
import { parseTrainOptions } from "../packages/deit/src/config/resolve.ts";
import type { TrainInput } from "../packages/deit/src/config/schema.ts";
import { planTraining } from "../packages/deit/src/training/plan.ts";
import { train } from "../packages/deit/src/training/train.ts";
import { readTable, runTasks, sumOf, writeTable } from "./study.ts";

/** A recipe of transfer. */
interface Study {
  readonly recipe: TrainInput & { readonly epochs: number };
  /** In pixels. */
  readonly sizes: readonly number[];
  /** Settings that are tried. */
  readonly tuned: readonly TrainInput[];
  /** What a trial has instead: fewer epochs, and the part of the training images that is held back. */
  readonly trial: TrainInput & { readonly valSplit: number };
}

const STUDIES: Record<string, Study & { readonly table: string }> = {
  flowers: { ...flowers, table: "flowers" },
  cifar10: { ...cifar10, table: "cifar10-transfer" },
};

const {
  values,
  positionals: [name = ""],
} = parseArgs({
  allowPositionals: true,
  options: {
    weights: { type: "string" },
    "data-path": { type: "string" },
    phase: { type: "string", default: "final" },
    seeds: { type: "string", default: "0" },
    sizes: { type: "string" },
    runs: { type: "string" },
    results: { type: "string", default: "results" },
    run: { type: "string" },
  },
});
const { weights, "data-path": dataPath } = values;
const study = STUDIES[name];
if (study === undefined || weights === undefined || !["tune", "final", "probe"].includes(values.phase)) {
  console.error(
    `${Object.keys(STUDIES).join("|")} --weights CKPT [--data-path DIR] [--phase tune|final|probe] [--seeds 0,1] [--sizes 160,224]`,
  );
  process.exit(2);
}
const { recipe, sizes, tuned, trial } = study;
const runsFolder = values.runs ?? join("runs", study.table);
const epochsOf = ({ tuning }: Pick<Run, "tuning">): number =>
  tuning ? (trial.epochs ?? recipe.epochs) : recipe.epochs;

interface Run {
  readonly setting: TrainInput;
  readonly size: number;
  readonly seed: number;
  readonly tuning: boolean;
  readonly folder: string;
}

const TUNING = join(values.results, `${study.table}-tuning.csv`);
const FINAL = join(values.results, `${study.table}.csv`);
const COLUMNS = ["method", "setting", "size", "seed", "epochs", "acc1", "acc5", "minutes"];
const TUNING_SEED = 100;

function describe(setting: TrainInput): string {
  return Object.entries(setting)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
    .join(" ");
}

function planned(parts: Omit<Run, "folder">): Run {
  const words = `${parts.tuning ? "tuning" : "final"}-${describe(parts.setting)}-${parts.size}-seed-${parts.seed}`;
  return { ...parts, folder: join(runsFolder, words.replaceAll(/[^a-z0-9.]+/gi, "-").toLowerCase()) };
}

async function bestSetting(): Promise<TrainInput> {
  const table = await readTable(TUNING, 4);
  const results = tuned.map((setting) => {
    const cells = [...table.values()].find((row) => row[1] === describe(setting));
    if (cells !== undefined) return { setting, acc1: Number(cells[5]) };
    console.error(`${TUNING} lacks ${describe(setting)}: run --phase tune first`);
    process.exit(1);
  });
  return results.toSorted((a, b) => b.acc1 - a.acc1)[0]?.setting ?? {};
}

const runs: Run[] =
  values.phase === "tune"
    ? tuned.map((setting) => planned({ setting, size: sizes[0] ?? 160, seed: TUNING_SEED, tuning: true }))
    : await bestSetting().then((setting) =>
        values.seeds
          .split(",")
          .flatMap((seed) =>
            (values.sizes?.split(",") ?? sizes).map((size) =>
              planned({ setting, size: Number(size), seed: Number(seed), tuning: false }),
            ),
          ),
      );

/** Adds nearest neighbours and a linear probe at one size. The minutes are those of the features and the fit. */
async function measureProbes(size: number): Promise<void> {
  const { dataPath: folder, dataSet } = parseTrainOptions({
    ...recipe,
    ...(dataPath !== undefined && { dataPath }),
  });
  const { knn, linear, seconds } = await probe({
    checkpoint: weights ?? "",
    dataPath: folder,
    dataSet,
    inputSize: size,
  });
  const table = await readTable(FINAL, 4);
  const add = (
    method: string,
    setting: string,
    { acc1, acc5 }: { acc1: number; acc5?: number },
    own: number,
  ): void => {
    const key = [method, setting, String(size), ""];
    const minutes = ((seconds.features + own) / 60).toFixed(1);
    table.set(key.join(), [...key, "", acc1.toFixed(2), acc5?.toFixed(2) ?? "", minutes]);
  };
  add("nearest neighbours", `k ${knn.k}`, knn, seconds.knn);
  add("linear probe", `l2 ${linear.l2}`, linear, seconds.linear);
  await writeTable(FINAL, COLUMNS, table, () => 0);
  console.error(
    `${size} pixels: nearest neighbours ${knn.acc1.toFixed(2)} %, linear probe ${linear.acc1.toFixed(2)} %`,
  );
}

/** Adds what is finished to the table. */
async function record(): Promise<void> {
  const file = values.phase === "tune" ? TUNING : FINAL;
  const table = await readTable(file, 4);
  for (const run of runs) {
    const { setting, size, seed, folder } = run;
    const log = await finishedLog(folder, epochsOf(run));
    const last = log?.at(-1);
    if (log === undefined || last === undefined) continue;
    const key = ["fine-tuning", describe(setting), String(size), String(seed)];
    const minutes = (sumOf(log, "seconds") / 60).toFixed(1);
    const [acc1 = 0, acc5 = 0] = [last.test_acc1, last.test_acc5];
    table.set(key.join(), [...key, String(epochsOf(run)), acc1.toFixed(2), acc5.toFixed(2), minutes]);
  }
  await writeTable(file, COLUMNS, table, () => 0);
}

if (values.phase === "probe") {
  for (const size of values.sizes?.split(",").map(Number) ?? sizes) await measureProbes(size);
} else if (values.run === undefined) {
  const open: Run[] = [];
  for (const candidate of runs)
    if ((await finishedLog(candidate.folder, epochsOf(candidate))) === undefined) open.push(candidate);
  // one after the other: each takes all cores, so that its minutes mean something
  await runTasks(
    open.map(({ folder }) => ({ name: folder, args: ["--run", folder] })),
    { jobs: 1, done: record },
  );
  await record();
} else {
  const chosen = runs.find(({ folder }) => folder === values.run);
  if (chosen === undefined) throw new Error(`no run ${values.run}`);
  const { setting, size, seed, tuning, folder } = chosen;
  const options = parseTrainOptions({
    ...recipe,
    ...setting,
    finetune: weights,
    ...(dataPath !== undefined && { dataPath }),
    inputSize: size,
    seed,
    holdOut: tuning,
    ...(tuning && trial),
    outputDir: folder,
  });
  const { last, seconds } = await train(planTraining(options));
  console.error(
    `${describe(setting)}, ${size} pixels, seed ${seed}: ${last.acc1} %, ${Math.round(seconds)} s`,
  );
}
