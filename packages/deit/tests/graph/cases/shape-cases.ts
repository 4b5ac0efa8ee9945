/** Cases of sums and extremes, and of operations that move, cut and join. */
import * as ops from "../../../src/graph/ops.ts";
import { type OpCase, INT64, floats, opCase, others, sizes, spaced, values } from "./op-case.ts";

export const shapes: OpCase[] = [
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
