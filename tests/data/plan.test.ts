import { describe, expect, it } from "vitest";
import { createPlan, sampleRandom } from "../../src/data/plan.ts";

function epochOf(plan: ReturnType<typeof createPlan>, epoch: number): { index: number; copy: number }[] {
  return Array.from({ length: plan.steps }, (_, step) => plan.at(epoch, step)).flat();
}

describe("training", () => {
  const plan = createPlan({ length: 103, batchSize: 10, mode: "train", seed: 1 });

  it("shows every picture once but for the last short batch, in another order each epoch", () => {
    expect(plan.steps).toBe(10);
    const indices = epochOf(plan, 0).map(({ index }) => index);
    expect(indices.length).toBe(100);
    expect(new Set(indices).size).toBe(100);
    expect(epochOf(plan, 0).every(({ copy }) => copy === 0)).toBe(true);
    expect(epochOf(plan, 1)).not.toEqual(epochOf(plan, 0));
    const missed = new Set<number>();
    for (let epoch = 0; epoch < 200; epoch++) {
      const seen = new Set(epochOf(plan, epoch).map(({ index }) => index));
      for (let i = 0; i < 103; i++) if (!seen.has(i)) missed.add(i);
    }
    expect(missed.size).toBe(103); // dropped by chance, never always the same
  });

  it("depends on seed, epoch and step alone", () => {
    const again = createPlan({ length: 103, batchSize: 10, mode: "train", seed: 1 });
    expect(again.at(7, 9)).toEqual((plan.at(2, 1), plan.at(7, 9)));
    expect(createPlan({ length: 103, batchSize: 10, mode: "train", seed: 2 }).at(7, 9)).not.toEqual(
      again.at(7, 9),
    );
    expect(() => plan.at(0, 10)).toThrow(RangeError);
  });

  it("repeats pictures as RASampler does on one process: copies side by side, a third of the pictures", () => {
    const repeated = createPlan({ length: 100, batchSize: 8, mode: "train", repeats: 3 });
    const samples = epochOf(repeated, 0);
    expect(samples.length).toBe(96);
    expect(new Set(samples.map(({ index }) => index)).size).toBe(32);
    for (let i = 0; i < 96; i++)
      expect(samples[i]).toEqual({ index: samples[i - (i % 3)]?.index, copy: i % 3 });
    const seen = new Set(
      Array.from({ length: 30 }, (_, epoch) => epochOf(repeated, epoch))
        .flat()
        .map(({ index }) => index),
    );
    expect(seen.size).toBe(100);
  });

  it("gives each copy, epoch and picture a stream of its own", () => {
    const first = (epoch: number, index: number, copy: number, seed = 0): number =>
      sampleRandom(seed, epoch, { index, copy }).uniform();
    expect(
      new Set([first(0, 0, 0), first(1, 0, 0), first(0, 1, 0), first(0, 0, 1), first(0, 0, 0, 1)]).size,
    ).toBe(5);
  });

  it("says which batch size to use for a small dataset", () => {
    expect(() => createPlan({ length: 41, batchSize: 64, mode: "train" })).toThrow(
      "a batch of 64 is larger than the dataset of 41 pictures\nUse a batch size of 40 or less.",
    );
    expect(() => createPlan({ length: 0, batchSize: 64, mode: "evaluation" })).toThrow(/no pictures/);
    expect(createPlan({ length: 64, batchSize: 64, mode: "train" }).steps).toBe(1);
  });
});

describe("evaluation", () => {
  it("keeps the order, and shows the short batch", () => {
    const plan = createPlan({ length: 23, batchSize: 10, mode: "evaluation", seed: 5, repeats: 3 });
    expect(plan.steps).toBe(3);
    expect(epochOf(plan, 4)).toEqual(Array.from({ length: 23 }, (_, index) => ({ index, copy: 0 })));
    expect(plan.at(0, 2).length).toBe(3);
  });
});
