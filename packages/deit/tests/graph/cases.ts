/**
 * Cases for every operation: inputs, what is built from them, and, where there is one, the same value by other
 * operations. ops.test.ts runs each through the oracle, finite differences and every device.
 */
import type { DType, Operands, Value } from "../../src/graph/graph.ts";
import * as ops from "../../src/graph/ops.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { seededTensor } from "../helpers/seeded.ts";

export interface CaseInput {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export interface OpCase {
  readonly op: keyof typeof ops;
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly build: (inputs: Operands<Value>) => Value | readonly Value[];
  /** Equal values by other operations. */
  readonly reference?: (inputs: Operands<Value>) => Value | readonly Value[];
  /** False where there is none; "devices" where finite differences make no sense. */
  readonly gradient?: false | "devices";
  /** Devices that have it, when not all. */
  readonly devices?: readonly string[];
  /** Relative to the largest element, when not ops.test.ts's own. */
  readonly tolerance?: number;
}

/** Seeded numbers in [low, high). Each case names its own streams by shape and bounds: no two need differ. */
function floats(shape: readonly number[], { low = -2, high = 2, name = "x" } = {}): CaseInput {
  const kind = { offset: (low + high) / 2, scale: high - low };
  return { dtype: "float32", shape, data: seededTensor(`${name} ${shape.join()}`, sizeOf(shape), kind) };
}

/** A second operand that is not the first. */
function others(shape: readonly number[], bounds: { low?: number; high?: number } = {}): CaseInput {
  return floats(shape, { ...bounds, name: "other" });
}

function values(
  data: readonly number[],
  shape: readonly number[] = [data.length],
  dtype: DType = "float32",
): CaseInput {
  return { dtype, shape, data: dtype === "float32" ? Float32Array.from(data) : data };
}

const positive = { low: 0.5, high: 3 };
// No two elements within 0.1 of each other, of zero or of a bound: nothing for finite differences to step over.
const spaced = [-1.7, 0.4, 1.9, -0.6, 0.9, -2.3, 1.4, 2.6, -1.1, 0.2, -0.3, 3.1];
const spacedOthers = [0.3, -0.5, 1.2, 0.6, -1.4, -1.8, 2.1, 1.7, -2.6, 0.8, -1.2, 0.1];

// 48 numbers, no two within 0.1: what is the largest does not change under a small step.
const pixels = Array.from({ length: 48 }, (_, i) => ((i * 29) % 48) * 0.11 - 2.6);

// Programs of ours count in int32; int64 is there for what ONNX wants, and WebGPU has hardly a kernel for it.
const INT64 = { devices: ["cpu"] };

type Build = OpCase["build"];
type Options = Partial<Pick<OpCase, "reference" | "gradient" | "devices" | "tolerance">>;

function opCase(
  op: OpCase["op"],
  name: string,
  inputs: readonly CaseInput[],
  build: Build,
  options: Options = {},
): OpCase {
  return { op, name, inputs, build, ...options };
}

/** Broadcasting forms of a binary operation. */
function binaryCases(
  op: OpCase["op"],
  f: (a: Value | number, b: Value | number) => Value,
  options: Options & { low?: number; high?: number } = {},
): OpCase[] {
  const { low = -2, high = 2, ...rest } = options;
  const bounds = { low, high };
  return [
    opCase(op, "equal shapes", [floats([2, 3], bounds), others([2, 3], bounds)], ([a, b]) => f(a, b), rest),
    opCase(op, "scalar and matrix", [floats([], bounds), others([2, 3], bounds)], ([a, b]) => f(a, b), rest),
    opCase(
      op,
      "both broadcast",
      [floats([4, 1, 3], bounds), others([2, 1], bounds)],
      ([a, b]) => f(a, b),
      rest,
    ),
    opCase(op, "row onto cube", [floats([2, 2, 3], bounds), others([3], bounds)], ([a, b]) => f(a, b), rest),
    opCase(op, "number on the right", [floats([5], bounds)], ([a]) => f(a, 1.5), rest),
    opCase(op, "number on the left", [floats([5], bounds)], ([a]) => f(1.5, a), rest),
    opCase(op, "one value twice", [floats([4], bounds)], ([a]) => f(a, a), rest),
  ];
}

function spacedCases(
  op: OpCase["op"],
  f: (a: Value | number, b: Value | number) => Value,
  options: Options = {},
): OpCase[] {
  return [
    opCase(
      op,
      "equal shapes",
      [values(spaced, [3, 4]), values(spacedOthers, [3, 4])],
      ([a, b]) => f(a, b),
      options,
    ),
    opCase(op, "broadcast", [values(spaced, [3, 4]), values([0, 1, -1, 0.5])], ([a, b]) => f(a, b), options),
    opCase(
      op,
      "column and row",
      [values([-1, 0, 1], [3, 1]), values([0.5, -0.5])],
      ([a, b]) => f(a, b),
      options,
    ),
    opCase(op, "number", [values(spaced)], ([a]) => f(a, 1), options),
  ];
}

const elementwise: OpCase[] = [
  ...binaryCases("add", ops.add),
  ...binaryCases("sub", ops.sub),
  ...binaryCases("mul", ops.mul),
  ...binaryCases("div", ops.div, positive),
  ...spacedCases("maximum", ops.maximum),
  ...spacedCases("minimum", ops.minimum),
  ...spacedCases("greater", ops.greater, { gradient: false }),
  ...spacedCases("greaterOrEqual", ops.greaterOrEqual, { gradient: false }),
  ...spacedCases("less", ops.less, { gradient: false }),
  ...spacedCases("lessOrEqual", ops.lessOrEqual, { gradient: false }),
  ...spacedCases("equal", ops.equal, { gradient: false }),
  ...(["equal", "greater", "greaterOrEqual", "less", "lessOrEqual"] as const).flatMap((op) => [
    opCase(op, "with ties", [values([1, 2, 3]), values([1, 3, 2])], ([a, b]) => ops[op](a, b), {
      gradient: false,
    }),
    opCase(
      op,
      "int64",
      [values([1, -2, 3], [3], "int64"), values([1, 3, 2], [3], "int64")],
      ([a, b]) => ops[op](a, b),
      { gradient: false, ...INT64 },
    ),
    opCase(
      op,
      "int32",
      [values([1, -2, 3], [3], "int32"), values([1, 3, 2], [3], "int32")],
      ([a, b]) => ops[op](a, b),
      { gradient: false },
    ),
  ]),
  opCase("neg", "", [floats([2, 3])], ([x]) => ops.neg(x)),
  opCase("exp", "", [floats([7], { low: -4, high: 3 })], ([x]) => ops.exp(x)),
  opCase("log", "", [floats([7], { low: 0.1, high: 9 })], ([x]) => ops.log(x)),
  opCase("sqrt", "", [floats([7], { low: 0.1, high: 9 })], ([x]) => ops.sqrt(x)),
  opCase("erf", "", [floats([12], { low: -3.5, high: 3.5 })], ([x]) => ops.erf(x)),
  opCase("tanh", "", [floats([7], { low: -4, high: 4 })], ([x]) => ops.tanh(x)),
  opCase("tanh", "saturated", [values([-50, -3, 3, 50])], ([x]) => ops.tanh(x), {
    tolerance: 1e-4, // 1 − tanh² loses digits
  }),
  opCase("sigmoid", "", [floats([7], { low: -4, high: 4 })], ([x]) => ops.sigmoid(x)),
  opCase("sigmoid", "saturated", [values([-80, -20, 20, 80])], ([x]) => ops.sigmoid(x)),
  opCase("gelu", "", [floats([12], { low: -5, high: 5 })], ([x]) => ops.gelu(x), {
    reference: ([x]) => gelu(x),
  }),
  opCase("relu", "", [values(spaced)], ([x]) => ops.relu(x)),
  opCase("abs", "", [values(spaced)], ([x]) => ops.abs(x)),
  opCase("step", "", [values([...spaced, 0])], ([x]) => ops.step(x), { gradient: false }),
  opCase("clip", "", [values(spaced)], ([x]) => ops.clip(x, -1, 1.5)),
  opCase("clip", "by the smaller and the larger", [values(spaced)], ([x]) => ops.clip(x, -1, 1.5), {
    reference: ([x]) => ops.minimum(ops.maximum(x, -1), 1.5),
  }),
  opCase("cast", "bool to float32", [values(spaced)], ([x]) => ops.cast(ops.greater(x, 0), "float32"), {
    gradient: false,
  }),
  opCase(
    "cast",
    "float32 to int64 and back",
    [values(spaced)],
    ([x]) => ops.cast(ops.cast(x, "int64"), "float32"),
    { gradient: false, ...INT64 },
  ),
  opCase(
    "cast",
    "float32 to int32 and back",
    [values(spaced)],
    ([x]) => ops.cast(ops.cast(x, "int32"), "float32"),
    { gradient: false },
  ),
  opCase(
    "cast",
    "float32 to bool and back",
    [values([0, 1, -2, 0.5])],
    ([x]) => ops.cast(ops.cast(x, "bool"), "float32"),
    { gradient: false },
  ),
  opCase(
    "cast",
    "int64 to float32",
    [values([0, 1, -2, 300], [4], "int64")],
    ([x]) => ops.cast(x, "float32"),
    { gradient: false, ...INT64 },
  ),
  opCase(
    "cast",
    "uint8 to float32",
    [values([0, 1, 127, 255], [4], "uint8")],
    ([x]) => ops.cast(x, "float32"),
    { gradient: false, tolerance: 0 },
  ),
  opCase(
    "cast",
    "every byte to float32, a number of them that is no multiple of 4",
    [
      values(
        [...Array(257).keys()].map((i) => i % 256),
        [257],
        "uint8",
      ),
    ],
    ([x]) => ops.cast(x, "float32"),
    { gradient: false, tolerance: 0 },
  ),
  opCase(
    "cast",
    "uint8 to int32 and back",
    [values([0, 1, 127, 128, 254, 255], [2, 3], "uint8")],
    ([x]) => ops.cast(ops.cast(x, "int32"), "float32"),
    { gradient: false, tolerance: 0 },
  ),
  opCase(
    "cast",
    "through float16",
    [values([0.1, 1.5, -2.7, 300.3])],
    ([x]) => ops.cast(ops.cast(x, "float16"), "float32"),
    {
      gradient: "devices", // the differences would see the rounding
      devices: ["cpu"], // an optional feature of WebGPU
    },
  ),
  opCase("full", "matrix", [], () => ops.full([2, 3], 1.5), { gradient: false }),
  opCase("full", "scalar", [], () => ops.full([], -0.25), { gradient: false }),
  opCase("select", "", [values(spaced, [3, 4]), values(spacedOthers, [3, 4])], ([a, b]) =>
    ops.select(ops.greater(a, b), ops.mul(a, 2), b),
  ),
  opCase(
    "select",
    "all broadcast",
    [values([-1, 1]), values([2, 3], [2, 1]), values(spaced, [3, 2, 2])],
    ([a, b, c]) => ops.select(ops.greater(a, 0), b, c),
  ),
  opCase("select", "numbers", [values(spaced)], ([a]) => ops.select(ops.less(a, 0), 0, ops.mul(a, a))),
];

const shapes: OpCase[] = [
  opCase("reshape", "", [floats([2, 6])], ([x]) => ops.reshape(x, [3, 4])),
  opCase("reshape", "with -1", [floats([2, 3, 2])], ([x]) => ops.reshape(x, [-1, 2])),
  opCase("reshape", "to and from a scalar", [floats([1, 1])], ([x]) =>
    ops.reshape(ops.exp(ops.reshape(x, [])), [1]),
  ),
  opCase("expand", "row", [floats([3])], ([x]) => ops.expand(x, [2, 3])),
  opCase("expand", "inner and outer", [floats([2, 1, 3])], ([x]) => ops.expand(x, [2, 2, 4, 3])),
  opCase("expand", "scalar", [floats([])], ([x]) => ops.expand(x, [2, 3])),
  opCase(
    "expand",
    "bool",
    [values(spaced, [3, 1, 4])],
    ([x]) => ops.cast(ops.expand(ops.greater(x, 0), [3, 2, 4]), "float32"),
    { gradient: false },
  ),
  opCase(
    "expand",
    "int64",
    [values([3, -1], [2, 1], "int64")],
    ([x]) => ops.cast(ops.expand(x, [2, 3]), "float32"),
    { gradient: false, ...INT64 },
  ),
  opCase("sum", "all", [floats([2, 3])], ([x]) => ops.sum(x)),
  opCase("sum", "first axis", [floats([4, 3])], ([x]) => ops.sum(x, 0)),
  opCase("sum", "last axis kept", [floats([2, 3, 4])], ([x]) => ops.sum(x, -1, { keepDims: true })),
  opCase("sum", "two axes", [floats([2, 3, 4])], ([x]) => ops.sum(x, [0, -1])),
  opCase("sum", "a scalar", [floats([])], ([x]) => ops.sum(x)),
  opCase("total", "a matrix", [floats([2, 3])], ([x]) => ops.total(x)),
  opCase("sumOfSquares", "a vector", [floats([7])], ([x]) => ops.sumOfSquares(x), {
    reference: ([x]) => ops.total(ops.mul(x, x)),
  }),
  opCase("sumOfSquares", "a matrix", [floats([2, 3])], ([x]) => ops.sumOfSquares(x), {
    reference: ([x]) => ops.total(ops.mul(x, x)),
  }),
  opCase("sumTo", "leading axes", [floats([2, 4, 3])], ([x]) => ops.sumTo(x, [3])),
  opCase("sumTo", "axes of one", [floats([2, 4, 3])], ([x]) => ops.sumTo(x, [2, 1, 3])),
  opCase("sumTo", "both", [floats([2, 4, 3])], ([x]) => ops.sumTo(x, [4, 1])),
  opCase("sumTo", "scalar", [floats([2, 3])], ([x]) => ops.sumTo(x, [])),
  opCase("mean", "all", [floats([2, 3])], ([x]) => ops.mean(x), {
    reference: ([x]) => ops.div(ops.sum(x), 6),
  }),
  opCase("mean", "last axis kept", [floats([2, 3, 4])], ([x]) => ops.mean(x, -1, { keepDims: true })),
  opCase("mean", "first and last", [floats([2, 3, 4])], ([x]) => ops.mean(x, [0, 2])),
  opCase("max", "all", [values(spaced, [3, 4])], ([x]) => ops.max(x)),
  opCase("max", "first axis", [values(spaced, [3, 4])], ([x]) => ops.max(x, 0)),
  opCase("max", "last axis kept", [values(spaced, [3, 2, 2])], ([x]) => ops.max(x, -1, { keepDims: true })),
  opCase("max", "two axes", [values(spaced, [3, 2, 2])], ([x]) => ops.max(x, [0, 2])),
  opCase("argmax", "last axis", [values(spaced, [3, 4])], ([x]) => ops.argmax(x, -1), { gradient: false }),
  opCase("argmax", "middle axis", [values(spaced, [2, 3, 2])], ([x]) => ops.argmax(x, 1), {
    gradient: false,
  }),
  opCase("argmax", "the first of equals", [values([1, 3, 3, 2, 2, 2], [2, 3])], ([x]) => ops.argmax(x, 1), {
    gradient: false,
  }),
  opCase("after", "two others", [floats([2, 3]), others([4]), floats([1, 2])], ([x, ...more]) =>
    ops.after(x, more.slice(0, 2)),
  ),
  opCase("after", "nothing", [floats([3])], ([x]) => ops.after(x, [])),
  opCase("after", "a scalar after itself", [floats([])], ([x]) => ops.after(ops.mul(x, x), [x])),
  opCase("transpose", "matrix", [floats([2, 3])], ([x]) => ops.transpose(x)),
  opCase("transpose", "last two of four", [floats([2, 1, 3, 4])], ([x]) => ops.transpose(x)),
  opCase("transpose", "tokens first", [floats([2, 3, 4])], ([x]) => ops.transpose(x, [1, 0, 2])),
  opCase("transpose", "a cycle", [floats([2, 3, 4])], ([x]) => ops.transpose(x, [2, 0, 1])),
  opCase(
    "transpose",
    "patches",
    [floats([2, 3, 2, 2, 2, 2])],
    ([x]) => ops.transpose(x, [2, 4, 0, 1, 3, 5]),
    { gradient: "devices" },
  ),
  opCase("transpose", "twice", [floats([2, 3, 4])], ([x]) =>
    ops.transpose(ops.transpose(x, [2, 0, 1]), [0, 2, 1]),
  ),
  opCase("slice", "first", [floats([4, 3])], ([x]) => ops.slice(x, { axis: 0, end: 1 })),
  opCase("slice", "middle of the last axis", [floats([2, 5])], ([x]) =>
    ops.slice(x, { axis: -1, start: 1, end: 3 }),
  ),
  opCase("slice", "from the end", [floats([2, 5, 2])], ([x]) => ops.slice(x, { axis: 1, start: -2 })),
  opCase("slice", "everything", [floats([2, 5])], ([x]) => ops.slice(x, { axis: 1 })),
  opCase("split", "three parts", [floats([6, 2])], ([x]) => ops.split(x, [1, 2, 3], 0)),
  opCase("split", "last axis, one part unused", [floats([2, 6])], ([x]) =>
    ops.split(x, [2, 3, 1], -1).slice(1),
  ),
  opCase("split", "one part", [floats([4])], ([x]) => ops.split(x, [4], 0)),
  opCase("split", "forty parts", [floats([60])], ([x]) => ops.split(x, sizes(40), 0)),
  opCase("concat", "two", [floats([2, 3]), others([1, 3])], ([a, b]) => ops.concat([a, b], 0)),
  opCase("concat", "three, last axis", [floats([2, 1]), others([2, 3]), floats([2, 2])], (x) =>
    ops.concat(x, -1),
  ),
  opCase("concat", "one value twice", [floats([3])], ([x]) => ops.concat([x, ops.neg(x), x], 0)),
  opCase("concat", "one", [floats([3])], ([x]) => ops.concat([x], 0)),
  opCase(
    "concat",
    "forty",
    sizes(40).map((size, i) => floats([size], { name: `part ${i}` })),
    (x) => ops.concat(x, 0),
  ),
  opCase(
    "concat",
    "eight, middle axis",
    Array.from({ length: 8 }, (_, i) => floats([2, 1, 2], { name: `part ${i}` })),
    (x) => ops.concat(x, 1),
  ),
  opCase("pad", "both sides", [floats([2, 3])], ([x]) => ops.pad(x, { axis: 0, before: 1, after: 2 })),
  opCase("pad", "a value", [floats([2, 3])], ([x]) => ops.pad(x, { axis: -1, before: 2, value: -1.5 })),
  opCase("pad", "middle axis", [floats([2, 2, 3])], ([x]) => ops.pad(x, { axis: 1, after: 1 })),
  opCase("pad", "two axes", [floats([2, 3, 2])], ([x]) =>
    ops.pad(ops.pad(x, { axis: 2, before: 1 }), { axis: 0, before: 2, after: 1 }),
  ),
  opCase("pad", "one axis twice", [floats([2, 3])], ([x]) =>
    ops.pad(ops.pad(x, { axis: 1, before: 1 }), { axis: 1, after: 2, value: 1 }),
  ),
  opCase("pad", "nothing", [floats([3])], ([x]) => ops.pad(x, { axis: 0 })),
  opCase("gather", "repeated", [floats([4, 3]), values([2, 0, 2, 2], [4], "int32")], ([x, i]) =>
    ops.gather(x, i, 0),
  ),
  opCase(
    "gather",
    "int64",
    [floats([4, 3]), values([2, 0, 2, 2], [4], "int64")],
    ([x, i]) => ops.gather(x, i, 0),
    INT64,
  ),
  opCase(
    "gather",
    "int32 matrix, last axis",
    [floats([2, 4]), values([3, 0, 0, 1], [2, 2], "int32")],
    ([x, i]) => ops.gather(x, i, -1),
  ),
  opCase("gather", "middle axis", [floats([2, 3, 2]), values([1, 1, 0], [3], "int32")], ([x, i]) =>
    ops.gather(x, i, 1),
  ),
  opCase("gather", "one row, by a computed number", [floats([4, 3]), values([1.25], [])], ([x, i]) =>
    ops.gather(x, ops.cast(ops.minimum(ops.sub(i, -1), 3), "int32"), 0),
  ),
  opCase("gather", "what argmax picks", [values(spaced, [3, 4])], ([x]) =>
    ops.gather(x, ops.argmax(x, 1), 1),
  ),
  opCase("oneHot", "int64", [values([2, 0, 1, 2], [4], "int64")], ([i]) => ops.oneHot(i, 3), {
    gradient: false,
    ...INT64,
  }),
  opCase("oneHot", "int32 matrix", [values([2, 0, 1, 3], [2, 2], "int32")], ([i]) => ops.oneHot(i, 4), {
    gradient: false,
  }),
  opCase("oneHot", "of argmax", [values(spaced, [3, 4])], ([x]) => ops.oneHot(ops.argmax(x, -1), 4), {
    gradient: false,
  }),
];

/** 1, 2, 1, 2, … */
function sizes(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 1 + (i % 2));
}

