/** Table 8: each row of the ablation changes exactly what its name says, and nothing else. */
import { describe, expect, test } from "vitest";
import { loadTable } from "../../src/ablation/table.ts";
import { parseTrainOptions } from "../../../deit/src/config/resolve.ts";
import type { TrainInput, TrainOptions } from "../../../deit/src/config/schema.ts";
import { TRAIN_OPTION_NAMES } from "../../../deit/src/config/schema.ts";
import { planBatches } from "../../../deit/src/data/loading/epoch-plan.ts";
import type { Program } from "../../../deit/src/graph/program.ts";
import { buildModel } from "../../../deit/src/models/model-request.ts";
import { batchFeeds } from "../../../deit/src/training/loop/step-feeds.ts";
import { stepProgram } from "../../../deit/src/training/loop/training-programs.ts";
import { planTraining } from "../../../deit/src/training/plan.ts";

const SIZE = [32, 32] as const;
const { recipe, rows } = await loadTable("ablation-cifar10");
const base = options({});

function options(change: TrainInput): TrainOptions {
  return parseTrainOptions({ ...recipe, model: "deit_w64d4_patch4_32", batchSize: 8, ...change });
}

function rowNamed(name: string): TrainOptions {
  const row = rows.find((candidate) => candidate.name === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  return options(row.change);
}

/** Everything that the options decide, by part. */
function partsOf(given: TrainOptions): Record<string, unknown> {
  const program = programOf(given);
  const { images, batches, optimizer } = planTraining(given);
  return {
    transform: { ...images.transform, size: SIZE },
    plan: planBatches(batches, 1000).uniqueImages,
    mixing: images.mixup,
    optimizer: [optimizer.name, optimizer.slots],
    inputs: Object.keys(program.inputs).filter((name) => !(name in program.state)),
  };
}

function programOf(given: TrainOptions): Program {
  const { model: request, normalisation, step, optimizer } = planTraining(given);
  const { model, layout } = buildModel(request, 10);
  const shared = {
    model,
    layout,
    batchSize: given.batchSize,
    target: "cpu",
    normalisation,
  } as const;
  return stepProgram(shared, { ...step, optimizer });
}

/** The parts in which a row differs from the whole recipe. */
function changed(name: string): Record<string, unknown> {
  const [there, here] = [partsOf(base), partsOf(rowNamed(name))];
  return Object.fromEntries(
    Object.entries(here).filter(([part, value]) => JSON.stringify(value) !== JSON.stringify(there[part])),
  );
}

const INPUTS = ["dropPathMask", "erasing", "images", "mix", "targets"];

test("the whole recipe is the paper's", () => {
  expect(planTraining(base).images.transform).toMatchObject({
    augment: "rand-m9-mstd0.5-inc1",
    flip: 0.5,
    erasing: { probability: 0.25, mode: "pixel", count: 1 },
  });
  expect(planTraining(base).images.mixup).toEqual({
    mixup: 0.8,
    cutmix: 1,
    cutmixMinmax: null,
    prob: 1,
    switchProb: 0.5,
    mode: "batch",
  });
  expect(base).toMatchObject({ opt: "adamw", smoothing: 0.1, dropPath: 0.1, drop: 0, weightDecay: 0.05 });
  const inputs = partsOf(base)["inputs"] as string[];
  expect(inputs.filter((name) => !name.startsWith("hyper.")).toSorted()).toEqual(INPUTS);
  expect(planTraining(base).batches.repeats).toBe(3);
});

describe("each row differs from the whole recipe in its options alone, and in the parts that these decide", () => {
  test.each(rows)("$name", ({ name, change }) => {
    const given = rowNamed(name);
    const differing = TRAIN_OPTION_NAMES.filter(
      (option) => JSON.stringify(given[option]) !== JSON.stringify(base[option]),
    );
    expect(differing.every((option) => option in change)).toBe(true);
  });

  const without = (...names: string[]): string[] => INPUTS.filter((input) => !names.includes(input));
  const inputsIn = (parts: Record<string, unknown>): unknown =>
    (parts["inputs"] as string[] | undefined)?.filter((input) => !input.startsWith("hyper.")).toSorted();

  test("RandAugment and what comes in its place change the transform alone", () => {
    for (const [name, augment] of [
      ["no RandAugment", undefined],
      ["AutoAugment", "original"],
    ] as const) {
      const parts = changed(name);
      expect(Object.keys(parts)).toEqual(["transform"]);
      expect((parts["transform"] as { augment?: string }).augment).toBe(augment);
    }
    const three = changed("ThreeAugment");
    expect(Object.keys(three)).toEqual(["transform"]);
    expect(three["transform"]).toMatchObject({ threeAugment: true });
  });

  test("Mixup and CutMix change the mixing; without both it leaves the program", () => {
    expect(changed("no Mixup")).toEqual({ mixing: { ...planTraining(base).images.mixup, mixup: 0 } });
    expect(changed("no CutMix")).toEqual({ mixing: { ...planTraining(base).images.mixup, cutmix: 0 } });
    const neither = changed("no Mixup, no CutMix");
    expect(Object.keys(neither)).toEqual(["mixing", "inputs"]);
    expect(inputsIn(neither)).toEqual(without("mix"));
  });

  test("erasing leaves transform and program", () => {
    const parts = changed("no erasing");
    expect(Object.keys(parts)).toEqual(["transform", "inputs"]);
    expect(parts["transform"]).not.toHaveProperty("erasing");
    expect(inputsIn(parts)).toEqual(without("erasing"));
  });

  test("stochastic depth and dropout change the masks of the program alone", () => {
    const still = changed("no stochastic depth");
    expect(Object.keys(still)).toEqual(["inputs"]);
    expect(inputsIn(still)).toEqual(without("dropPathMask"));
    const dropout = changed("dropout");
    expect(Object.keys(dropout)).toEqual(["inputs"]);
    // after the embeddings; after the projection and both layers of the FFN in each of 4 blocks
    const sites = (inputsIn(dropout) as string[]).filter((input) => input.startsWith("dropout."));
    expect(sites).toHaveLength(1 + 4 * 3);
  });

  test("repeated augmentation changes the plan alone", () => {
    expect(changed("no repeated augmentation")).toEqual({ plan: 1000 });
    expect(partsOf(base)["plan"]).toBe(334);
  });

  test("EMA adds a vector to the optimizer, and leaves training as it was", () => {
    expect(changed("EMA")).toEqual({ optimizer: ["adamw", ["m", "v", "E"]] });
  });

  test("SGD is another optimizer", () => {
    expect(changed("SGD")).toEqual({ optimizer: ["sgd", expect.anything()] });
  });
});

test("a switched-off part leaves the draws of the others as they were", () => {
  const labels = Int32Array.from({ length: 8 }, (_, i) => i);
  const images = new Uint8Array(8 * 3 * 32 * 32);
  const feedsOf = (given: TrainOptions): Record<string, unknown> => {
    const plan = planTraining(given);
    const { model } = buildModel(plan.model, 10);
    const program = programOf(given);
    return batchFeeds({ plan, model, program }, { epoch: 1, step: 2, images, labels });
  };
  const whole = feedsOf(base);
  expect(feedsOf(rowNamed("dropout"))["dropPathMask"]).toEqual(whole["dropPathMask"]);
  expect(feedsOf(rowNamed("no stochastic depth"))["mix"]).toEqual(whole["mix"]);
  expect(feedsOf(rowNamed("no Mixup, no CutMix"))["dropPathMask"]).toEqual(whole["dropPathMask"]);
});
