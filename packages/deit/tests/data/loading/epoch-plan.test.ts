import { describe, expect, it } from "vitest";
import { planBatches, createPlan, sampleRandom } from "../../../src/data/loading/epoch-plan.ts";
import { ownBatches } from "../../../src/training/loop/share-update.ts";
import { createRandom } from "../../../src/random.ts";

function epochOf(plan: ReturnType<typeof createPlan>, epoch: number): { index: number; copy: number }[] {
  return Array.from({ length: plan.steps }, (_, step) => plan.at(epoch, step)).flat();
}

describe("training", () => {
  const plan = createPlan({ length: 103, batchSize: 10, mode: "train", seed: 1 });

  it("shows every image once but for the last short batch, in another order each epoch", () => {
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

  it("repeats images as RASampler does on one process: copies side by side, a third of the images", () => {
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

  it.each([1, 2, 3, 4, 8])("deals the samples to %d processes as RASampler does", (size) => {
    // the reference: the order, each index three times, dealt out like cards; a rank keeps its first whole batches
    const [length, batchSize, repeats] = [1000, 10, 3];
    const options = { length, batchSize, mode: "train", repeats, seed: 3 } as const;
    const order = createRandom(3, "shuffle", 5).permutation(length);
    const dealt = Array.from({ length: length * repeats }, (_, i) => order[Math.floor(i / repeats)]);
    const plans = Array.from({ length: size }, (_, rank) =>
      createPlan({ ...options, accumulationSteps: size, process: { rank, size } }),
    );
    const ownSamples = (plan: (typeof plans)[number]): ReturnType<typeof epochOf> =>
      Array.from({ length: plan.steps }, (_, step) => (plan.isOwn(step) ? plan.at(5, step) : [])).flat();
    const seen = new Set<number>();
    for (const [rank, plan] of plans.entries()) {
      const samples = ownSamples(plan);
      expect(plan.steps).toBe(size * Math.floor(length / (batchSize * size)));
      expect(samples.map(({ index }) => index)).toEqual(
        dealt.filter((_, i) => i % size === rank).slice(0, samples.length),
      );
      for (const { index } of samples) seen.add(index);
      expect(plan.uniqueImages).toBe(plans[0]?.uniqueImages);
    }
    expect(seen.size).toBe(plans[0]?.uniqueImages);
    // every copy of an image is drawn once, on whichever process
    const copies = plans.flatMap(ownSamples).map(({ index, copy }) => `${index}.${copy}`);
    expect(new Set(copies).size).toBe(copies.length);
  });

  it("repeats below 256 images, where the reference has no samples at all", () => {
    const small = createPlan({ length: 40, batchSize: 8, mode: "train", repeats: 3 });
    expect([small.steps, small.uniqueImages]).toEqual([5, 14]);
  });

  it("gives each copy, epoch and image a stream of its own", () => {
    const first = (epoch: number, index: number, copy: number, seed = 0): number =>
      sampleRandom(seed, epoch, { index, copy }).uniform();
    expect(
      new Set([first(0, 0, 0), first(1, 0, 0), first(0, 1, 0), first(0, 0, 1), first(0, 0, 0, 1)]).size,
    ).toBe(5);
  });

  it("says which batch size to use for a small dataset", () => {
    expect(() => createPlan({ length: 41, batchSize: 64, mode: "train" })).toThrow(
      "a batch of 64 is larger than the dataset of 41 images\nUse a batch size of 40 or less.",
    );
    expect(() => createPlan({ length: 0, batchSize: 64, mode: "evaluation" })).toThrow(/no images/);
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

  it("every image belongs to one process", () => {
    const plans = [0, 1].map((rank) =>
      createPlan({ length: 23, batchSize: 5, mode: "evaluation", process: { rank, size: 2 } }),
    );
    const steps = plans.map((plan) => [0, 1, 2, 3, 4].filter((step) => plan.isOwn(step)));
    expect(steps).toEqual([
      [0, 2, 4],
      [1, 3],
    ]);
  });
});

describe("with accumulation", () => {
  const settings = { batchSize: 8, accumulationSteps: 2, seed: 0, repeats: 1 };

  it("an epoch has whole updates, and shows as many images", () => {
    const plan = planBatches(settings, 31); // three batches, of which two are an update
    expect([plan.steps, plan.uniqueImages]).toEqual([2, 16]);
    expect(planBatches({ ...settings, accumulationSteps: 1 }, 31).uniqueImages).toBe(24);
    expect(planBatches({ ...settings, repeats: 3 }, 31).uniqueImages).toBe(6);
    expect(planBatches({ ...settings, accumulationSteps: 3 }, 31).uniqueImages).toBe(24);
    expect(() => plan.at(0, 2)).toThrow(RangeError);
  });

  it("the samples of an update are those of the same steps without it, dealt to its batches", () => {
    const [plain, accumulated] = [1, 2].map((accumulationSteps) =>
      planBatches({ ...settings, repeats: 3, accumulationSteps }, 31),
    );
    const samples = [0, 1].flatMap((step) => plain?.at(3, step) ?? []);
    for (const step of [0, 1])
      expect(accumulated?.at(3, step)).toEqual(samples.filter((_, i) => i % 2 === step));
  });

  it("processes share the batches of an update evenly, or nearly so", () => {
    const owners = [0, 1].map((rank) =>
      planBatches({ ...settings, accumulationSteps: 3, process: { rank, size: 2 } }, 48),
    );
    expect([0, 1, 2, 3, 4, 5].map((step) => owners.findIndex((plan) => plan.isOwn(step)))).toEqual([
      0, 1, 0, 0, 1, 0,
    ]);
    expect([0, 1, 3, 4].map((step) => ownBatches(step, { batches: 3, size: 2 }))).toEqual([2, 1, 2, 1]);
  });

  it("more images an update than there are is an error", () => {
    expect(() => planBatches({ ...settings, accumulationSteps: 4 }, 31)).toThrow(
      expect.objectContaining({
        code: "data/too-few-images",
        hint: expect.stringContaining("--batch-size 7 or less"),
      }),
    );
  });
});