function matmulCases(): OpCase[] {
  const all: OpCase[] = [];
  for (const transA of [false, true]) {
    for (const transB of [false, true]) {
      const name = `${transA ? "Aᵀ" : "A"}·${transB ? "Bᵀ" : "B"}`;
      const plain = (x: Value, trans: boolean): Value => (trans ? ops.transpose(x) : x);
      const a = (...batch: number[]): CaseInput => floats([...batch, ...(transA ? [4, 2] : [2, 4])]);
      const b = (...batch: number[]): CaseInput => others([...batch, ...(transB ? [3, 4] : [4, 3])]);
      const product = ([x, y]: Operands<Value>): Value => ops.matmul(plain(x, transA), plain(y, transB));
      all.push(
        opCase("matmul", name, [a(), b()], ([x, y]) => ops.matmul(x, y, { transA, transB }), {
          reference: product,
        }),
        opCase(
          "matmul",
          `${name}, alpha`,
          [a(3), b(3)],
          ([x, y]) => ops.matmul(x, y, { transA, transB, alpha: 0.3 }),
          {
            reference: (x) => ops.mul(product(x), 0.3),
          },
        ),
        opCase("matmul", `${name}, broadcast`, [a(2, 1), b(3)], ([x, y]) =>
          ops.matmul(x, y, { transA, transB }),
        ),
        opCase("matmul", `${name}, one matrix for all`, [a(3), b()], ([x, y]) =>
          ops.matmul(x, y, { transA, transB }),
        ),
        opCase("gemm", name, [a(), b()], ([x, y]) => ops.gemm(x, y, undefined, { transA, transB }), {
          reference: product,
        }),
        opCase(
          "gemm",
          `${name} + bias`,
          [a(), b(), floats([3])],
          ([x, y, c]) => ops.gemm(x, y, c, { transA, transB }),
          {
            reference: (x) => ops.add(product(x), x[2]),
          },
        ),
        opCase(
          "gemm",
          `${name}, alpha, + bias`,
          [a(), b(), floats([3])],
          ([x, y, c]) => ops.gemm(x, y, c, { transA, transB, alpha: 0.3 }),
          { reference: (x) => ops.add(ops.mul(product(x), 0.3), x[2]) },
        ),
      );
    }
  }
  const first = (x: Value): Value => ops.transpose(x, [1, 0, 2]);
  for (const [transBatchA, transBatchB] of [
    [true, false],
    [false, true],
    [true, true],
  ] as const) {
    for (const [transA, transB] of [
      [false, false],
      [false, true],
      [true, false],
    ] as const) {
      const a = floats(
        transBatchA ? [transA ? 4 : 2, 3, transA ? 2 : 4] : [3, transA ? 4 : 2, transA ? 2 : 4],
      );
      const b = others(
        transBatchB ? [transB ? 5 : 4, 3, transB ? 4 : 5] : [3, transB ? 5 : 4, transB ? 4 : 5],
      );
      const options = { transBatchA, transBatchB, transA, transB };
      const name = Object.entries(options)
        .flatMap(([key, on]) => (on ? [key] : []))
        .join(", ");
      all.push(
        opCase("matmul", name, [a, b], ([x, y]) => ops.matmul(x, y, { ...options, alpha: 0.5 }), {
          reference: ([x, y]) => {
            const left = transBatchA ? first(x) : x;
            const right = transBatchB ? first(y) : y;
            return ops.mul(
              ops.matmul(transA ? ops.transpose(left) : left, transB ? ops.transpose(right) : right),
              0.5,
            );
          },
        }),
      );
    }
  }
  return all;
}

