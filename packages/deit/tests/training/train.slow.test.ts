/** Training as a whole, on small generated images: it learns, and leaves a run folder with what was promised. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { TrainInput } from "../../src/config/schema.ts";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { readState } from "../../src/training/run/run-state-file.ts";
import { NonFiniteError } from "../../src/training/train.ts";
import type { TrainEvent, TrainResult } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { CLASSES, estimate, runContent, tinyRun, train, writePhotos } from "./photos.ts";

let root = "";
let photos = "";
let count = 0;
let outputDir = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
});
beforeEach(() => {
  outputDir = join(root, `run${count++}`);
});

const run = (changes: TrainInput = {}): ReturnType<typeof tinyRun> =>
  tinyRun({ dataPath: photos, outputDir, ...changes });

async function trained(
  changes: TrainInput,
): Promise<{ result: TrainResult; events: TrainEvent[]; warnings: string[] }> {
  const events: TrainEvent[] = [];
  const result = await train(run(changes), { onEvent: (event) => events.push(event) });
  return {
    result,
    events,
    warnings: events.flatMap((event) => (event.type === "warning" ? [event.message] : [])),
  };
}

const weightsOf = async (path: string): Promise<ReadonlyMap<string, { readonly data: Float32Array }>> =>
  (await readCheckpoint(join(path, "last.safetensors"))).tensors;

/** Largest difference of a weight between two runs. */
async function largestDifference(a: string, b: string): Promise<number> {
  const others = await weightsOf(b);
  return Math.max(
    ...[...(await weightsOf(a))].map(([name, { data }]) => difference(data, others.get(name)?.data)),
  );
}

function difference(a: Float32Array, b: Float32Array | undefined): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b?.[i] ?? Number.NaN))), 0);
}

const ANY_SHARE = {
  correct: expect.any(Number) as number,
  images: 12,
  interval: [expect.any(Number), expect.any(Number)],
};

