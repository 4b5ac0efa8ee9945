/** Forward contexts and the stochastic-depth mask (Huang et al. 2016), drawn as timm's DropPath. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { dropPathRates } from "../../src/models/vision-transformer.ts";
import { DROP_PATH_INPUT, dropPathMask, evaluationContext, trainingContext } from "../../src/nn/context.ts";
import { createRandom } from "../../src/random.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

const x = input("x", "float32", [3, 2, 2]); // 3 tokens of 2 samples
const ones = Array.from({ length: 12 }, () => 1);

describe("training", () => {
  test("multiplies whole samples of a branch by its row of the mask", () => {
    const context = trainingContext({ batchSize: 2, dropPathRates: [0.1, 0.2] });
    const masks = { x: ones, [DROP_PATH_INPUT]: [1, 2, 3, 4] };
    const perSample = (a: number, b: number): number[] => [a, a, b, b, a, a, b, b, a, a, b, b];
    expect([...(evaluate([context.dropPath(x, 0)], masks)[0] ?? [])]).toEqual(perSample(1, 2));
    expect([...(evaluate([context.dropPath(x, 1)], masks)[0] ?? [])]).toEqual(perSample(3, 4));
  });

  test("drops images as it drops tokens", () => {
    const images = input("images", "float32", [2, 2, 1, 3]);
    const context = trainingContext({ batchSize: 2, dropPathRates: [0.1, 0.2] });
    const masks = { images: ones, [DROP_PATH_INPUT]: [1, 2, 3, 4] };
    const expected = [3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4];
    expect([...(evaluate([context.dropPath(images, 1)], masks)[0] ?? [])]).toEqual(expected);
  });

  test("leaves branches of rate 0 alone", () => {
    const context = trainingContext({ batchSize: 2, dropPathRates: [0, 0.2] });
    expect(context.dropPath(x, 0)).toBe(x);
    expect(context.dropPath(x, 1)).not.toBe(x);
    expect(trainingContext({ batchSize: 2, dropPathRates: [0, 0] }).dropPath(x, 1)).toBe(x);
    expect(context.training).toBe(true);
  });
});

describe("evaluation", () => {
  test("drops nothing, and records when asked to", () => {
    const records = new Map([["before", x]]);
    const context = evaluationContext(records);
    expect(context.dropPath(x, 0)).toBe(x);
    context.record("here", x);
    expect([...records.keys()]).toEqual(["before", "here"]);
    expect(context.training).toBe(false);
    evaluationContext().record("nowhere", x);
    expect(records.size).toBe(2);
  });
});

describe("dropPathMask", () => {
  test("is floor(keep + u) / keep", () => {
    const draws = [0, 0.19, 0.21, 0.99];
    const mask = dropPathMask([0.2, 0], 4, (branch, row) => draws[branch * 4 + row] ?? 0.5);
    expect([...mask]).toEqual([...Float32Array.of(0, 0, 1.25, 1.25, 1, 1, 1, 1)]);
  });

  test("equals timm's for the same draws (tests/golden/drop-path/record.py)", () => {
    const file = new URL("../golden/drop-path/drop-path.json", import.meta.url);
    const golden: { batchSize: number; depth: number; rate: number; factors: PackedTensor } = JSON.parse(
      readFileSync(file, "utf8"),
    );
    const { batchSize, depth, rate } = golden;
    const rates = dropPathRates(depth, rate);
    const draws = seededTensor("draws", rates.length * batchSize, { offset: 0.5, scale: 1 });
    const mask = dropPathMask(rates, batchSize, (branch, row) => {
      // Beside the threshold.
      if (row === 0) return Math.max((rates[branch] ?? 0) - 1e-6, 0);
      if (row === 1) return (rates[branch] ?? 0) + 1e-6;
      return draws[branch * batchSize + row] ?? Number.NaN;
    });
    const expected = unpack(golden.factors);
    expect(mask.map((factor) => Number(factor === 0))).toEqual(expected.map((x) => Number(x === 0)));
    const apart = mask.map((factor, i) => Math.abs(factor - (expected[i] ?? Number.NaN)));
    expect(Math.max(...apart)).toBeLessThanOrEqual(2e-7); // timm's rates are float32
  });

  test("keeps each branch at its rate, and the expectation at 1", () => {
    const rates = dropPathRates(6, 0.5);
    const batchSize = 20_000;
    const random = createRandom(7);
    const mask = dropPathMask(rates, batchSize, () => random.uniform());
    for (const [branch, rate] of rates.entries()) {
      const row = mask.subarray(branch * batchSize, (branch + 1) * batchSize);
      const kept = row.filter((factor) => factor !== 0);
      expect(new Set(kept)).toEqual(new Set([Math.fround(1 / (1 - rate))]));
      const deviation = Math.sqrt((rate * (1 - rate)) / batchSize);
      expect(Math.abs(kept.length / batchSize - (1 - rate))).toBeLessThanOrEqual(4 * deviation);
      const mean = row.reduce((total, factor) => total + factor, 0) / batchSize;
      expect(Math.abs(mean - 1)).toBeLessThanOrEqual((4 * deviation) / (1 - rate) + 1e-6);
    }
  });

  test("draws samples and branches independently", () => {
    const random = createRandom(8);
    const [a = [], b = []] = [0, 1].map(() =>
      Array.from(dropPathMask([0.5], 10_000, () => random.uniform())),
    );
    const both = a.filter((factor, i) => factor !== 0 && b[i] !== 0).length;
    expect(Math.abs(both / 10_000 - 0.25)).toBeLessThan(0.02);
  });
});