function smallNormalize(x: Value, epsilon = 1e-6): Value {
  const centred = ops.sub(x, ops.mean(x, -1, { keepDims: true }));
  const variance = ops.mean(ops.mul(centred, centred), -1, { keepDims: true });
  return ops.div(centred, ops.sqrt(ops.add(variance, epsilon)));
}

function smallLayerNorm(x: Value, weight: Value, bias: Value, epsilon = 1e-6): Value {
  return ops.add(ops.mul(smallNormalize(x, epsilon), weight), bias);
}

/** Dropout's factors of a mask. */
function dropped(kept: Value): Value {
  return ops.mul(ops.cast(kept, "float32"), 1.25);
}

/** softmax(QKᵀ/√d)V with batch and heads in front. */
function smallAttention(q: Value, k: Value, v: Value, numHeads: number, factors?: Value): Value[] {
  const [queries = 1, batch = 1, dim = 1] = q.shape;
  const split = (x: Value): Value =>
    ops.transpose(ops.reshape(x, [x.shape[0] ?? 1, batch, numHeads, dim / numHeads]), [1, 2, 0, 3]);
  const scores = ops.mul(ops.matmul(split(q), ops.transpose(split(k))), (dim / numHeads) ** -0.5);
  const probabilities = ops.softmax(scores);
  const weights = factors === undefined ? probabilities : ops.mul(probabilities, factors);
  const attended = ops.transpose(ops.matmul(weights, split(v)), [2, 0, 1, 3]);
  return [ops.reshape(attended, [queries, batch, dim]), probabilities];
}