describe("a run", () => {
  test("learns, and leaves its folder as documented", async () => {
    const { result, events } = await trained({ epochs: 4 });
    expect(result).toEqual({
      run: outputDir,
      model: "deit_w64d4_patch4_32",
      epochs: 4,
      best: {
        ...ANY_SHARE,
        epoch: expect.any(Number),
        acc1: expect.any(Number),
        acc5: 100,
        weights: "trained",
      },
      last: { ...ANY_SHARE, epoch: 3, acc1: expect.any(Number), acc5: 100, weights: "trained" },
      selection: { rule: "best", epochs: 4, heldOut: 12 },
      seconds: expect.any(Number),
      imagesPerSecond: expect.any(Number),
    });
    expect(result.best.acc1).toBeGreaterThan(70); // a third is chance
    expect(result.imagesPerSecond).toBeGreaterThan(0);

    const files = [
      "args.yaml",
      "best.safetensors",
      "images.txt.gz",
      "last.safetensors",
      "log.jsonl",
      "record.json",
      "state.safetensors",
      "summary.csv",
    ];
    expect((await readdir(outputDir)).toSorted()).toEqual(files);
    const { log } = await runContent(outputDir);
    expect(log.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3]);
    const keys = [
      "epoch",
      "n_parameters",
      "seconds",
      "test_acc1",
      "test_acc5",
      "test_heads",
      "test_images",
      "test_loss",
      "train_loss",
      "train_lr",
      "waiting_seconds",
    ];
    for (const record of log) expect(Object.keys(record).toSorted()).toEqual(keys);
    expect(log[0]?.train_loss).toBeGreaterThan(log[3]?.train_loss ?? NaN);
    expect(log[result.best.epoch]).toMatchObject({ test_acc1: result.best.acc1, n_parameters: 204_547 });
    expect(parse(await readFile(join(outputDir, "args.yaml"), "utf8"))).toMatchObject({
      args: { model: "deit_w64d4_patch4_32", lr: 1e-3, seed: 0, weightDecay: 0.05 },
      sessions: [{ epoch: 0, versions: { "deit-ts": expect.any(String) } }],
    });
    const { metadata } = await readCheckpoint(join(outputDir, "best.safetensors"));
    expect(metadata).toMatchObject({
      model: "deit_w64d4_patch4_32",
      classes: JSON.stringify(CLASSES),
      input_size: "[16,16]",
      epoch: String(result.best.epoch),
      crop_ratio: "0.875",
    });
    // 48 of 60 images train: 6 batches of 8 an epoch.
    const count = (type: TrainEvent["type"]): number => events.filter((event) => event.type === type).length;
    expect([count("start"), count("step"), count("epoch"), count("saved"), count("warning")]).toEqual([
      1, 24, 4, 4, 0,
    ]);

    const rates = events.flatMap((event) =>
      event.type === "step" && event.step === event.steps ? [event.lr] : [],
    );
    expect(log.map(({ train_lr }) => train_lr)).toEqual(rates);

    // What was logged is what an evaluation of the saved weights finds.
    const { acc1, loss } = await evaluateCheckpoint({
      checkpoint: outputDir,
      dataPath: photos,
      valSplit: 0.2,
      seed: 0,
      device: "cpu",
    });
    expect([acc1, loss]).toEqual([
      result.best.acc1,
      expect.closeTo(Number(log[result.best.epoch]?.test_loss), 5),
    ]);
  });

  test("is decided by its seed", async () => {
    await trained({ epochs: 1 });
    await trained({ epochs: 1, outputDir: `${outputDir}-same` });
    await trained({ epochs: 1, outputDir: `${outputDir}-other`, seed: 1 });
    expect(await runContent(`${outputDir}-same`)).toEqual(await runContent(outputDir));
    expect(await largestDifference(outputDir, `${outputDir}-other`)).toBeGreaterThan(1e-3);
  });

  test("validates and saves as often as it is told; the best weights always", async () => {
    const { result, events } = await trained({ epochs: 5, evalEvery: 2, saveEvery: 3, lr: 5e-5 });
    const { log } = await runContent(outputDir);
    expect(log.map(({ test_acc1 }) => test_acc1 !== undefined)).toEqual([false, true, false, true, true]);
    const epochs = events.flatMap((event) => (event.type === "epoch" ? [event] : []));
    expect(epochs.map(({ acc1 }) => Number.isNaN(acc1))).toEqual([true, false, true, false, false]);
    expect(epochs.findLast(({ best }) => best)?.epoch).toBe(result.best.epoch);
    expect((await readCheckpoint(join(outputDir, "best.safetensors"))).metadata["epoch"]).toBe(
      String(result.best.epoch),
    );
  });

  test("with accumulated batches makes the updates of one large batch", async () => {
    const common: TrainInput = {
      epochs: 2,
      dropPath: 0,
      opt: "momentum",
      lr: 0.01,
      clipGrad: 0.5,
      valSplit: 0.1,
    };
    const whole = await trained({ ...common, batchSize: 16 });
    const half = await trained({
      ...common,
      batchSize: 8,
      accumulationSteps: 2,
      outputDir: `${outputDir}-halves`,
    });
    expect(await largestDifference(outputDir, `${outputDir}-halves`)).toBeLessThan(2e-6);
    const [a, b] = [whole, half].map(({ events }) =>
      events.flatMap((event) => (event.type === "step" ? [event] : [])),
    );
    // 54 images: 3 updates of 16 an epoch; the rates of both batches of an update are those of the large one.
    expect([a?.length, b?.length]).toEqual([6, 12]);
    expect(b?.map(({ lr }) => lr)).toEqual(a?.flatMap(({ lr }) => [lr, lr]));
    expect(b?.map(({ losses }) => "gradNorm" in losses)).toEqual(
      Array.from({ length: 12 }, (_, i) => i % 2 === 1),
    );
    expect((await readState(join(outputDir, "state.safetensors"))).counters).toMatchObject({
      epoch: 2,
      updates: 6,
      step: 0,
    });
  });

  test("says so when it is measured with the images it learns", async () => {
    const { warnings } = await trained({ epochs: 1, valSplit: 0 });
    expect(warnings).toEqual(["there are no validation images: accuracy is that on the training images"]);
  });
});

describe("the number of loader workers", () => {
  test("changes nothing: equal weights, average and log, with everything random switched on", async () => {
    const whole: TrainInput = {
      epochs: 2,
      aa: "rand-m9-mstd0.5-inc1",
      reprob: 0.5,
      mixup: 0.8,
      cutmix: 1,
      repeatedAug: true,
      drop: 0.1,
      dropPath: 0.1,
      modelEma: true,
    };
    const contents = [];
    for (const workers of [0, 2, 3]) {
      const path = join(root, `workers-${workers}`);
      await trained({ ...whole, workers, outputDir: path });
      contents.push(await runContent(path));
    }
    expect(contents[1]).toEqual(contents[0]);
    expect(contents[2]).toEqual(contents[0]);
  });
});

