/** The average of the weights beside twenty steps of SGD, against timm's; recorded by tests/golden/ema/record.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { compile } from "../../src/graph/program.ts";
import { reshape, split } from "../../src/graph/ops.ts";
import { adamW } from "../../src/optim/adamw.ts";
import type { EmaOptions } from "../../src/optim/ema.ts";
import { EMA_SLOT, emaDecay, withEma } from "../../src/optim/ema.ts";
import { sgd } from "../../src/optim/sgd.ts";
import { expectClose } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

type Run = Readonly<Record<string, { weight: PackedTensor; average: PackedTensor }>>;

const file = new URL("../golden/ema/ema.json", import.meta.url);
const golden: { length: number; learningRate: number; steps: number } & Record<
  "reference" | "fast" | "warmedUp",
  Run
> = JSON.parse(readFileSync(file, "utf8"));
const { length, learningRate, steps } = golden;
const group = { name: "decay", decay: true, lrScale: 1 };

const runs: readonly (readonly ["reference" | "fast" | "warmedUp", EmaOptions])[] = [
  ["reference", { decay: 0.99996 }],
  ["fast", { decay: 0.9 }],
  ["warmedUp", { decay: 0.99996, warmup: true }],
];

describe.each(devices)("on %s", (device) => {
  test.each(runs)("%s", async (name, options) => {
    const runtime = await sharedRuntime(device);
    const optimizer = withEma(sgd({ weightDecay: 0 }), options);
    expect(optimizer.slots).toEqual(["momentum", EMA_SLOT]);
    const count = optimizer.hyper(1, 0, group).length;
    const vector = (slot: string): ReturnType<typeof input> => input(slot, "float32", [length]);
    const hyper = split(
      input("hyper", "float32", [count]),
      Array.from({ length: count }, () => 1),
      0,
    ).map((x) => reshape(x, []));
    const { weight, slots } = optimizer.update({
      weight: vector("W"),
      grad: vector("grad"),
      slots: optimizer.slots.map(vector),
      hyper,
      vector: { group, segments: [] },
    });
    const next = Object.fromEntries(optimizer.slots.map((slot, i) => [slot, slots[i] ?? weight]));
    const program = compile({ name, target: runtime.target, outputs: {}, state: { W: weight, ...next } });
    const executable = await runtime.load(program);
    const start = seededTensor("w", length, { offset: 0, scale: 2 });
    await runtime.setState("W", start);
    await runtime.setState(EMA_SLOT, start);
    await runtime.setState("momentum", new Float32Array(length));
    for (let step = 1; step <= steps; step++) {
      await executable.run({
        grad: seededTensor(`w.grad.${step}`, length, { offset: 0, scale: 1 }),
        hyper: Float32Array.from(optimizer.hyper(step, learningRate, group)),
      });
      const recorded = golden[name][step];
      if (recorded === undefined) continue;
      const close = { tolerance: 3e-7, name: `step ${step}` };
      expectClose(await runtime.getState("W"), unpack(recorded.weight), close);
      expectClose(await runtime.getState(EMA_SLOT), unpack(recorded.average), close);
    }
    await executable.release();
  });
});

describe("emaDecay", () => {
  test("is constant without a warm-up, from the first update on", () => {
    expect([1, 2, 100_000].map((update) => emaDecay(update, { decay: 0.99996 }))).toEqual(
      Array.from({ length: 3 }, () => 0.99996),
    );
  });

  test("grows as (1 + t) / (10 + t) up to the decay with one", () => {
    const warmed = (update: number): number => emaDecay(update, { decay: 0.999, warmup: true });
    expect([1, 10, 90].map(warmed)).toEqual([2 / 11, 11 / 20, 91 / 100]);
    expect([8990, 8991, 1_000_000].map(warmed)).toEqual([8991 / 9000, 0.999, 0.999]);
  });
});

test("the optimizer itself is as it was", () => {
  const [plain, averaged] = [adamW(), withEma(adamW(), { decay: 0.9 })];
  expect(averaged.slots).toEqual([...plain.slots, EMA_SLOT]);
  const given = plain.hyper(3, 0.1, group);
  expect(averaged.hyper(3, 0.1, group)).toEqual([...given, 1 - 0.9]);
});
