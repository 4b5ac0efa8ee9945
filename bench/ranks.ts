/**
 * Training steps of two ranks with one thread each beside one process with two threads, in turns, and four ranks where there
 * are as many cores; how much of a step is the exchange of gradients. Images are noise, a step of a distilled model learns
 * from labels with both heads. On an idle machine the ratios say what MPI costs; beside other work they say little.
 *
 *   npx node bench/ranks.ts [--rounds 5] [--seconds 20] [--model NAME --batch-size 8] [--ranks 2] [--mpirun mpirun]
 *       [--out results/scaling.csv]
 */
import { execFileSync } from "node:child_process";
import { appendFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../packages/lab/src/bench/timing.ts";
import { createModel } from "../packages/deit/src/models/registry.ts";
import { initialVectors, modelLayout } from "../packages/deit/src/nn/parameters.ts";
import { softTargetCrossEntropy } from "../packages/deit/src/nn/losses.ts";
import { adamW } from "../packages/deit/src/optim/adamw.ts";
import { add, mul } from "../packages/deit/src/graph/ops.ts";
import { createRandom } from "../packages/deit/src/random.ts";
import { joinRanks } from "../packages/deit/src/ranks/mpi-ranks.ts";
import { createRuntime } from "../packages/deit/src/runtime/node.ts";
import { clearGradients, restoreProgress } from "../packages/deit/src/training/loop/run-progress.ts";
import { shareUpdates } from "../packages/deit/src/training/loop/share-update.ts";
import { hyperFeeds, smoothTargets } from "../packages/deit/src/training/loop/step-feeds.ts";
import {
  applyProgram,
  gradProgram,
  stepProgram,
} from "../packages/deit/src/training/loop/training-programs.ts";
import type { Task } from "../packages/deit/src/training/task.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "20" },
    model: { type: "string" },
    "batch-size": { type: "string", default: "8" },
    ranks: { type: "string", default: "2" },
    mpirun: { type: "string", default: "mpirun" },
    out: { type: "string" },
    child: { type: "boolean", default: false },
    threads: { type: "string", default: "1" },
  },
});

/** What one child measures. */
interface Measured {
  readonly imagesPerSecond: number;
  readonly steps: number;
  /** Milliseconds of a step; of them the exchange with the wait for the other ranks, and the exchange alone, in step. */
  readonly step: number;
  readonly exchange: number;
  readonly alone: number;
}

const both: Task = ({ heads, targets }) => {
  const loss = softTargetCrossEntropy(heads.class, targets);
  return {
    loss: heads.distillation
      ? mul(add(loss, softTargetCrossEntropy(heads.distillation, targets)), 0.5)
      : loss,
  };
};

const WARM_UP = 3;

async function measure(name: string, batchSize: number): Promise<void> {
  const ranks = await joinRanks();
  const model = createModel(name);
  const layout = modelLayout(model);
  const optimizer = adamW({ weightDecay: 0.05 });
  const runtime = await createRuntime({ device: "cpu", threads: Number(values.threads) });
  const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;
  const shared = { model, layout, batchSize, target: runtime.target, normalisation };
  const training = { task: both, optimizer };
  const random = createRandom(0);
  await restoreProgress(
    { runtime, layout, optimizer },
    { saved: null, initial: async () => initialVectors(layout, createRandom(0, "weights")) },
  );
  const { inputSize, numClasses } = model.config;
  const labels = Int32Array.from({ length: batchSize }, () => random.integer(numClasses));
  const batch = {
    images: Uint8Array.from({ length: batchSize * 3 * inputSize[0] * inputSize[1] }, () =>
      random.integer(256),
    ),
    targets: smoothTargets(labels, numClasses, 0.1),
  };
  const hyper = hyperFeeds({ layout, optimizer }, { update: 1000, lr: 1e-6 });
  const exchanges: number[] = [];
  const alone: number[] = [];
  let step: () => Promise<unknown>;
  if (ranks === undefined) {
    const program = await runtime.load(stepProgram(shared, training));
    step = async () => program.run({ ...batch, ...hyper });
  } else {
    await clearGradients({ runtime, layout });
    const grad = await runtime.load(gradProgram(shared, training, { batches: ranks.size }));
    const apply = await runtime.load(applyProgram(shared, training));
    const share = shareUpdates({ ranks, runtime, program: grad.program, batches: ranks.size });
    const exchange = async (
      results: Awaited<ReturnType<typeof grad.run>>[],
      times: number[],
    ): Promise<void> => {
      const start = performance.now();
      await share({ results, failure: undefined }, { stop: false, save: false });
      times.push(performance.now() - start);
    };
    step = async () => {
      await exchange([await grad.run(batch)], exchanges);
      await apply.run(hyper);
    };
    for (let i = 0; i < 10; i++) {
      await ranks.meet({ patience: 10 });
      await exchange([], alone);
    }
    await clearGradients({ runtime, layout });
  }
  for (let i = 0; i < WARM_UP; i++) await step();
  exchanges.length = 0;
  const times: number[] = [];
  const start = performance.now();
  // All ranks make the same number of steps: rank 0 says whether there is another.
  for (;;) {
    const isOver = Float64Array.of(Number(performance.now() - start > 1000 * Number(values.seconds)));
    await ranks?.spread([isOver]);
    if (isOver[0] === 1) break;
    const begun = performance.now();
    await step();
    times.push(performance.now() - begun);
  }
  const seconds = (performance.now() - start) / 1000;
  const result: Measured = {
    imagesPerSecond: (times.length * batchSize * (ranks?.size ?? 1)) / seconds,
    steps: times.length,
    step: median(times),
    exchange: median(exchanges),
    alone: median(alone),
  };
  await runtime.close();
  const isFirst = ranks === undefined || ranks.rank === 0;
  await ranks?.leave();
  if (isFirst) console.log(JSON.stringify(result));
}