function gelu(x: Value): Value {
  return ops.mul(ops.mul(x, 0.5), ops.add(ops.erf(ops.mul(x, Math.SQRT1_2)), 1));
}

type Mlp = [weight1: CaseInput, bias1: CaseInput, weight2: CaseInput, bias2: CaseInput];
const mlpWeights = (bounds = {}): Mlp => [others([5, 3], bounds), floats([5]), others([2, 5]), floats([2])];
const buildMlp: Build = ([x, weight1, bias1, weight2, bias2]) =>
  ops.geluMlp(x, { weight1, bias1, weight2, bias2 });
const smallMlp: Build = ([x, weight1, bias1, weight2, bias2]) => {
  const hidden = gelu(ops.add(ops.matmul(x, ops.transpose(weight1)), bias1));
  return ops.add(ops.matmul(hidden, ops.transpose(weight2)), bias2);
};

const composites: OpCase[] = [
  ...matmulCases(),
  opCase(
    "linear",
    "matrix",
    [floats([2, 4]), others([3, 4]), floats([3])],
    ([x, w, b]) => ops.linear(x, w, b),
    {
      reference: ([x, w, b]) => ops.add(ops.matmul(x, ops.transpose(w)), b),
    },
  ),
  opCase(
    "linear",
    "tokens",
    [floats([3, 2, 4]), others([5, 4]), floats([5])],
    ([x, w, b]) => ops.linear(x, w, b),
    {
      reference: ([x, w, b]) => ops.add(ops.matmul(x, ops.transpose(w)), b),
    },
  ),
  opCase("linear", "no bias", [floats([3, 2, 4]), others([5, 4])], ([x, w]) => ops.linear(x, w)),
  opCase("linear", "a vector", [floats([4]), others([5, 4])], ([x, w]) => ops.linear(x, w)),
  opCase("linearParts", "narrow", [floats([2, 3, 4]), floats([7, 4])], ([x, w]) => {
    const [a = x, b = x, c = x] = ops.linearParts(x, w, [2, 4, 1]);
    return ops.concat([c, ops.mul(a, 2), b], 2);
  }),
  opCase("linearParts", "wide, a part unused", [floats([2, 130]), floats([5, 130])], ([x, w]) => {
    const [a = x, , c = x] = ops.linearParts(x, w, [2, 1, 2]);
    return ops.mul(a, c);
  }),
  opCase("columnSum", "", [floats([4, 3])], ([x]) => ops.columnSum(x), { reference: ([x]) => ops.sum(x, 0) }),
  opCase("softmax", "last axis", [floats([3, 4])], ([x]) => ops.softmax(x), {
    reference: ([x]) => ops.div(ops.exp(x), ops.sum(ops.exp(x), -1, { keepDims: true })),
  }),
  opCase("softmax", "first axis", [floats([3, 2, 2])], ([x]) => ops.softmax(x, 0)),
  opCase("softmax", "far apart", [values([900, 897, -900, 1, 2, 3], [2, 3])], ([x]) => ops.softmax(x)),
  opCase("logSoftmax", "last axis", [floats([3, 4])], ([x]) => ops.logSoftmax(x), {
    reference: ([x]) => ops.log(ops.softmax(x)),
  }),
  opCase("logSoftmax", "middle axis", [floats([2, 3, 2])], ([x]) => ops.logSoftmax(x, 1)),
  opCase("logSoftmax", "far apart", [values([900, 897, -900, 1, 2, 3], [2, 3])], ([x]) => ops.logSoftmax(x)),
  opCase("normalize", "", [floats([2, 3, 5])], ([x]) => ops.normalize(x), {
    reference: ([x]) => smallNormalize(x),
  }),
  opCase("normalize", "a large epsilon", [floats([3, 4])], ([x]) => ops.normalize(x, { epsilon: 0.5 }), {
    reference: ([x]) => smallNormalize(x, 0.5),
  }),
  opCase(
    "layerNorm",
    "tokens",
    [floats([2, 3, 5]), others([5]), floats([5])],
    ([x, w, b]) => ops.layerNorm(x, w, b),
    {
      reference: ([x, w, b]) => smallLayerNorm(x, w, b),
    },
  ),
  opCase(
    "layerNorm",
    "a large epsilon",
    [floats([3, 4]), others([4]), floats([4])],
    ([x, w, b]) => ops.layerNorm(x, w, b, { epsilon: 0.5 }),
    {
      reference: ([x, w, b]) => smallLayerNorm(x, w, b, 0.5),
    },
  ),
  opCase(
    "layerNorm",
    "far from zero",
    [floats([3, 8], { low: 99, high: 101 }), others([8]), floats([8])],
    ([x, w, b]) => ops.layerNorm(x, w, b),
    {
      tolerance: 2e-4, // float32 holds 100 to 4e-6, which is 1e-5 of the deviation
    },
  ),
  opCase(
    "layerNorm",
    "a constant row",
    [values([2, 2, 2, 2, 1, 2, 3, 4], [2, 4]), others([4]), floats([4])],
    ([x, w, b]) => ops.layerNorm(x, w, b, { epsilon: 1e-2 }),
  ),
  opCase(
    "attention",
    "all tokens",
    [floats([4, 2, 6]), others([4, 2, 6]), floats([4, 2, 6], { name: "v" })],
    ([q, k, v]) => ops.attention({ q, k, v }, { numHeads: 3 }).attended,
    {
      reference: ([q, k, v]) => smallAttention(q, k, v, 3).slice(0, 1),
    },
  ),
  opCase(
    "attention",
    "some queries",
    [floats([1, 2, 4]), others([5, 2, 4]), floats([5, 2, 4])],
    ([q, k, v]) => ops.attention({ q, k, v }, { numHeads: 2 }).attended,
    {
      reference: ([q, k, v]) => smallAttention(q, k, v, 2).slice(0, 1),
    },
  ),
  opCase(
    "attention",
    "one head, one value for all three",
    [floats([3, 2, 4])],
    ([x]) => ops.attention({ q: x, k: x, v: x }, { numHeads: 1 }).attended,
  ),
  opCase(
    "attention",
    "probabilities dropped out",
    [
      floats([3, 2, 4]),
      others([5, 2, 4]),
      floats([5, 2, 4], { name: "v" }),
      values(
        Array.from({ length: 60 }, (_, i) => Number(i % 7 > 1)),
        [2, 2, 3, 5],
        "uint8",
      ),
    ],
    ([q, k, v, kept]) => ops.attention({ q, k, v }, { numHeads: 2, factors: dropped(kept) }).attended,
    {
      reference: ([q, k, v, kept]) => smallAttention(q, k, v, 2, dropped(kept)).slice(0, 1),
    },
  ),
  opCase(
    "attention",
    "probabilities",
    [floats([3, 2, 4]), others([5, 2, 4])],
    ([q, k]) => ops.attention({ q, k, v: k }, { numHeads: 2 }).probabilities,
    {
      gradient: false,
      reference: ([q, k]) => smallAttention(q, k, k, 2).slice(1),
    },
  ),
  opCase("geluMlp", "matrix", [floats([3, 3]), ...mlpWeights()], buildMlp, { reference: smallMlp }),
  opCase(
    "layerNorm",
    "forward alone",
    [floats([2, 5]), others([5]), floats([5])],
    ([x, w, b]) => ops.layerNorm(x, w, b),
    {
      gradient: false, // then it is written in another form
      reference: ([x, w, b]) => smallLayerNorm(x, w, b),
    },
  ),
  opCase("geluMlp", "forward alone", [floats([3, 3]), ...mlpWeights()], buildMlp, {
    gradient: false,
    reference: smallMlp,
  }),
  opCase("geluMlp", "tokens", [floats([2, 2, 3]), ...mlpWeights()], buildMlp, { reference: smallMlp }),
  opCase(
    "geluMlp",
    "where exp(u²) overflows",
    [floats([3, 3], { low: -30, high: 30 }), ...mlpWeights({ low: -9, high: 9 })],
    buildMlp,
    { reference: smallMlp },
  ),
];

