/** Float16 updates that are skipped amid steps that were handed over together: the run is that of single steps, bit for bit. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type { TrainInput } from "../../../src/config/schema.ts";
import * as lossScale from "../../../src/optim/loss-scale.ts";
import { InterruptedError } from "../../../src/training/train.ts";
import * as stepGroups from "../../../src/training/loop/step-groups.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { runContent, tinyRun, train, writePhotos } from "../photos.ts";

vi.mock("../../../src/optim/loss-scale.ts", { spy: true });
vi.mock("../../../src/training/loop/step-groups.ts", { spy: true });

test("whole, and stopped among them and gone on", async () => {
  const { withLossScale } = await vi.importActual<typeof lossScale>("../../../src/optim/loss-scale.ts");
  vi.mocked(lossScale.withLossScale).mockImplementation((optimizer) =>
    withLossScale(optimizer, { start: 2 ** 34 }),
  );
  // As on WebGPU: each is a run of its own, and none waits for the one before.
  vi.mocked(stepGroups.loadStepGroup).mockImplementation(async (_, __, count) =>
    count === 1 ? undefined : { count, executable: undefined },
  );
  const root = await temporaryFolder();
  const dataPath = await writePhotos(join(root, "photos"));
  const options = (folder: string, changes: TrainInput): ReturnType<typeof tinyRun> =>
    tinyRun({
      dataPath,
      outputDir: join(root, folder),
      precision: "float16",
      epochs: 2,
      batchSize: 2,
      modelEma: true,
      modelEmaWarmup: true,
      ...changes,
    });
  await train(options("single", { stepsPerRun: 1 }));
  const single = await runContent(join(root, "single"));
  const skipped = Number(single.log[0]?.["skipped_updates"]);
  expect(skipped).toBeGreaterThan(8);
  expect(skipped % 7, "the last one is skipped amid a group").not.toBe(0);

  await train(options("together", { stepsPerRun: 7 }));
  expect(await runContent(join(root, "together"))).toEqual(single);

  const stop = new AbortController();
  const stopped = train(options("stopped", { stepsPerRun: 7 }), {
    signal: stop.signal,
    onEvent: (event) => void (event.type === "step" && event.step === 7 && stop.abort()),
  });
  await expect(stopped).rejects.toThrow(InterruptedError);
  await train(options("stopped", { stepsPerRun: 7 }));
  expect(await runContent(join(root, "stopped"))).toEqual(single);
  await rm(root, { recursive: true, force: true });
}, 60_000);
