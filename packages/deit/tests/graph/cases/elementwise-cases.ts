/** Cases of operations that work element by element. */
import type { Value } from "../../../src/graph/graph.ts";
import * as ops from "../../../src/graph/ops.ts";
import {
  type OpCase,
  type Options,
  INT64,
  floats,
  gelu,
  opCase,
  others,
  positive,
  spaced,
  spacedOthers,
  values,
} from "./op-case.ts";

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

export const elementwise: OpCase[] = [
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
    "every byte to float32, a number of them that is not a multiple of 4",
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