/** One product for each pixel of the result. */
function smallConvolution(
  x: Value,
  weight: Value,
  { stride = 1, padding = 0, groups = 1 }: { stride?: number; padding?: number; groups?: number },
): Value {
  const [batch = 1] = x.shape;
  const [outChannels = 1, , height = 1, width = 1] = weight.shape;
  const sides = { before: padding, after: padding };
  const padded = ops.pad(ops.pad(x, { axis: 2, ...sides }), { axis: 3, ...sides });
  const [, , rows = 1, columns = 1] = padded.shape;
  const kernels = ops.transpose(ops.reshape(weight, [groups, outChannels / groups, -1]));
  const lines: Value[] = [];
  for (let top = 0; top + height <= rows; top += stride) {
    const pixelsOfLine: Value[] = [];
    for (let left = 0; left + width <= columns; left += stride) {
      const band = ops.slice(padded, { axis: 2, start: top, end: top + height });
      const patch = ops.slice(band, { axis: 3, start: left, end: left + width });
      const product = ops.matmul(ops.reshape(patch, [batch, groups, 1, -1]), kernels);
      pixelsOfLine.push(ops.reshape(product, [batch, outChannels, 1, 1]));
    }
    lines.push(ops.concat(pixelsOfLine, 3));
  }
  return ops.concat(lines, 2);
}

