/** The layers against the same by small operations: what is folded or left out must not change a value. */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { attention } from "../../src/nn/attention.ts";
import { layerNorm, linear, normWeights } from "../../src/nn/linear.ts";
import { mlp } from "../../src/nn/mlp.ts";
import type { ParameterSpec, Scope } from "../../src/nn/parameters.ts";
import { collectParameters, createScope } from "../../src/nn/parameters.ts";
import { expectClose } from "../graph/compare.ts";
import { seededTensor } from "../helpers/seeded.ts";

const DIM = 6;
const x = input("x", "float32", [4, 2, DIM]);

/** Two forms of one layer have the same parameters, values and gradients. */
function expectSame(fast: (scope: Scope) => Value, plain: (scope: Scope) => Value): void {
  const specs = collectParameters(fast);
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
  const results = [fast, plain].map((layer) => {
    const y = layer(scope);
    const weights = input("dy", "float32", y.shape);
    feeds["dy"] = seededTensor(
      "dy",
      y.shape.reduce((a, b) => a * b, 1),
      { offset: 0, scale: 2 },
    );
    return evaluate([y, ...gradient(ops.sum(ops.mul(y, weights)), [x, ...parameters.values()])], feeds);
  });
  for (const [i, expected] of (results[1] ?? []).entries()) {
    const name = ["y", "x", ...parameters.keys()][i] ?? "";
    expectClose(results[0]?.[i], expected, { tolerance: 1e-11, name });
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

describe("attention with the normalisation before it", () => {
  test.each([[4], [1], [2]])("of %d tokens that ask", (queries) => {
    expectSame(
      (scope) => {
        const norm = normWeights(scope.at("norm"), DIM);
        return attention(ops.normalize(x), scope.at("attn"), { numHeads: 3, norm, queries }).attended;
      },
      (scope) => plainAttention(layerNorm(x, scope.at("norm")), scope.at("attn"), 3, queries),
    );
  });

  test("returns probabilities that add up to 1", () => {
    const specs = collectParameters(
      (scope) => attention(x, scope, { numHeads: 2, norm: normWeights(scope, DIM) }).attended,
    );
    const scope = createScope(({ name, shape }) => input(name, "float32", shape));
    const { probabilities } = attention(x, scope, { numHeads: 2, norm: normWeights(scope, DIM) });
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
      (scope) => mlp(ops.normalize(x), scope.at("mlp"), { norm: normWeights(scope.at("norm"), DIM), ratio }),
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
