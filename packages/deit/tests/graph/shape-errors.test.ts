/** What a wrong shape says: the operation, the shapes given, and a stack that leads to the line that asked. */
import { describe, expect, test } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import type { DType, Value } from "../../src/graph/graph.ts";
import { constant, input } from "../../src/graph/graph.ts";
import { gradient } from "../../src/graph/gradient.ts";
import * as ops from "../../src/graph/ops.ts";
import { linear } from "../../src/nn/linear.ts";
import { createScope } from "../../src/nn/parameters.ts";

function x(...shape: number[]): Value {
  return input("x", "float32", shape);
}

function of(dtype: DType, ...shape: number[]): Value {
  return input("i", dtype, shape);
}

const mistakes: [op: string, call: () => unknown, message: RegExp][] = [
  ["add", () => ops.add(x(2, 3), x(2)), /^add: got \[2, 3\] and \[2\]; expected shapes that broadcast/],
  ["mul", () => ops.mul(x(2, 3), x(4, 1, 2)), /^mul: got \[2, 3\] and \[4, 1, 2\]/],
  [
    "mul",
    () => ops.mul(x(2), of("int64", 2)),
    /^mul: got \[2\] and \[2\]; expected one dtype, not float32 and int64/,
  ],
  ["greater", () => ops.greater(x(3), x(2)), /^greater: got \[3\] and \[2\]/],
  ["select", () => ops.select(x(2), 1, 0), /^select: got \[2\]; expected a bool condition, not float32/],
  ["select", () => ops.select(of("bool", 3), x(2), x(2)), /^select: got \[3\] and \[2\]/],
  [
    "reshape",
    () => ops.reshape(x(2, 3), [4, 2]),
    /^reshape: got \[2, 3\] and \[4, 2\]; expected the same number/,
  ],
  ["reshape", () => ops.reshape(x(2, 3), [4, -1]), /^reshape: got \[2, 3\] and \[4, -1\]/],
  ["reshape", () => ops.reshape(x(2, 3), [-1, -1]), /^reshape: got \[2, 3\] and \[-1, -1\]/],
  ["expand", () => ops.expand(x(2), [3]), /^expand: got \[2\] and \[3\]/],
  ["expand", () => ops.expand(x(2, 3), [3]), /^expand: got \[2, 3\] and \[3\]/],
  ["sum", () => ops.sum(x(2, 3), 2), /^sum: got \[2, 3\]; expected an axis between -2 and 1, not 2/],
  ["mean", () => ops.mean(x(2, 3), [0, -2]), /^mean: got \[2, 3\]; expected distinct axes/],
  ["sumTo", () => ops.sumTo(x(2, 3), [2]), /^sumTo: got \[2, 3\] and \[2\]; expected shapes that broadcast/],
  [
    "sumTo",
    () => ops.sumTo(x(3), [2, 3]),
    /^sumTo: got \[3\] and \[2, 3\]; expected a shape that broadcasts to the first/,
  ],
  ["argmax", () => ops.argmax(x(2), 1), /^argmax: got \[2\]; expected an axis between -1 and 0, not 1/],
  [
    "transpose",
    () => ops.transpose(x(2, 3), [0, 0]),
    /^transpose: got \[2, 3\]; expected a permutation of 2 axes, not \[0, 0\]/,
  ],
  ["transpose", () => ops.transpose(x(2)), /^transpose: got \[2\]; expected a permutation of 1 axes/],
  [
    "slice",
    () => ops.slice(x(2, 3), { axis: 1, start: 2, end: 4 }),
    /^slice: got \[2, 3\]; expected 0 ≤ start < end ≤ 3 on axis 1, not 2 and 4/,
  ],
  [
    "split",
    () => ops.split(x(2, 3), [1, 1], 1),
    /^split: got \[2, 3\] and \[1, 1\]; expected positive sizes/,
  ],
  [
    "concat",
    () => ops.concat([x(2, 3), x(2, 4)], 0),
    /^concat: got \[2, 3\] and \[2, 4\]; expected one dtype, and equal sizes but on axis 0/,
  ],
  [
    "concat",
    () => ops.concat([x(2, 3), x(2)], 0),
    /^concat: got \[2, 3\] and \[2\]; expected values of one rank/,
  ],
  ["pad", () => ops.pad(x(2), { axis: 0, before: -1 }), /^pad: got \[2\]; expected no negative padding/],
  [
    "gather",
    () => ops.gather(x(2, 3), x(2), 0),
    /^gather: got \[2, 3\] and \[2\]; expected integer indices, not float32/,
  ],
  [
    "matmul",
    () => ops.matmul(x(2, 3), x(4, 5)),
    /^matmul: got \[2, 3\] and \[4, 5\]; expected equal inner dimensions, not 3 and 4/,
  ],
  ["matmul", () => ops.matmul(x(2, 3), x(3)), /^matmul: got \[2, 3\] and \[3\]; expected two matrices/],
  ["matmul", () => ops.matmul(x(2, 2, 3), x(3, 3, 2)), /^matmul: got \[2, 2, 3\] and \[3, 3, 2\]/],
  [
    "gemm",
    () => ops.gemm(x(2, 3), x(4, 5)),
    /^gemm: got \[2, 3\] and \[4, 5\]; expected equal inner dimensions/,
  ],
  [
    "gemm",
    () => ops.gemm(x(2, 3), x(3, 5), x(4)),
    /^gemm: got \[2, 3\] and \[3, 5\] and \[4\]; expected a bias of \[5\]/,
  ],
  [
    "linear",
    () => ops.linear(x(2, 3), x(5, 4)),
    /^linear: got \[2, 3\] and \[5, 4\]; expected a weight of \[out, 3\]/,
  ],
  ["columnSum", () => ops.columnSum(x(2)), /^columnSum: got \[2\]; expected a matrix/],
  ["softmax", () => ops.softmax(x(2), 3), /^softmax: got \[2\]; expected an axis/],
  [
    "layerNorm",
    () => ops.layerNorm(x(2, 3), x(2), x(3)),
    /^layerNorm: got \[2, 3\] and \[2\] and \[3\]; expected a weight and a bias of \[3\]/,
  ],
  [
    "attention",
    () => ops.attention({ q: x(2, 1, 4), k: x(3, 1, 4), v: x(2, 1, 4) }, { numHeads: 2 }),
    /^attention: got \[2, 1, 4\] and \[3, 1, 4\] and \[2, 1, 4\]/,
  ],
  [
    "attention",
    () => ops.attention({ q: x(2, 1, 4), k: x(2, 1, 4), v: x(2, 1, 4) }, { numHeads: 3 }),
    /^attention: got \[2, 1, 4\]; expected a width that 3 heads divide, not 4/,
  ],
  [
    "attention",
    () => ops.attention({ q: x(2, 1, 4), k: x(3, 1, 4), v: x(3, 1, 4) }, { numHeads: 2, factors: x(2, 3) }),
    /^attention: got .* and \[2, 3\]; expected factors of \[1, 2, 2, 3\]/,
  ],
  [
    "geluMlp",
    () => ops.geluMlp(x(2, 3), { weight1: x(5, 3), bias1: x(5), weight2: x(2, 4), bias2: x(2) }),
    /^geluMlp: got \[2, 3\] and \[5, 3\]/,
  ],
  ["constant", () => constant(new Float32Array(3), [2, 2]), /^constant: got \[2, 2\]; expected 3 elements/],
  ["gradient", () => gradient(x(2), []), /^gradient: got \[2\]; expected a scalar loss/],
];

describe("a wrong shape", () => {
  test.each(mistakes.map(([op, call, message]) => [`${op}: ${String(message)}`, op, call, message] as const))(
    "%s",
    (_, op, call, message) => {
      const error = thrownBy(call);
      expect(error.op).toBe(op);
      expect(error.message).toMatch(message);
      expect(callerOf(error)).toContain("shape-errors.test.ts");
    },
  );

  test("in a layer leads to the layer and to its user", () => {
    const scope = createScope(({ name }) => (name === "weight" ? x(4, 5) : x(4)));
    const stack = thrownBy(() => linear(x(2, 3), scope, { outFeatures: 4 })).stack ?? "";
    expect(callerOf({ stack })).toContain("src/nn/linear.ts");
    expect(stack).toContain("shape-errors.test.ts");
  });
});

function thrownBy(call: () => unknown): ShapeError {
  try {
    call();
  } catch (error) {
    if (error instanceof ShapeError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** First stack frame outside src/graph. */
function callerOf({ stack = "" }: { stack?: string | undefined }): string {
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  expect(frames.length).toBeGreaterThan(0);
  return frames.find((frame) => !/src\/(?:graph\/|errors\.ts)|<anonymous>/.test(frame)) ?? "";
}
