/** The layers against the same by small operations, as they are written down and as passes make them for a program. */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { optimizeForward } from "../../src/graph/passes/forward.ts";
import { at, input } from "../../src/graph/graph.ts";
import { attention } from "../../src/nn/attention.ts";
import { evaluationContext } from "../../src/nn/context.ts";
import { layerNorm, linear } from "../../src/nn/linear.ts";
import { mlp } from "../../src/nn/mlp.ts";
import type { ParameterSpec, Scope } from "../../src/nn/parameters.ts";
import { collectParameters, createScope } from "../../src/nn/parameters.ts";
import { expectClose } from "../graph/compare.ts";
import { seededTensor } from "../helpers/seeded.ts";

const DIM = 6;
const x = input("x", "float32", [4, 2, DIM]);

/** Two forms of one layer have the same parameters, values and gradients; the first one also after the passes. */
function expectSame(layer: (scope: Scope) => Value, plain: (scope: Scope) => Value): void {
  const specs = collectParameters(layer);
  expect(sorted(specs)).toEqual(sorted(collectParameters(plain)));
  const parameters = new Map(specs.map(({ name, shape }) => [name, input(name, "float32", shape)]));
  const feeds: Record<string, Float32Array> = { x: seededTensor("x", 4 * 2 * DIM, { offset: 0, scale: 4 }) };
  for (const { name, shape } of specs) {
    feeds[name] = seededTensor(
      name,
      shape.reduce((a, b) => a * b, 1),
      { offset: 0.1, scale: 1 },
    );
  }
  const scope = createScope(({ name }) => parameters.get(name) ?? x);
  const traced = layer(scope);
  const results = [traced, at(optimizeForward([traced]).outputs, 0), plain(scope)].map((y) => {
    const weights = input("dy", "float32", y.shape);
    feeds["dy"] = seededTensor(
      "dy",
      y.shape.reduce((a, b) => a * b, 1),
      { offset: 0, scale: 2 },
    );
    return evaluate([y, ...gradient(ops.sum(ops.mul(y, weights)), [x, ...parameters.values()])], feeds);
  });
  for (const [i, expected] of (results[2] ?? []).entries()) {
    const name = ["y", "x", ...parameters.keys()][i] ?? "";
    expectClose(results[0]?.[i], expected, { tolerance: 1e-11, name });
    expectClose(results[1]?.[i], expected, { tolerance: 1e-11, name: `${name} after the passes` });
  }
}

function sorted(specs: readonly ParameterSpec[]): string[] {
  return specs.map(({ name, shape }) => `${name} [${shape.join()}]`).toSorted();
}

/** timm's attention, batch first inside: one qkv product with all biases, cut into heads. */
function plainAttention(tokens: Value, scope: Scope, numHeads: number, queries: number): Value {
  const [count = 1, batch = 1] = tokens.shape;
  const qkv = linear(tokens, scope.at("qkv"), { outFeatures: 3 * DIM });
  const [q, k, v] = ops
    .split(qkv, [DIM, DIM, DIM], -1)
    .map((part) => ops.transpose(ops.reshape(part, [count, batch, numHeads, DIM / numHeads]), [1, 2, 0, 3]));
  if (q === undefined || k === undefined || v === undefined) throw new Error("three parts");
  const probabilities = ops.softmax(ops.mul(ops.matmul(q, ops.transpose(k)), (DIM / numHeads) ** -0.5));
  const attended = ops.reshape(ops.transpose(ops.matmul(probabilities, v), [2, 0, 1, 3]), [
    count,
    batch,
    DIM,
  ]);
  return linear(ops.slice(attended, { axis: 0, end: queries }), scope.at("proj"), { outFeatures: DIM });
}

const site = "blocks.0";

describe("attention with the normalisation before it", () => {
  test.each([[4], [1], [2]])("of which %d tokens are read", (queries) => {
    expectSame(
      (scope) => {
        const normed = layerNorm(x, scope.at("norm"));
        const y = attention(normed, scope.at("attn"), { numHeads: 3, site }, evaluationContext());
        return ops.slice(y, { axis: 0, end: queries });
      },
      (scope) => plainAttention(layerNorm(x, scope.at("norm")), scope.at("attn"), 3, queries),
    );
  });

  test("records probabilities that add up to 1", () => {
    const records = new Map<string, Value>();
    const specs = collectParameters((scope) =>
      attention(x, scope, { numHeads: 2, site }, evaluationContext(records)),
    );
    const probabilities = records.get(`${site}.attn`) ?? x;
    expect(probabilities.shape).toEqual([2, 2, 4, 4]);
    const feeds = Object.fromEntries(
      specs.map(({ name, shape }) => [
        name,
        seededTensor(
          name,
          shape.reduce((a, b) => a * b, 1),
          { offset: 0, scale: 2 },
        ),
      ]),
    );
    const [sums] = evaluate([ops.sum(probabilities, -1)], {
      ...feeds,
      x: seededTensor("x", 48, { offset: 0, scale: 2 }),
    });
    expectClose(
      sums,
      Array.from({ length: 16 }, () => 1),
      { tolerance: 1e-14 },
    );
  });
});

describe("mlp with the normalisation before it", () => {
  test.each([[4], [1.5]])("of ratio %d", (ratio) => {
    expectSame(
      (scope) => mlp(layerNorm(x, scope.at("norm")), scope.at("mlp"), { ratio, site }, evaluationContext()),
      (scope) => {
        const hidden = linear(layerNorm(x, scope.at("norm")), scope.at("mlp").at("fc1"), {
          outFeatures: DIM * ratio,
        });
        const gelu = ops.mul(ops.mul(hidden, 0.5), ops.add(ops.erf(ops.mul(hidden, Math.SQRT1_2)), 1));
        return linear(gelu, scope.at("mlp").at("fc2"), { outFeatures: DIM });
      },
    );
  });
});
