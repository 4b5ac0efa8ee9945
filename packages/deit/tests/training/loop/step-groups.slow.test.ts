/** Several steps in one run of the device: the same run, bit for bit, whatever is stopped, saved or resumed. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { TrainInput } from "../../../src/config/schema.ts";
import type { Program } from "../../../src/graph/program.ts";
import { InterruptedError } from "../../../src/training/train.ts";
import type { TrainEvent } from "../../../src/training/train.ts";
import { inGroups, checkGroup, groupSize } from "../../../src/training/loop/step-groups.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { runContent, tinyRun, train, writePhotos } from "../photos.ts";

const EVERYTHING: TrainInput = {
  epochs: 2,
  drop: 0.1,
  reprob: 0.25,
  mixup: 0.8,
  modelEma: true,
  batchSize: 4,
};

let root = "";
let photos = "";
let single: Awaited<ReturnType<typeof runContent>>;
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  await train(options("single", { stepsPerRun: 1 }));
  single = await runContent(join(root, "single"));
  return () => rm(root, { recursive: true, force: true });
}, 60_000);

function options(folder: string, changes: TrainInput): ReturnType<typeof tinyRun> {
  return tinyRun({ dataPath: photos, outputDir: join(root, folder), ...EVERYTHING, ...changes });
}

describe("a run with several steps at once", () => {
  it("gives what single steps give, and tells every step", async () => {
    const steps: number[] = [];
    const onEvent = (event: TrainEvent): void => {
      if (event.type === "step") steps.push(event.step);
    };
    const result = await train(options("together", { stepsPerRun: 5 }), { onEvent });
    expect(await runContent(result.run)).toEqual(single);
    const perEpoch = steps.length / 2;
    expect(perEpoch % 5).not.toBe(0); // so that an epoch ends with single steps
    expect(steps).toEqual([0, 1].flatMap(() => Array.from({ length: perEpoch }, (_, i) => i + 1)));
  });

  it("stopped amid an epoch, with saves between, and gone on with one step at a time, gives the same", async () => {
    const controller = new AbortController();
    let last = 0;
    const onEvent = (event: TrainEvent): void => {
      if (event.type !== "step") return;
      last = event.step;
      if (event.epoch === 1) controller.abort();
    };
    const stopped = options("stopped", { stepsPerRun: 3, saveSteps: 4 });
    await expect(train(stopped, { onEvent, signal: controller.signal })).rejects.toThrow(InterruptedError);
    expect(last).toBe(3); // the first run of three was done when it was heard
    await train(options("stopped", { stepsPerRun: 1 }));
    expect(await runContent(join(root, "stopped"))).toEqual(single);
  });
});

describe("how many steps", () => {
  const step = {
    inputs: { images: { dtype: "uint8", shape: [64, 3, 224, 224] } },
    state: {},
  } as unknown as Program;
  const free = { stepsPerRun: null, accumulationSteps: 1 };

  it("are one, but on a graphics card several, by the size of a batch", () => {
    expect(groupSize(free, { device: "cpu", step })).toBe(1);
    expect(groupSize(free, { device: "webgpu", step })).toBe(4);
    expect(groupSize(free, { device: "cuda", step })).toBe(16);
    expect(groupSize({ ...free, accumulationSteps: 2 }, { device: "cuda", step })).toBe(1);
    const large = {
      ...step,
      inputs: { images: { dtype: "float32", shape: [256, 3, 384, 384] } },
    } as unknown as Program;
    expect(groupSize(free, { device: "cuda", step: large })).toBe(1);
  });

  it("are as asked, or refused where they cannot be", () => {
    expect(groupSize({ ...free, stepsPerRun: 5 }, { device: "cpu", step })).toBe(5);
    expect(groupSize({ ...free, stepsPerRun: 5 }, { device: "webgpu", step })).toBe(5);
    expect(() => checkGroup({ stepsPerRun: 5, accumulationSteps: 2 })).toThrow(
      expect.objectContaining({ code: "options/conflict" }),
    );
  });
});

it("groups keep order and size, and the last may be short", async () => {
  async function* numbers(): AsyncGenerator<number> {
    for (let i = 0; i < 8; i++) yield i;
  }
  const groups: number[][] = [];
  for await (const group of inGroups(numbers(), (first) => (first === 0 ? 1 : 3))) groups.push(group);
  expect(groups).toEqual([[0], [1, 2, 3], [4, 5, 6], [7]]);
});
