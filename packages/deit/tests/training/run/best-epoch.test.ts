/** Which epoch a run is judged by: of few held-out images the last, which none of them has chosen. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { TrainInput } from "../../../src/config/schema.ts";
import { openSafetensors } from "../../../src/formats/safetensors-file.ts";
import { FEW_IMAGES } from "../../../src/evaluation/metrics/share.ts";
import { epochResults, selectionOf, selectionRule } from "../../../src/training/run/best-epoch.ts";
import type { EpochRecord } from "../../../src/training/run/run-log.ts";
import { parseLog } from "../../../src/training/run/run-log.ts";
import { readSelection } from "../../../src/training/run/run-selection.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { tinyRun, train, writePhotos } from "../photos.ts";

const record = (epoch: number, acc1: number, rest: Partial<EpochRecord> = {}): EpochRecord => ({
  epoch,
  train_loss: 1,
  train_lr: 1e-3,
  test_loss: 1,
  test_acc1: acc1,
  test_acc5: 100,
  n_parameters: 1,
  ...rest,
});

describe("the rule", () => {
  const auto = { selectEpoch: "auto", patience: null } as const;
  test.each([
    [FEW_IMAGES, auto, "best"],
    [FEW_IMAGES - 1, auto, "last"],
    [0, auto, "last"], // accuracy on training images chooses nothing
    [11, { ...auto, patience: 3 }, "best"],
    [11, { ...auto, selectEpoch: "best" }, "best"],
    [5000, { ...auto, selectEpoch: "last" }, "last"],
  ] as const)("%d held-out images, %j: %s", (images, options, rule) => {
    expect(selectionRule(options, images)).toBe(rule);
  });
});

test("figures carry their count, and the averaged weights count where they are better", () => {
  const log = [
    record(0, 50),
    record(1, 70, { test_ema_acc1: 90, test_ema_acc5: 100, test_ema_loss: 1 }),
    { epoch: 2, train_loss: 1, train_lr: 1, n_parameters: 1 },
    record(3, 80),
  ];
  const best = epochResults(log, { rule: "best", images: 10 });
  expect(best.best).toMatchObject({ epoch: 1, acc1: 90, weights: "averaged", correct: 9, images: 10 });
  expect(best.best.interval[0]).toBeCloseTo(59.6, 1);
  expect(best.last).toMatchObject({ epoch: 3, correct: 8 });
  // images that cannot be read are not measured
  const five = epochResults([record(0, 60, { test_images: 5 })], { rule: "last", images: 6 });
  expect(five.last).toMatchObject({ correct: 3, images: 5 });
  expect(epochResults(log, { rule: "last", images: 10 }).best).toEqual(best.last);
  expect(selectionOf(log, { rule: "best", heldOut: 10 })).toEqual({ rule: "best", epochs: 3, heldOut: 10 });
});

describe("a run on few images", () => {
  let root = "";
  let photos = "";
  const run = (outputDir: string, changes: TrainInput = {}): ReturnType<typeof tinyRun> =>
    tinyRun({
      dataPath: photos,
      outputDir: join(root, outputDir),
      epochs: 4,
      selectEpoch: "auto",
      ...changes,
    });
  beforeAll(async () => {
    root = await temporaryFolder();
    photos = await writePhotos(join(root, "photos"), { perClass: 10 });
  });

  /** After an epoch in which it was better: a learning rate that throws the weights about. */
  const WILD: TrainInput = { lr: 0.05, sched: "constant" };

  test("keeps the last epoch, says so, and a choice can be asked for", async () => {
    const result = await train(run("auto", WILD));
    expect(result.best.epoch).toBe(3);
    expect(result.best).toEqual(result.last);
    expect(result.selection).toEqual({ rule: "last", epochs: 4, heldOut: 6 });
    await using model = await openSafetensors(join(root, "auto/best.safetensors"));
    expect(model.metadata["epoch"]).toBe("3");
    expect(await readSelection(join(root, "auto"))).toEqual(result.selection);

    const chosen = await train(run("chosen", { ...WILD, selectEpoch: "best" }));
    expect(chosen.selection.rule).toBe("best");
    const log = parseLog(await readFile(join(root, "chosen/log.jsonl"), "utf8"));
    expect(chosen.best.acc1).toBe(Math.max(...log.map(({ test_acc1: acc1 = 0 }) => acc1)));
    expect(log.map(({ test_images: images }) => images)).toEqual([6, 6, 6, 6]);
  });

  test("without held-out images nothing is called held out", async () => {
    const { selection, best } = await train(run("all", { valSplit: 0 }));
    expect(selection).toEqual({ rule: "last", epochs: 4, heldOut: 0 });
    expect(best.images).toBe(30);
  });

  test("a run that kept no record goes on choosing the best epoch, as it began", async () => {
    await train(run("old", { ...WILD, selectEpoch: "best" }));
    await Promise.all(["record.json", "images.txt.gz"].map(async (name) => rm(join(root, "old", name))));
    const { selection } = await train(run("old", { ...WILD, selectEpoch: "best" }));
    expect(selection.rule).toBe("best");
  });
});
