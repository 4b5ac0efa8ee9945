/** Which epoch's weights are a run's best, and what a saved state says of it. */
import { expect, test } from "vitest";
import { createModel } from "../../../src/models/registry.ts";
import { initialVectors, modelLayout } from "../../../src/nn/parameters.ts";
import { adamW } from "../../../src/optim/adamw.ts";
import { withEma } from "../../../src/optim/ema.ts";
import { createRandom } from "../../../src/random.ts";
import { isBetter, progressOf, restoreProgress } from "../../../src/training/loop/run-progress.ts";

test("a higher top-1 is better, and of the same top-1 the lower loss", () => {
  const best = { acc1: 90, loss: 0.5 };
  expect(isBetter({ acc1: 0, loss: 9 }, undefined)).toBe(true);
  expect(isBetter({ acc1: 91, loss: 0.9 }, best)).toBe(true);
  expect(isBetter({ acc1: 89, loss: 0.1 }, best)).toBe(false);
  expect(isBetter({ acc1: 90, loss: 0.4 }, best)).toBe(true);
  expect(isBetter({ acc1: 90, loss: 0.5 }, best)).toBe(false);
  expect(isBetter({ acc1: 90, loss: NaN }, best)).toBe(false);
});

test("a state from before losses were kept goes on: the next epoch of the same top-1 is its best", () => {
  const { best } = progressOf({ epoch: 4, best: { epoch: 2, acc1: 90, acc5: 99, weights: "averaged" } });
  expect(best).toMatchObject({ epoch: 2, since: 2, weights: "averaged" });
  expect(isBetter({ acc1: 90, loss: 3 }, best)).toBe(true);
});

test("training starts from all weights, under their vectors' names, and never from zeros in their place", async () => {
  const layout = modelLayout(createModel("deit_w64d4_patch4_32"));
  const weights = initialVectors(layout, createRandom(1));
  const start = async (given: Record<string, Float32Array>): Promise<Map<string, Float32Array>> => {
    const set = new Map<string, Float32Array>();
    const runtime = { setState: async (name: string, value: Float32Array) => void set.set(name, value) };
    const optimizer = withEma(adamW(), { decay: 0.9 });
    await restoreProgress({ runtime, layout, optimizer }, { saved: null, initial: async () => given });
    return set;
  };
  const started = await start(weights);
  for (const [name, data] of Object.entries(weights)) {
    expect(started.get(`W.${name}`)).toBe(data);
    expect(started.get(`E.${name}`)).toBe(data);
    expect(started.get(`m.${name}`)?.every((value) => value === 0)).toBe(true);
  }
  const { decay, ...rest } = weights;
  const renamed = Object.fromEntries(Object.entries(weights).map(([name, data]) => [`W.${name}`, data]));
  for (const wrong of [rest, renamed, { ...weights, more: new Float32Array(1) }, {}])
    await expect(start(wrong)).rejects.toMatchObject({ code: "program/state" });
  expect(decay?.length).toBeGreaterThan(0);
});
