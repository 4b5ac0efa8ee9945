/** Training as several processes of MPI is the training of one process that accumulates as many batches. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { TrainInput } from "../../src/config/schema.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { runContent, tinyRun, train, writePhotos } from "../training/photos.ts";
import type { Ended } from "./mpi.ts";
import { MPIS, mpirun, openMpi, RANK_CHILD } from "./mpi.ts";

let root = "";
let photos = "";
let count = 0;
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
});

/** With everything random switched on. */
const RANDOM: TrainInput = {
  batchSize: 4,
  epochs: 2,
  lr: 1e-3,
  drop: 0.1,
  attnDrop: 0.1,
  mixup: 0.8,
  cutmix: 1,
  reprob: 0.25,
  repeatedAug: true,
  modelEma: true,
  modelEmaDecay: 0.9,
  clipGrad: 0.5,
};
const options = (changes: TrainInput): ReturnType<typeof tinyRun> =>
  tinyRun({ dataPath: photos, ...RANDOM, outputDir: join(root, `run${count++}`), ...changes });

async function byRanks(
  mpi: (typeof MPIS)[number],
  ranks: number,
  run: object,
): Promise<Ended & { error: { message: string; code: string } | undefined }> {
  const result = await mpirun(mpi, [RANK_CHILD, JSON.stringify(run)], { ranks });
  const line = result.stdout.split("\n").find((text) => text.startsWith("{"));
  return { ...result, error: line === undefined ? undefined : JSON.parse(line) };
}

async function inOne(changes: TrainInput): ReturnType<typeof runContent> {
  const run = options(changes);
  await train(run);
  return runContent(run.outputDir);
}

describe.skipIf(MPIS.length === 0)(
  "two ranks are one process with two accumulated batches, bit for bit",
  () => {
    test.each(MPIS.map((mpi) => [mpi.name, mpi] as const))(
      "%s: models, averages, log",
      async (_, mpi) => {
        const run = options({});
        const { code, stderr } = await byRanks(mpi, 2, run);
        expect([code, stderr]).toEqual([0, ""]);
        expect(await runContent(run.outputDir)).toEqual(await inOne({ accumulationSteps: 2 }));
      },
      120_000,
    );

    test.skipIf(openMpi === undefined)(
      "with a teacher, whose answers they keep together",
      async () => {
        if (openMpi === undefined) return;
        const teacherPath = join(root, "teacher");
        await train(options({ epochs: 1, outputDir: teacherPath }));
        const distilled: TrainInput = {
          model: "deit_w64d4_distilled_patch4_32",
          distillationType: "hard",
          teacherPath,
          teacherCache: join(root, "answers"),
        };
        const run = options(distilled);
        const { code, stderr } = await byRanks(openMpi, 2, run);
        expect([code, stderr]).toEqual([0, ""]);
        const alone = await inOne({ ...distilled, accumulationSteps: 2 });
        const { log: _log, ...models } = await runContent(run.outputDir);
        expect(alone).toMatchObject(models);
        expect(alone.log.map((epoch) => epoch["teacher_misses"])).toEqual([0, 0]);
      },
      180_000,
    );

    test.skipIf(openMpi === undefined)(
      "with a teacher's embeddings, whose projection is part of every rank's state",
      async () => {
        if (openMpi === undefined) return;
        const teacherPath = join(root, "embeddings.safetensors");
        await writeRandomModel(teacherPath, { model: "deit_w96d6_patch4_32", classes: ["a", "b"] });
        const distilled: TrainInput = { distillationType: "feature", distillationHead: "class", teacherPath };
        const run = options(distilled);
        const { code, stderr } = await byRanks(openMpi, 2, run);
        expect([code, stderr]).toEqual([0, ""]);
        const found = await runContent(run.outputDir);
        expect(found).toEqual(await inOne({ ...distilled, accumulationSteps: 2 }));
        expect(found.log.every((epoch) => Number(epoch["test_teacher_similarity"]) <= 1)).toBe(true);
      },
      180_000,
    );

    test.skipIf(openMpi === undefined)(
      "stopped within an epoch, gone on with by one process, then by two again",
      async () => {
        if (openMpi === undefined) return;
        const run = options({ epochs: 3, saveSteps: 4 });
        const first = await byRanks(openMpi, 2, { ...run, stopAfter: 5 });
        expect([first.code, first.error?.code]).toEqual([1, "run/interrupted"]);
        const stopped = new AbortController();
        let steps = 0;
        await expect(
          train(run, {
            signal: stopped.signal,
            onEvent: ({ type }) => {
              if (type === "step" && ++steps === 7) stopped.abort();
            },
          }),
        ).rejects.toMatchObject({ code: "run/interrupted" });
        const last = await byRanks(openMpi, 2, run);
        expect([last.code, last.stderr]).toEqual([0, ""]);
        expect(await runContent(run.outputDir)).toEqual(await inOne({ accumulationSteps: 2, epochs: 3 }));
        const more = await byRanks(openMpi, 3, run);
        expect(more.error).toMatchObject({ code: "ranks/too-many" });
      },
      180_000,
    );
  },
);

describe.skipIf(openMpi === undefined)("four ranks", () => {
  test("stay within 1e-6 of one process over 20 steps", async () => {
    if (openMpi === undefined) return;
    // 48 training images make 3 updates of 4 batches of 4
    const changes = { epochs: 7, lr: 1e-4, sched: "constant", warmupEpochs: 0, clipGrad: null } as const;
    const run = options(changes);
    const { code, stderr } = await byRanks(openMpi, 4, run);
    expect([code, stderr]).toEqual([0, ""]);
    const alone = options({ ...changes, accumulationSteps: 4 });
    await train(alone);
    const [shared, single] = await Promise.all(
      [run, alone].map(async ({ outputDir }) => readCheckpoint(join(outputDir, "last.safetensors"))),
    );
    let worst = 0;
    for (const [name, { data }] of shared?.tensors ?? [])
      for (const [i, value] of (single?.tensors.get(name)?.data ?? []).entries())
        worst = Math.max(worst, Math.abs(value - (data[i] ?? Number.NaN)));
    expect(shared?.tensors.size).toBeGreaterThan(10);
    expect(worst).toBeLessThan(1e-6);
  }, 180_000);
});

describe.skipIf(openMpi === undefined)("ranks that are unlike are refused before the first step", () => {
  test.each<[string, TrainInput, string]>([
    ["options", { lr: 2e-3 }, "ranks/other-options"],
    ["precision", { precision: "float16" }, "ranks/other-device"],
  ])("%s", async (_, changes, code) => {
    if (openMpi === undefined) return;
    const { error, code: exit } = await byRanks(openMpi, 2, { ...options({}), byRank: { 1: changes } });
    expect([error?.code, exit]).toEqual([code, 1]);
    expect(error?.message).toMatch(/^rank 1 \(.*process \d+\) has (?:other|another)/);
  });

  test("images", async () => {
    if (openMpi === undefined) return;
    const other = await writePhotos(join(root, "other"), { perClass: 19 });
    const run = options({});
    const { error } = await byRanks(openMpi, 2, { ...run, byRank: { 1: { dataPath: other } } });
    expect(error).toMatchObject({ code: "ranks/other-data" });
  });
});
