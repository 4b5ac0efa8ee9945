/** That benchmarks and estimates time steps as training hands them over. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { benchInfer, benchTrain } from "../../src/bench/throughput.ts";

import * as stepGroups from "../../../deit/src/training/loop/step-groups.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { estimate, tinyRun, writePhotos } from "../../../deit/tests/training/photos.ts";

vi.mock("../../../deit/src/training/loop/step-groups.ts", { spy: true });
beforeEach(() => vi.clearAllMocks());

const small = {
  model: "deit_tiny_patch16_224",
  inputSize: 32,
  batchSize: 2,
  device: "cpu",
  rounds: 1,
} as const;

/** How many steps each call of runSteps had, and whether these were one run. */
function groups(): Set<string> {
  const { calls } = vi.mocked(stepGroups.runSteps).mock;
  return new Set(calls.map(([{ group: loaded }, , count]) => `${count} ${loaded?.executable !== undefined}`));
}

test("bench train runs steps together, and says how many", async () => {
  expect(await benchTrain({ ...small, stepsPerRun: 2 })).toMatchObject({ stepsPerRun: 2 });
  expect(groups()).toEqual(new Set(["2 true"]));
}, 60_000);

test("without the option they are as many as a run has, on the cpu one; forward passes are not steps", async () => {
  expect(await benchTrain(small)).toMatchObject({ stepsPerRun: 1 });
  expect(await benchInfer(small)).not.toHaveProperty("stepsPerRun");
  expect(groups()).toEqual(new Set());
}, 60_000);

test("an estimate times steps together, too", async () => {
  const root = await temporaryFolder();
  const dataPath = await writePhotos(join(root, "photos"), { perClass: 8 });
  const { imagesPerSecond } = await estimate(
    tinyRun({ dataPath, outputDir: join(root, "run"), batchSize: 4, stepsPerRun: 2 }),
  );
  expect(imagesPerSecond).toBeGreaterThan(0);
  expect(groups()).toContain("2 true");
  await rm(root, { recursive: true, force: true });
}, 60_000);