describe("broken images", () => {
  test("are named, counted and left out", async () => {
    const broken = join(root, "broken");
    await writePhotos(broken, { perClass: 12 });
    for (let i = 0; i < 3; i++) await writeFile(join(broken, "disc", `bad${i}.jpg`), "no image");
    const { result, warnings } = await trained({ dataPath: broken, epochs: 2, valSplit: 0.3 });
    expect(result.last.epoch).toBe(1);
    expect(warnings).toHaveLength(3);
    for (const name of ["bad0.jpg", "bad1.jpg", "bad2.jpg"]) expect(warnings.join()).toContain(name);
  });

  test("are an error beyond a limit", async () => {
    const broken = join(root, "many");
    await writePhotos(broken, { perClass: 8 });
    for (let i = 0; i < 14; i++) await writeFile(join(broken, "ring", `bad${i}.png`), "no image");
    await expect(trained({ dataPath: broken, epochs: 2, workers: 2 })).rejects.toThrow(
      /^1\d images of many cannot be read, more than 10:\n.*bad\d+\.png[^]*Repair or remove them\.$/,
    );
  });
});

describe("a loss that is not a number", () => {
  test("stops the run, and leaves the last save as it was", async () => {
    const changes: TrainInput = { lr: 1e30, schedUnit: "epoch", warmupEpochs: 1, warmupLr: 1e-6, epochs: 4 };
    const saved: number[] = [];
    const onEvent = (event: TrainEvent): void => void (event.type === "saved" && saved.push(saved.length));
    const failure: unknown = await train(run(changes), { onEvent }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NonFiniteError);
    expect(failure).toMatchObject({ code: "run/diverged" });
    // The warm-up reaches the peak with epoch 3: its first update is the ruin of its second.
    expect(failure).toMatchObject({ metric: expect.stringMatching(/^loss|gradNorm$/), epoch: 2, step: 1 });
    expect(String(failure)).toMatch(
      /(loss|gradNorm) is (NaN|Infinity) in epoch 3, step 2, at a learning rate of .*\n.*--lr/,
    );
    expect(saved).toEqual([0, 1]);
    const { vectors, counters } = await readState(join(outputDir, "state.safetensors"));
    expect(counters).toMatchObject({ epoch: 2, step: 0 });
    for (const vector of Object.values(vectors)) expect(vector.every(Number.isFinite)).toBe(true);
    await expect(train(run(changes))).rejects.toThrow(NonFiniteError);
  });

  test("is found by the validation when it is the last step's doing, before anything is saved", async () => {
    const changes: TrainInput = { lr: 1e30, warmupEpochs: 0, batchSize: 48, epochs: 2 };
    await expect(trained(changes)).rejects.toThrow(/^test_loss is (NaN|Infinity) in epoch 1, step 1/);
    expect(await readdir(outputDir)).not.toContain("state.safetensors");
  });
});

test("an estimate has the run's steps and writes nothing", async () => {
  const { seconds, imagesPerSecond, ...rest } = await estimate(
    run({ epochs: 7, batchSize: 10, accumulationSteps: 2 }),
  );
  expect(rest).toMatchObject({
    model: "deit_w64d4_patch4_32",
    parameters: 204_547,
    stepsPerEpoch: 4,
    steps: 28,
  });
  expect(seconds).toBeGreaterThan((28 * 10) / imagesPerSecond);
  expect(rest.diskMiB).toBeCloseTo((204_547 * 4 * 5) / 2 ** 20, 3);
  await expect(readdir(outputDir)).rejects.toThrow("ENOENT");
});

test("with accumulation, steps and images are those of whole updates", async () => {
  const events: TrainEvent[] = [];
  const onEvent = (event: TrainEvent): void => void events.push(event);
  const folder = `${outputDir}-updates`;
  await train(run({ epochs: 1, batchSize: 10, accumulationSteps: 3, outputDir: folder }), { onEvent });
  // of 48 images four batches, three of which are an update
  expect(events.find(({ type }) => type === "start")).toMatchObject({
    trainImages: 48,
    stepsPerEpoch: 3,
    uniqueImages: 30,
  });
  const steps = events.filter((event) => event.type === "step");
  expect(steps.map(({ step, steps: of }) => [step, of])).toEqual([1, 2, 3].map((step) => [step, 3]));
});

test("memory does not grow with the epochs", async () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const rss: number[] = [];
  const onEvent = ({ type }: TrainEvent): void => {
    if (type !== "epoch") return;
    gc();
    rss.push(process.memoryUsage().rss / 2 ** 20);
  };
  await train(run({ inputSize: 8, epochs: 40 }), { onEvent });
  // One state of 2.4 MB kept an epoch would be 56 MiB between the two.
  expect(
    Math.min(...rss.slice(32)) - Math.min(...rss.slice(8, 16)),
    rss.map(Math.round).join(" "),
  ).toBeLessThan(25);
});
