/** Batch normalisation as a layer: which statistics it takes, and what its running ones become. */
import { describe, expect, test } from "vitest";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import type { BatchNormOptions } from "../../src/nn/batch-norm.ts";
import { batchNorm } from "../../src/nn/batch-norm.ts";
import type { ForwardContext } from "../../src/nn/context.ts";
import { evaluationContext, trainingContext } from "../../src/nn/context.ts";
import type { Scope } from "../../src/nn/parameters.ts";
import { collectParameters, createScope } from "../../src/nn/parameters.ts";
import { expectClose } from "../graph/compare.ts";

const x = input("x", "float32", [2, 2, 1, 2]);
const values = new Map(
  ["weight", "bias", "running_mean", "running_var"].map((name) => [name, input(name, "float32", [2])]),
);
const scope: Scope = createScope(({ name }) => values.get(name) ?? x);
const feeds = {
  x: [1, 2, 10, 10, 3, 6, 20, 40], // channel 0: 1 2 3 6, mean 3, variance 3.5; channel 1: 10 10 20 40, 20 and 150
  weight: [2, 1],
  bias: [0, 5],
  running_mean: [1, -1],
  running_var: [4, 9],
};

/** The layer's result and what its running statistics become. */
function run(
  options: BatchNormOptions,
  contextOf: (updates: Map<Value, Value>) => ForwardContext,
): { y: ArrayLike<number>; updates: Record<string, ArrayLike<number>> } {
  const updates = new Map<Value, Value>();
  const y = batchNorm(x, scope, options, contextOf(updates));
  const updated = [...values].flatMap(([name, value]) => {
    const next = updates.get(value);
    return next === undefined ? [] : [[name, next] as const];
  });
  const [first = [], ...rest] = evaluate([y, ...updated.map(([, next]) => next)], feeds);
  return { y: first, updates: Object.fromEntries(updated.map(([name], i) => [name, rest[i] ?? []])) };
}

const training = (bufferUpdates: Map<Value, Value>): ForwardContext =>
  trainingContext({ batchSize: 2, dropPathRates: [], bufferUpdates });

describe("in training", () => {
  test("the batch is normalised by its own biased variance", () => {
    const { y } = run({ epsilon: 0 }, training);
    const [a, b] = [2 / Math.sqrt(3.5), 1 / Math.sqrt(150)];
    const expected = [-2 * a, -a, 5 - 10 * b, 5 - 10 * b, 0, 3 * a, 5, 5 + 20 * b];
    expectClose(y, expected, { tolerance: 1e-6 });
  });

  test.each([0.1, 0.25, 1])("with momentum %d the running variance takes the unbiased one", (momentum) => {
    const { updates } = run({ momentum }, training);
    const mixed = (running: readonly number[], batch: readonly number[]): number[] =>
      running.map((value, i) => (1 - momentum) * value + momentum * (batch[i] ?? Number.NaN));
    expect(Object.keys(updates)).toEqual(["running_mean", "running_var"]);
    expectClose(updates["running_mean"], mixed([1, -1], [3, 20]), { tolerance: 1e-6 });
    expectClose(
      updates["running_var"],
      mixed(
        [4, 9],
        [3.5, 150].map((v) => (v * 4) / 3),
      ),
      {
        tolerance: 1e-6,
      },
    );
  });

  test("nothing is asked of a caller that does not collect", () => {
    const { updates } = run({}, () => trainingContext({ batchSize: 2, dropPathRates: [] }));
    expect(updates).toEqual({});
  });
});

test("in evaluation the running statistics are used, and stay", () => {
  const { y, updates } = run({ epsilon: 0 }, () => evaluationContext());
  const expected = [0, 1, 5 + 11 / 3, 5 + 11 / 3, 2, 5, 5 + 21 / 3, 5 + 41 / 3];
  expectClose(y, expected, { tolerance: 1e-6 });
  expect(updates).toEqual({});
});

test.each([
  [false, "ones"],
  [true, "zeros"],
])("asks for PyTorch's tensors; with zeroInit %s the scale starts as %s", (zeroInit, start) => {
  const specs = collectParameters((place) => batchNorm(x, place.at("bn"), { zeroInit }, evaluationContext()));
  expect(specs.map(({ name, initializer, buffer }) => [name, initializer.kind, buffer])).toEqual([
    ["bn.weight", start, undefined],
    ["bn.bias", "zeros", undefined],
    ["bn.running_mean", "zeros", true],
    ["bn.running_var", "ones", true],
  ]);
});
