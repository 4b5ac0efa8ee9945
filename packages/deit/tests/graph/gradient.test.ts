/** Differentiation itself: what takes part, what adds up, what is refused. (Each operation's own: ops.test.ts.) */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { constant, input, output, createNode, topologicalOrder } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { expectClose } from "./compare.ts";

const x = input("x", "float32", [3]);
const feeds = { x: [0.5, -1, 2] };

function gradientOf(loss: Value, wrt: Value): number[] {
  return Array.from(evaluate(gradient(loss, [wrt]), feeds)[0] ?? []);
}

describe("gradient", () => {
  test("is zero, in its shape, where the loss does not depend on a value", () => {
    const other = input("other", "float32", [2, 2]);
    expect(gradientOf(ops.sum(x), other)).toEqual([0, 0, 0, 0]);
    expect(gradient(ops.sum(x), [other])[0]?.shape).toEqual([2, 2]);
  });

  test("adds up over every use", () => {
    const loss = ops.sum(ops.add(ops.mul(x, x), ops.mul(x, 3)));
    expect(gradientOf(loss, x)).toEqual([4, 1, 7]);
  });

  test("of an intermediate value", () => {
    const y = ops.mul(x, 2);
    expect(gradientOf(ops.sum(ops.mul(y, y)), y)).toEqual([2, -4, 8]);
  });

  test("of the loss by itself is 1", () => {
    const loss = ops.sum(x);
    expect(gradientOf(loss, loss)).toEqual([1]);
  });

  test("of a loss of one element that is not a scalar", () => {
    expect(gradientOf(ops.sum(ops.mul(x, x), 0, { keepDims: true }), x)).toEqual([1, -2, 4]);
  });

  test("by both a value and what it is made of", () => {
    const y = ops.exp(x);
    const [byY, byX] = evaluate(gradient(ops.sum(ops.mul(y, y)), [y, x]), feeds);
    expectClose(
      byY,
      feeds.x.map((v) => 2 * Math.exp(v)),
      { tolerance: 1e-15 },
    );
    expectClose(
      byX,
      feeds.x.map((v) => 2 * Math.exp(2 * v)),
      { tolerance: 1e-15 },
    );
  });

  test("of one part of a split is zero in the others", () => {
    const [, second = x] = ops.split(x, [1, 1, 1], 0);
    expect(gradientOf(ops.sum(ops.mul(second, second)), x)).toEqual([0, -2, 0]);
  });

  test("passes no integers and no constants", () => {
    const picked = ops.gather(x, constant(Int32Array.of(2, 2), [2], "int32"), 0);
    expect(gradientOf(ops.sum(ops.mul(picked, constant(Float32Array.of(1, 10)))), x)).toEqual([0, 0, 11]);
    expect(gradientOf(ops.sum(ops.cast(ops.greater(x, 0), "float32")), x)).toEqual([0, 0, 0]);
  });

  test("walks a chain of 20,000 operations", () => {
    let y = x;
    for (let i = 0; i < 20_000; i++) y = ops.neg(y);
    expect(topologicalOrder(gradient(ops.sum(y), [x])).length).toBeGreaterThan(20_000);
  });

  test("costs nothing for branches that lead nowhere", () => {
    const dead = ops.exp(input("dead", "float32", [3]));
    const [grad = x] = gradient(ops.sum(ops.mul(ops.add(x, dead), 2)), [x]);
    expect(topologicalOrder([grad]).map(({ op }) => op.name)).not.toContain("exp");
  });
});

describe("second derivatives", () => {
  const cases: [string, (x: Value) => Value][] = [
    ["tanh", ops.tanh],
    ["sigmoid", ops.sigmoid],
    ["erf", ops.erf],
    ["gelu", ops.gelu],
    ["division", (v) => ops.div(1, ops.add(ops.mul(v, v), 1))],
    ["softmax", (v) => ops.mul(ops.softmax(v), constant(Float32Array.of(1, 2, 4)))],
    ["logSoftmax", (v) => ops.mul(ops.logSoftmax(v), constant(Float32Array.of(1, 2, 4)))],
    [
      "matmul",
      (v) =>
        ops.matmul(
          ops.matmul(ops.reshape(v, [3, 1]), ops.reshape(v, [1, 3])),
          ops.exp(ops.reshape(v, [3, 1])),
        ),
    ],
  ];
  test.each(cases)("%s", (_, f) => {
    const [first = x] = gradient(ops.sum(f(x)), [x]);
    const weight = constant(Float32Array.of(1, -2, 0.5));
    const directional = ops.sum(ops.mul(first, weight));
    const h = 1e-5;
    const expected = feeds.x.map((value, i) => {
      const [above = 0, below = 0] = [value + h, value - h].map(
        (v) => evaluate([directional], { x: feeds.x.with(i, v) })[0]?.[0] ?? Number.NaN,
      );
      return (above - below) / (2 * h);
    });
    expectClose(gradientOf(directional, x), expected, { tolerance: 1e-6 });
  });
});

describe("gradient refuses", () => {
  test("an operation without a gradient on the way", () => {
    expect(() => gradient(ops.sum(ops.step(x)), [x])).toThrow(
      /operation step has no gradient, and the loss depends on it/,
    );
  });

  test("a loss of what is there to be looked at only", () => {
    const q = input("q", "float32", [2, 1, 4]);
    const { probabilities } = ops.attention({ q, k: q, v: q }, { numHeads: 1 });
    expect(() => gradient(ops.sum(ops.mul(probabilities, probabilities)), [q])).toThrow(
      /attention that has no gradient/,
    );
  });

  test("an output that does not exist", () => {
    const node = createNode(x.node.op, [], x.node.attributes);
    expect(() => output(node, 1)).toThrow(/input has no output 1/);
  });
});