function child(
  name: string,
  batchSize: number,
  { ranks, threads }: { ranks: number; threads: number },
): Measured {
  const words = [
    fileURLToPath(import.meta.url),
    "--child",
    `--model=${name}`,
    `--batch-size=${batchSize}`,
    `--threads=${threads}`,
    `--seconds=${values.seconds}`,
  ];
  const flags =
    process.getuid?.() === 0 ? { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" } : {};
  const env = {
    ...process.env,
    ...flags,
    OMPI_MCA_rmaps_base_oversubscribe: "1",
    OMPI_MCA_hwloc_base_binding_policy: "none",
  };
  const [file, command] =
    ranks === 1
      ? [process.execPath, words]
      : [values.mpirun, ["-n", String(ranks), process.execPath, ...words]];
  return JSON.parse(execFileSync(file, command, { encoding: "utf8", env })) as Measured;
}

async function compare(name: string, batchSize: number, ranks: number): Promise<void> {
  const [single, shared]: [Measured[], Measured[]] = [[], []];
  for (let round = 0; round < Number(values.rounds); round++) {
    const turns = [
      () => single.push(child(name, batchSize, { ranks: 1, threads: ranks })),
      () => shared.push(child(name, batchSize, { ranks, threads: 1 })),
    ];
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) turn();
    const [one, many] = [single.at(-1), shared.at(-1)];
    console.error(
      `${name}, round ${round + 1}: ${one?.imagesPerSecond.toFixed(2)} and ${many?.imagesPerSecond.toFixed(2)} images/s, step ${many?.step.toFixed(1)} ms, exchange ${many?.exchange.toFixed(1)} ms, alone ${many?.alone.toFixed(1)} ms; load ${loadavg()[0]?.toFixed(1)}`,
    );
  }
  const of = (list: readonly Measured[], key: keyof Measured): number =>
    median(list.map((each) => each[key]));
  const ratio = median(
    shared.map((each, i) => each.imagesPerSecond / (single[i]?.imagesPerSecond ?? Number.NaN)),
  );
  const row = [
    new Date().toISOString().slice(0, 10),
    name,
    batchSize,
    ranks,
    values.rounds,
    shared.reduce((sum, { steps }) => sum + steps, 0),
    of(single, "imagesPerSecond").toFixed(2),
    of(shared, "imagesPerSecond").toFixed(2),
    ratio.toFixed(3),
    of(shared, "step").toFixed(1),
    of(shared, "exchange").toFixed(1),
    of(shared, "alone").toFixed(1),
    ((100 * of(shared, "alone")) / of(shared, "step")).toFixed(2),
    loadavg()[0]?.toFixed(1),
    `"${cpus()[0]?.model}, ${cpus().length} cores"`,
  ];
  console.log(COLUMNS.join(","));
  console.log(row.join(","));
  if (values.out !== undefined) await appendFile(values.out, `${row.join(",")}\n`);
}

const COLUMNS = [
  "date",
  "model",
  "batch_a_rank",
  "ranks",
  "rounds",
  "steps",
  "one_process_images_s",
  "ranks_images_s",
  "ratio",
  "step_ms",
  "exchange_with_waiting_ms",
  "exchange_alone_ms",
  "exchange_alone_percent",
  "load",
  "processor",
];

const { model, "batch-size": size } = values;
if (values.child) await measure(model ?? "", Number(size));
else if (model !== undefined) await compare(model, Number(size), Number(values.ranks));
else {
  await compare("deit_tiny_distilled_patch16_224", 8, Number(values.ranks));
  await compare("deit_w64d4_patch4_32", 64, Number(values.ranks));
}
