/** An ablation from its plan to its numbers: trained in processes, stopped, gone on with, counted. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { measureAgreement } from "../../src/agreement/agreement.ts";
import { compareAnswers } from "../../src/ablation/answers.ts";
import { planAblation } from "../../src/ablation/plan.ts";
import { RESULTS_FILE, recordResults, summariseResults } from "../../src/ablation/results.ts";
import type { AblationEvent } from "../../src/ablation/run.ts";
import { finishedRun, runAblation } from "../../src/ablation/run.ts";
import { resolveTrainOptions } from "../../../deit/src/config/resolve.ts";
import type { TrainInput } from "../../../deit/src/config/schema.ts";
import { ConfigError } from "../../../deit/src/errors.ts";
import { planTraining } from "../../../deit/src/training/plan.ts";
import { openRunFolder } from "../../../deit/src/training/run/run-folder.ts";
import type { AblationTable } from "../../src/ablation/table.ts";
import type { EvaluateEvent } from "../../../deit/src/evaluation/logits.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { writePhotos } from "../../../deit/tests/training/photos.ts";

let out = "";
let table: AblationTable;
beforeAll(async () => {
  const root = await temporaryFolder();
  out = join(root, "study");
  const dataPath = await writePhotos(join(root, "photos"), { perClass: 8 });
  const plain = {
    dataPath,
    inputSize: 16,
    batchSize: 8,
    epochs: 1,
    warmupEpochs: 0,
    valSplit: 0.25,
    device: "cpu",
    threads: 1,
    workers: 0,
    aa: null,
    reprob: 0,
    mixup: 0,
    cutmix: 0,
    repeatedAug: false,
    modelEma: false,
  } as const;
  table = {
    name: "tiny",
    recipe: { ...plain, model: "deit_w64d4_distilled_patch4_32", distillationType: "labels" },
    teachers: { transformer: { ...plain, model: "deit_w64d4_patch4_32" } },
    compareAnswers: true,
    axis: "things",
    rows: [
      { name: "labels", change: {}, series: "own", x: 1 },
      {
        name: "taught",
        change: { distillationType: "hard" },
        teacher: "transformer",
        series: "own",
        x: 10,
        lines: [
          { name: "taught: class head", head: "class", paper: 83 },
          { name: "taught: both", head: "joint" },
        ],
      },
    ],
  };
});

test("goes on after a run that fails, stops in the middle, goes on, and is counted", async () => {
  const broken: AblationTable = {
    ...table,
    teachers: {},
    rows: [{ name: "fails", change: { batchSize: 4096 } }, ...table.rows.slice(0, 1)],
  };
  const before: AblationEvent[] = [];
  const left = await runAblation(
    planAblation(broken, { seeds: [0], out }),
    { out, recorded: async () => {} },
    { onEvent: (event) => before.push(event) },
  );
  expect(left).toEqual(["fails, seed 0"]);
  expect(before).toContainEqual(
    expect.objectContaining({
      type: "failed",
      message: expect.stringContaining("one update takes 4096 images"),
    }),
  );
  expect(before.filter(({ type }) => type === "finished")).toEqual([
    expect.objectContaining({ label: "labels, seed 0" }),
  ]);

  const plan = planAblation(table, { seeds: [0, 1], out });
  const controller = new AbortController();
  const recorded = async (): Promise<void> => void (await recordResults(plan, out));
  const said: AblationEvent[] = [];
  const stopAtFirst = (event: AblationEvent): void => {
    said.push(event);
    if (event.type === "finished") controller.abort();
  };
  await expect(
    runAblation(plan, { out, recorded }, { onEvent: stopAtFirst, signal: controller.signal }),
  ).rejects.toMatchObject({
    name: "InterruptedError",
    message: expect.stringContaining("The same command resumes."),
  });
  expect(said.filter(({ type }) => type === "finished")).toEqual([
    expect.objectContaining({ label: "teacher transformer" }),
  ]);

  const more: AblationEvent[] = [];
  const onEvent = (event: AblationEvent): void => void more.push(event);
  expect(await runAblation(plan, { out, recorded, jobs: 2 }, { onEvent })).toEqual([]);
  const finished = more.flatMap((event) => (event.type === "finished" ? [event.label] : []));
  // what a table has in common with one before it is not trained again
  expect(finished.toSorted()).toEqual(["labels, seed 1", "taught, seed 0", "taught, seed 1"]);
  for (const run of plan.runs) expect(await finishedRun(run)).toHaveLength(1);

  const records = await recordResults(plan, out);
  expect(records.map(({ line, seed }) => `${line} ${seed}`)).toEqual([
    "teacher transformer 0",
    "labels 0",
    "labels 1",
    "taught: class head 0",
    "taught: both 0",
    "taught: class head 1",
    "taught: both 1",
  ]);
  const summaries = summariseResults(table, records);
  expect(summaries.map(({ line, difference }) => [line, difference?.against])).toEqual([
    ["labels", undefined],
    ["taught: class head", "labels"],
    ["taught: both", "labels"],
  ]);

  const warnings: string[] = [];
  const hooks = {
    onEvent: (event: EvaluateEvent) => void (event.type === "warning" && warnings.push(event.message)),
  };
  const answers = await compareAnswers(plan, {}, hooks);
  expect(warnings).toEqual([expect.stringContaining("teacher transformer has learnt images")]);
  expect(answers.map(({ line, seed, with: other }) => `${line} ${seed} ${other}`)).toHaveLength(6);
  for (const { disagreement, images } of answers) {
    expect(images).toBe(6);
    expect(disagreement).toBeGreaterThanOrEqual(0);
    expect(disagreement).toBeLessThanOrEqual(100);
  }

  // every seed splits off validation images of its own: these were asked about, and training never saw them
  for (const seed of [0, 1]) {
    const student = plan.runs.find((run) => run.label === `taught, seed ${seed}`)?.folder ?? "";
    const { dataPath = null, valSplit = 0 } = plan.runs[0]?.plan.data ?? {};
    const { agreement } = await measureAgreement({
      checkpoints: [`s=${join(student, "last.safetensors")}`, `t=${plan.teachers["transformer"]}`],
      dataPath,
      valSplit,
      seed,
      device: "cpu",
      workers: 0,
      resamples: 10,
    });
    const at = (name: string): number => agreement.models.indexOf(name);
    const rate = (a: string, b: string): number =>
      100 * (agreement.disagreement[at(a)]?.[at(b)] ?? Number.NaN);
    for (const [line, head] of [
      ["taught: class head", "s class"],
      ["taught: both", "s joint"],
    ] as const) {
      const own = (one: { line: string; seed: number | string }): boolean =>
        one.line === line && Number(one.seed) === seed;
      expect(answers.find(own)?.disagreement).toBeCloseTo(rate(head, "t"), 6);
      expect(100 - rate("ground truth", head)).toBeCloseTo(Number(records.find(own)?.acc1), 2);
    }
  }

  // other seeds stay in the table
  const other = planAblation(table, { seeds: [7], out });
  await recordResults(other, out);
  const lines = (await readFile(join(out, RESULTS_FILE), "utf8")).trim().split("\n");
  expect(lines).toHaveLength(1 + 7);
}, 400_000);

test("a damaged table of results is kept, and said to be damaged", async () => {
  const folder = await temporaryFolder();
  const file = join(folder, RESULTS_FILE);
  await writeFile(file, 'line,row\n"a,b\n');
  const rows = [{ name: "a", change: { mixup: 0.5 } }];
  const plan = planAblation({ ...table, teachers: {}, rows }, { seeds: [0], out: folder });
  await expect(recordResults(plan, folder)).rejects.toThrow(
    expect.objectContaining({ code: "study/damaged-results" }),
  );
  expect(await readFile(file, "utf8")).toBe('line,row\n"a,b\n');
});

test("a folder is reported, or gone on with, under its own options alone", async () => {
  const folder = join(out, "other");
  const plan = planAblation(
    { ...table, teachers: {}, rows: [{ name: "a", change: { mixup: 0.5 } }] },
    {
      seeds: [0],
      out: folder,
      flags: { source: "test", spelling: "flag", values: { numTrain: "12" } },
    },
  );
  const [run] = plan.runs;
  if (run === undefined) throw new Error("one run was planned");
  const { saveMinutes: _, holdOut: __, ...older } = run.plan.run.args;
  const logged = async (epochs: number): Promise<void> => {
    await using there = await openRunFolder(run.folder, { args: { ...older, device: "webgpu", threads: 5 } });
    for (let epoch = 0; epoch < epochs; epoch++)
      await there.appendEpoch({ epoch, train_loss: 1, train_lr: 1, test_acc1: 50, n_parameters: 1 });
  };
  await logged(0);
  const changed = (values: TrainInput): typeof run => {
    const layers = [run.plan.run.args, values].map(
      (each) => ({ source: "test", spelling: "key", values: each }) as const,
    );
    return { ...run, plan: planTraining(resolveTrainOptions(layers).options) };
  };
  const other = changed({ numTrain: null, lr: 1 });
  expect(await finishedRun(other)).toBeUndefined(); // nothing to lose
  await logged(1);
  expect(await finishedRun(run)).toHaveLength(1);
  expect(await finishedRun(changed({ epochs: 1, threads: 2 }))).toHaveLength(1);
  await expect(finishedRun(other)).rejects.toThrow(
    /numTrain: 12 there, null given\n.*lr: .* there, 1 given\nChoose another --out, or go on with the options as they were: --num-train 12 --lr/,
  );
  const recorded = async (): Promise<void> => {};
  await expect(runAblation({ ...plan, runs: [other] }, { out: folder, recorded })).rejects.toThrow(
    ConfigError,
  );
  await expect(finishedRun(changed({ mixup: 0 }))).rejects.toThrow(
    /mixup: 0\.5 there, 0 given\nChoose another --out, or go on with the table as it was$/,
  );
});
