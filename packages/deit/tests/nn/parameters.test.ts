/** Names of parameters, their collection by tracing, and how they start. */
import { describe, expect, test } from "vitest";
import { add, reshape } from "../../src/graph/ops.ts";
import { layerNorm, linear } from "../../src/nn/linear.ts";
import { collectParameters, createScope, initialize } from "../../src/nn/parameters.ts";
import type { Initializer } from "../../src/nn/parameters.ts";
import { input } from "../../src/graph/graph.ts";
import { createRandom } from "../../src/random.ts";

const x = input("x", "float32", [5, 4]);

describe("collectParameters", () => {
  test("lists them under their full names, in the order of first use", () => {
    const specs = collectParameters((scope) => {
      const y = linear(layerNorm(x, scope.at("norm")), scope.at("blocks.0").at("fc"), { outFeatures: 3 });
      return linear(y, scope.at("head"), { outFeatures: 2 });
    });
    expect(specs.map(({ name, shape }) => [name, ...shape])).toEqual([
      ["norm.weight", 4],
      ["norm.bias", 4],
      ["blocks.0.fc.weight", 3, 4],
      ["blocks.0.fc.bias", 3],
      ["head.weight", 2, 3],
      ["head.bias", 2],
    ]);
    expect(specs.map(({ initializer }) => initializer.kind)).toEqual([
      "ones",
      "zeros",
      "truncNormal",
      "zeros",
      "truncNormal",
      "zeros",
    ]);
  });

  test("lists a shared parameter once, and refuses two shapes for one name", () => {
    const shared = collectParameters((scope) =>
      add(linear(x, scope.at("fc"), { outFeatures: 4 }), linear(x, scope.at("fc"), { outFeatures: 4 })),
    );
    expect(shared.map(({ name }) => name)).toEqual(["fc.weight", "fc.bias"]);
    expect(() =>
      collectParameters((scope) => {
        linear(x, scope.at("fc"), { outFeatures: 4 });
        linear(reshape(x, [4, 5]), scope.at("fc"), { outFeatures: 4 });
      }),
    ).toThrow(/parameter fc.weight is used as \[4, 4\] and as \[4, 5\]/);
  });
});

test("a scope joins names by dots", () => {
  const asked: string[] = [];
  const scope = createScope(({ name }) => {
    asked.push(name);
    return x;
  });
  scope.at("blocks.3").at("attn").parameter("weight", [1], { kind: "zeros" });
  scope.parameter("cls_token", [1], { kind: "zeros" });
  expect(asked).toEqual(["blocks.3.attn.weight", "cls_token"]);
});

describe("initialize", () => {
  const COUNT = 40_000;

  function drawn(initializer: Initializer, name = "w", seed = 1): Float32Array {
    const target = new Float32Array(COUNT).fill(Number.NaN);
    initialize(target, { name, shape: [COUNT], initializer }, createRandom(seed));
    return target;
  }

  test("constants", () => {
    expect(new Set(drawn({ kind: "zeros" }))).toEqual(new Set([0]));
    expect(new Set(drawn({ kind: "ones" }))).toEqual(new Set([1]));
  });

  test("truncated normal: mean 0, its std, and a normal's tails", () => {
    const values = drawn({ kind: "truncNormal", std: 0.02 });
    const { mean, std } = moments(values);
    expect(Math.abs(mean)).toBeLessThan((4 * 0.02) / Math.sqrt(COUNT));
    expect(Math.abs(std / 0.02 - 1)).toBeLessThan(4 / Math.sqrt(2 * COUNT));
    // The cut is at ±2, 100 σ away: beyond 2σ lie 4.55 %, as of an uncut normal.
    const beyond = values.filter((value) => Math.abs(value) > 0.04).length / COUNT;
    expect(Math.abs(beyond - 0.0455)).toBeLessThan(0.005);
  });

  test("a wide truncated normal stays within ±2", () => {
    const values = drawn({ kind: "truncNormal", std: 2 });
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(2);
    expect(Math.max(...values)).toBeGreaterThan(1.95);
  });

  test("uniform: within its bound, with the std of a uniform", () => {
    const bound = 768 ** -0.5;
    const values = drawn({ kind: "uniform", bound });
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(bound);
    const { mean, std } = moments(values);
    expect(Math.abs(mean)).toBeLessThan(bound / 50);
    expect(Math.abs((std * Math.sqrt(3)) / bound - 1)).toBeLessThan(0.01);
  });

  test("depends on seed and name alone", () => {
    const initializer: Initializer = { kind: "truncNormal", std: 0.02 };
    expect(drawn(initializer)).toEqual(drawn(initializer));
    expect(drawn(initializer, "v")).not.toEqual(drawn(initializer));
    expect(drawn(initializer, "w", 2)).not.toEqual(drawn(initializer));
  });
});

function moments(values: Float32Array): { mean: number; std: number } {
  const mean = values.reduce((total, x) => total + x, 0) / values.length;
  const variance = values.reduce((total, x) => total + (x - mean) ** 2, 0) / values.length;
  return { mean, std: Math.sqrt(variance) };
}