const convolutions: OpCase[] = [
  ...(
    [
      ["3 × 3", [2, 3, 4, 5], [4, 3, 3, 3], { padding: 1 }],
      ["1 × 1", [2, 3, 3, 4], [5, 3, 1, 1], {}],
      ["1 × 1, every second pixel", [2, 3, 5, 4], [2, 3, 1, 1], { stride: 2 }],
      ["3 × 3, every second pixel, one row unmet", [2, 2, 6, 5], [3, 2, 3, 3], { stride: 2, padding: 1 }],
      ["groups", [2, 4, 4, 4], [6, 2, 3, 3], { padding: 1, groups: 2 }],
      ["groups, every second pixel", [2, 4, 4, 6], [4, 2, 3, 3], { stride: 2, padding: 1, groups: 2 }],
      ["a group for each channel", [1, 3, 4, 4], [3, 1, 3, 3], { padding: 1, groups: 3 }],
      ["no padding, oblong kernel", [1, 2, 4, 5], [2, 2, 2, 3], {}],
      ["1 × 1, groups", [2, 4, 3, 2], [2, 2, 1, 1], { groups: 2 }],
      ["3 × 3, no padding", [2, 2, 4, 3], [3, 2, 3, 3], {}],
      ["3 × 3, every third pixel, rows and columns unmet", [1, 1, 8, 7], [2, 1, 3, 3], { stride: 3 }],
      ["7 × 7, every second pixel", [1, 1, 7, 6], [2, 1, 7, 7], { stride: 2, padding: 3 }],
      ["padding beyond the kernel", [1, 1, 2, 2], [1, 1, 2, 2], { padding: 2 }],
    ] as const
  ).map(([name, x, weight, options]) =>
    opCase("conv2d", name, [floats(x), others(weight)], ([a, b]) => ops.conv2d(a, b, options), {
      reference: ([a, b]) => smallConvolution(a, b, options),
    }),
  ),
  // Shapes that the CPU computes over channels in blocks: too large for finite differences.
  ...(
    [
      ["blocks", [16, 16, 4, 3], [16, 16, 3, 3], { padding: 1 }],
      ["blocks, every second pixel", [16, 16, 5, 4], [32, 16, 3, 3], { stride: 2, padding: 1 }],
      ["blocks, a row and a column unmet", [16, 16, 6, 4], [16, 16, 3, 3], { stride: 2 }],
      ["blocks, oblong kernel", [16, 16, 2, 4], [16, 16, 1, 3], {}],
      ["blocks of outputs", [16, 3, 5, 4], [16, 3, 3, 3], { padding: 1 }],
      ["blocks, the last filled with zeros", [16, 5, 3, 4], [20, 5, 3, 3], { padding: 1 }],
      ["blocks, groups", [16, 32, 3, 3], [32, 16, 3, 3], { padding: 1, groups: 2 }],
      ["blocks, three groups", [16, 24, 3, 4], [24, 8, 3, 3], { padding: 1, groups: 3 }],
      ["blocks, groups of unlike sides", [16, 4, 3, 4], [16, 2, 3, 3], { stride: 2, padding: 1, groups: 2 }],
    ] as const
  ).map(([name, x, weight, options]) =>
    opCase("conv2d", name, [floats(x), others(weight)], ([a, b]) => ops.conv2d(a, b, options), {
      reference: ([a, b]) => smallConvolution(a, b, options),
      gradient: "devices",
    }),
  ),
  opCase(
    "conv2d",
    "blocks, with a bias",
    [floats([2, 16, 2, 3]), others([16, 16, 3, 3]), floats([16])],
    ([x, weight, bias]) => ops.conv2d(x, weight, { padding: 1, bias }),
    {
      reference: ([x, weight, bias]) =>
        ops.add(ops.conv2d(x, weight, { padding: 1 }), ops.reshape(bias, [16, 1, 1])),
      gradient: "devices",
    },
  ),
  opCase(
    "conv2d",
    "times a factor of each channel",
    [floats([2, 3, 4, 4]), others([2, 3, 3, 3]), floats([2])],
    ([x, weight, factor]) => ops.mul(ops.conv2d(x, weight, { padding: 1 }), ops.reshape(factor, [2, 1, 1])),
    {
      reference: ([x, weight, factor]) =>
        ops.conv2d(x, ops.mul(weight, ops.reshape(factor, [2, 1, 1, 1])), { padding: 1 }),
    },
  ),
  opCase(
    "conv2d",
    "with a bias",
    [floats([2, 3, 4, 4]), others([2, 3, 3, 3]), floats([2])],
    ([x, weight, bias]) => ops.conv2d(x, weight, { padding: 1, bias }),
    {
      reference: ([x, weight, bias]) =>
        ops.add(ops.conv2d(x, weight, { padding: 1 }), ops.reshape(bias, [2, 1, 1])),
    },
  ),
  ...(
    [
      ["2 × 2", { kernel: 2 }],
      ["3 × 3, every second pixel", { kernel: 3, stride: 2, padding: 1 }],
      ["overlapping", { kernel: 3, stride: 1 }],
      ["rows unmet", { kernel: 2, stride: 3 }],
    ] as const
  ).flatMap(([name, options]) => [
    opCase("maxPool2d", name, [values(pixels, [2, 1, 4, 6])], ([x]) => ops.maxPool2d(x, options)),
    opCase("averagePool2d", name, [floats([2, 2, 5, 4])], ([x]) => ops.averagePool2d(x, options)),
  ]),
  opCase(
    "batchNormTraining",
    "",
    [floats([3, 2, 3, 2]), others([2]), floats([2])],
    ([x, gamma, beta]) => ops.batchNormTraining(x, gamma, beta).y,
    {
      reference: ([x, gamma, beta]) => {
        const channels = (value: Value): Value => ops.reshape(value, [2, 1, 1]);
        const centred = ops.sub(x, channels(ops.mean(x, [0, 2, 3])));
        const variance = ops.mean(ops.mul(centred, centred), [0, 2, 3]);
        const scaled = ops.div(centred, channels(ops.sqrt(ops.add(variance, 1e-5))));
        return ops.add(ops.mul(scaled, channels(gamma)), channels(beta));
      },
    },
  ),
  opCase(
    "batchNormInference",
    "",
    [floats([2, 3, 2, 2]), others([3]), floats([3]), floats([3], { name: "mean" }), floats([3], positive)],
    ([x, gamma, beta, average, variance]) => ops.batchNormInference(x, gamma, beta, average, variance),
    {
      reference: ([x, gamma, beta, average, variance]) => {
        const channels = (value: Value): Value => ops.reshape(value, [3, 1, 1]);
        const std = channels(ops.sqrt(ops.add(variance, 1e-5)));
        const normalised = ops.div(ops.sub(x, channels(average)), std);
        return ops.add(ops.mul(normalised, channels(gamma)), channels(beta));
      },
    },
  ),
  opCase(
    "maxPool2d",
    "equal maxima",
    [values([1, 1, 0, 1, 1, 2, 0, 2, 2], [1, 1, 3, 3])],
    ([x]) => ops.maxPool2d(x, { kernel: 2, stride: 1 }),
    { gradient: "devices" }, // there is no derivative
  ),
  opCase(
    "batchNormTraining",
    "a large epsilon, far from zero",
    [floats([2, 3, 2, 2], { low: 9, high: 11 }), others([3]), floats([3])],
    ([x, gamma, beta]) => ops.batchNormTraining(x, gamma, beta, { epsilon: 0.5 }).y,
    { tolerance: 1e-5 }, // float32 holds 10 to 5e-7
  ),
  opCase(
    "batchNormTraining",
    "statistics",
    [floats([3, 2, 2, 3]), others([2]), floats([2])],
    ([x, gamma, beta]) => {
      const { mean, variance } = ops.batchNormTraining(x, gamma, beta);
      return [mean, variance];
    },
    {
      gradient: false,
      reference: ([x]) => {
        const average = ops.mean(x, [0, 2, 3]);
        return [average, ops.sub(ops.mean(ops.mul(x, x), [0, 2, 3]), ops.mul(average, average))];
      },
    },
  ),
];

export const cases: readonly OpCase[] = [...elementwise, ...shapes, ...composites, ...convolutions];

/** Title of a case. */
export function titleOf({ op, name }: Pick<OpCase, "op" | "name">): string {
  return name === "" ? op : `${op}, ${name}`;
}
