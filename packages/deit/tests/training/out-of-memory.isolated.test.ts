/** Memory that ends in the midst of steps that were handed over together: those that were done are saved. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type { TrainInput } from "../../src/config/schema.ts";
import { DeviceError } from "../../src/errors.ts";
import type { Executable } from "../../src/runtime/runtime.ts";
import { readState } from "../../src/training/run/run-state-file.ts";
import * as stepGroups from "../../src/training/loop/step-groups.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { runContent, tinyRun, train, writePhotos } from "./photos.ts";

vi.mock("../../src/training/loop/step-groups.ts", { spy: true });

/** Runs as those on WebGPU, whose `failing`th finds no memory, and none of its group after it. */
function scarce({ run, ...executable }: Executable, failing: number): Executable {
  let runs = 0;
  let failed: number | undefined;
  return {
    ...executable,
    async run(feeds, options) {
      if (++runs === failing) failed = options?.group;
      if (failed !== undefined && failed === options?.group)
        throw new DeviceError("webgpu", "Failed to create GPU buffer", {
          code: "device/out-of-memory",
          outOfMemory: true,
        });
      return run(feeds, options);
    },
  };
}

test("the third of four steps finds no memory: two are counted and saved, and the run goes on to the same end", async () => {
  const root = await temporaryFolder();
  const dataPath = await writePhotos(join(root, "photos"));
  const options = (folder: string, changes: TrainInput = {}): ReturnType<typeof tinyRun> =>
    tinyRun({ dataPath, outputDir: join(root, folder), epochs: 1, batchSize: 2, drop: 0.1, ...changes });
  await train(options("whole"));

  vi.mocked(stepGroups.loadStepGroup).mockImplementation(async (_, __, count) => ({
    count,
    executable: undefined,
  }));
  const { runSteps } = await vi.importActual<typeof stepGroups>("../../src/training/loop/step-groups.ts");
  let batch: Executable | undefined;
  vi.mocked(stepGroups.runSteps).mockImplementation(async (executables, steps, count) => {
    batch ??= scarce(executables.batch, 7);
    return runSteps({ ...executables, batch }, steps, count);
  });
  const told: number[] = [];
  const running = train(options("scarce", { stepsPerRun: 4 }), {
    onEvent: (event) => void (event.type === "step" && told.push(event.step)),
  });
  await expect(running).rejects.toThrow(
    /memory of webgpu is not enough for a batch of 2: .*The saved state is kept/s,
  );
  expect(told).toEqual([1, 2, 3, 4, 5, 6]);
  expect((await readState(join(root, "scarce", "state.safetensors"))).counters["step"]).toBe(6);

  vi.mocked(stepGroups.loadStepGroup).mockRestore();
  vi.mocked(stepGroups.runSteps).mockRestore();
  await train(options("scarce"));
  expect(await runContent(join(root, "scarce"))).toEqual(await runContent(join(root, "whole")));
  await rm(root, { recursive: true, force: true });
}, 60_000);
