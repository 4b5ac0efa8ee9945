/** A run that was stopped, killed or cut off, and started again, gives what an uninterrupted one gives: bit for bit. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TrainInput } from "../../../src/config/schema.ts";
import { createRandom } from "../../../src/random.ts";
import { InterruptedError } from "../../../src/training/train.ts";
import type { TrainEvent } from "../../../src/training/train.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { runContent, tinyRun, train, writePhotos } from "../photos.ts";

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

/** Slow enough that the best epoch changes, and with everything random switched on. */
const SLOW: TrainInput = {
  lr: 5e-5,
  epochs: 5,
  drop: 0.1,
  attnDrop: 0.1,
  aa: "rand-m9-mstd0.5-inc1",
  reprob: 0.25,
  mixup: 0.8,
  cutmix: 1,
  repeatedAug: true,
  modelEma: true,
  modelEmaDecay: 0.9,
};
const run = (changes: TrainInput): ReturnType<typeof tinyRun> =>
  tinyRun({ dataPath: photos, outputDir, ...SLOW, ...changes });

/** What an uninterrupted run leaves. */
async function uninterrupted(changes: TrainInput): ReturnType<typeof runContent> {
  const path = join(root, `whole${count++}`);
  await train(run({ ...changes, outputDir: path }));
  return runContent(path);
}

/** Trains until `isEnough`, then as Ctrl-C does; whether the run was done before that. */
async function trainUntil(
  options: ReturnType<typeof run>,
  isEnough: (event: TrainEvent) => boolean,
): Promise<boolean> {
  const controller = new AbortController();
  const onEvent = (event: TrainEvent): void => {
    if (isEnough(event)) controller.abort();
  };
  try {
    await train(options, { onEvent, signal: controller.signal });
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(InterruptedError);
    expect(error).toMatchObject({ code: "run/interrupted" });
    return false;
  }
}

describe("stopped by a signal at any step, and started again", () => {
  test.each<[string, TrainInput]>([
    ["with AdamW", {}],
    ["with two threads, two loader workers and saves amid epochs", { threads: 2, workers: 2, saveSteps: 4 }],
    [
      "with accumulation, clipping and SGD",
      { accumulationSteps: 2, batchSize: 4, clipGrad: 0.5, opt: "sgd", lr: 1e-3 },
    ],
    [
      "when not every epoch is validated or saved",
      { evalEvery: 2, saveEvery: 3, saveSteps: 2, schedUnit: "epoch" },
    ],
  ])("%s", async (_, changes) => {
    const seed = Date.now() % 1_000_000;
    const random = createRandom(seed, "stop");
    for (let done = false, starts = 0; !done; starts++) {
      expect(starts, `seed ${seed}`).toBeLessThan(40);
      let steps = random.integer(20); // 0: before the first
      done = await trainUntil(
        run(changes),
        ({ type }) => (type === "start" && steps === 0) || (type === "step" && --steps === 0),
      );
    }
    expect(await runContent(outputDir), `seed ${seed}`).toEqual(await uninterrupted(changes));
  });

  test("at the last step of an epoch, and within its validation", async () => {
    const changes: TrainInput = { evalEvery: 2 };
    expect(
      await trainUntil(run(changes), (event) => event.type === "step" && event.step === event.steps),
    ).toBe(false);
    expect(await trainUntil(run(changes), ({ type }) => type === "evaluate")).toBe(false);
    const starts: TrainEvent[] = [];
    await train(run(changes), { onEvent: (event) => event.type === "start" && starts.push(event) });
    expect(starts).toMatchObject([{ resumedFrom: { epoch: 1, step: 6 } }]);
    expect(await runContent(outputDir)).toEqual(await uninterrupted(changes));
  });
});

describe("cut off between the saving of the state and of the models", () => {
  /** An exception at that moment leaves what a kill leaves. */
  async function cutOff(options: ReturnType<typeof run>, atSave: number): Promise<void> {
    let saves = 0;
    const onEvent = ({ type }: TrainEvent): void => {
      if (type === "saved" && ++saves === atSave) throw new Error("cut off");
    };
    await expect(train(options, { onEvent })).rejects.toThrow("cut off");
  }

  test.each([1, 2])("at save %i", async (atSave) => {
    const changes: TrainInput = { evalEvery: 2, epochs: 3 };
    const whole = await uninterrupted(changes);
    await cutOff(run(changes), atSave);
    // The next start is stopped at once: what it repairs on opening is all that it does.
    expect(await trainUntil(run(changes), ({ type }) => type === "start")).toBe(false);
    const partial = join(root, `partial${count++}`);
    await cutOffAfterModels(run({ ...changes, outputDir: partial }), atSave);
    for (const name of ["last.safetensors", ...(atSave > 1 ? ["best.safetensors"] : [])]) {
      expect(await readFile(join(outputDir, name)), name).toEqual(await readFile(join(partial, name)));
    }
    await train(run(changes));
    expect(await runContent(outputDir)).toEqual(whole);
  });

  test("after the last epoch: starting again writes the models", async () => {
    const changes: TrainInput = { epochs: 2 };
    await cutOff(run(changes), 2);
    const result = await train(run(changes));
    expect(result.last.epoch).toBe(1);
    expect(await runContent(outputDir)).toEqual(await uninterrupted(changes));
  });

  async function cutOffAfterModels(options: ReturnType<typeof run>, epochs: number): Promise<void> {
    let done = 0;
    const onEvent = ({ type }: TrainEvent): void => {
      if (type === "epoch" && ++done === epochs) throw new Error("cut off");
    };
    await expect(train(options, { onEvent })).rejects.toThrow("cut off");
  }
});

test("a finished run returns at once what it returned before", async () => {
  const first = await train(run({ epochs: 2 }));
  const events: TrainEvent[] = [];
  const again = await train(run({ epochs: 2, threads: 2, saveSteps: 1 }), {
    onEvent: (event) => events.push(event),
  });
  expect({ ...again, seconds: 0, imagesPerSecond: 0 }).toEqual({ ...first, seconds: 0, imagesPerSecond: 0 });
  expect(events).toEqual([
    { type: "warning", message: expect.stringContaining("this run is complete: its 2 epochs are trained") },
  ]);
});

describe("killed with SIGKILL at random moments, until it is done", () => {
  const CHILD = fileURLToPath(new URL("./train-child.ts", import.meta.url));
  /** More kills than these, and the run is left to end. */
  const KILLS = 3;

  function start(options: object): {
    child: ChildProcess;
    started: Promise<unknown>;
    ended: Promise<unknown[]>;
  } {
    const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, "exit");
    return { child, started: Promise.race([once(lines, "line"), ended]), ended };
  }

  test.concurrent.each([
    { workers: 0, saveSteps: 1 },
    { workers: 2, saveSteps: null, saveEvery: 2 },
  ])("%j", async (changes) => {
    const options = {
      ...changes,
      dataPath: photos,
      outputDir: join(root, `killed-${changes.workers}`),
      epochs: 8,
    };
    const seed = Date.now() % 1_000_000;
    const random = createRandom(seed, "kill", changes.workers);
    let code: unknown = null;
    for (let starts = 0; code === null; starts++) {
      const { child, started, ended } = start(run(options));
      await started;
      const timer = setTimeout(() => child.kill("SIGKILL"), starts < KILLS ? random.uniform(0, 500) : 60_000);
      [code] = await ended;
      clearTimeout(timer);
    }
    expect(code, `seed ${seed}`).toBe(0);
    const path = join(root, `unkilled-${changes.workers}`);
    await train(run({ ...options, outputDir: path }));
    expect(await runContent(options.outputDir), `seed ${seed}`).toEqual(await runContent(path));
    await rm(path, { recursive: true });
  });
});
