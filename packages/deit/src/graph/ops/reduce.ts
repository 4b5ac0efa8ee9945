/** Mean and maximum over axes, the index of the maximum, and the sum of everything. (That over axes stands in broadcast.ts.) */
import type { OpDefinition, Value } from "../graph.ts";
import { apply, constant, isCpu } from "../graph.ts";
import { dimAt, resolveAxes, resolveAxis, sizeOf } from "../shape.ts";
import { expand, reduceData, reducedShape, reshape, sum } from "./broadcast.ts";
import { equal } from "./compare.ts";
import { add, cast, div, mul, sub } from "./elementwise.ts";
import { slice } from "./layout.ts";

interface ReduceOptions extends Readonly<Record<string, unknown>> {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

const meanOp: OpDefinition<ReduceOptions> = {
  name: "mean",
  infer: ([x], { axes, keepDims }) => [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keepDims) }],
  gradient: ({ inputs: [x], grad, attributes: { axes } }) => {
    const count = sizeOf(axes.map((axis) => dimAt(x.shape, axis)));
    return [expand(reshape(mul(grad, 1 / count), reducedShape(x.shape, axes, true)), x.shape)];
  },
  evaluate: ([x], { axes }) => {
    const count = sizeOf(axes.map((axis) => dimAt(x.shape, axis)));
    return [
      reduceData(x.data, x.shape, axes, 0, (total, value) => total + value).map((total) => total / count),
    ];
  },
  onnx: ([x], { axes, keepDims }, writer) => ({
    type: "ReduceMean",
    inputs: [writer.name(x), writer.int64(axes)],
    attributes: { keepdims: Number(keepDims) },
  }),
};

/** Mean over axes (all when none are given). */
export function mean(x: Value, axes?: number | readonly number[], { keepDims = false } = {}): Value {
  return apply(meanOp, [x], { axes: resolveAxes("mean", axes, x.shape), keepDims });
}

const maxOp: OpDefinition<ReduceOptions> = {
  name: "max",
  infer: ([x], { axes, keepDims }) => [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keepDims) }],
  // Equal maxima share the gradient, as torch.amax does.
  gradient: ({ inputs: [x], outputs: [y], grad, attributes: { axes } }) => {
    const kept = reducedShape(x.shape, axes, true);
    const mask = cast(equal(x, expand(reshape(y, kept), x.shape)), "float32");
    const share = div(reshape(grad, kept), sum(mask, axes, { keepDims: true }));
    return [mul(mask, share)];
  },
  evaluate: ([x], { axes }) => [reduceData(x.data, x.shape, axes, Number.NEGATIVE_INFINITY, Math.max)],
  onnx: ([x], { axes, keepDims }, writer) => ({
    type: "ReduceMax",
    inputs: [writer.name(x), writer.int64(axes)],
    attributes: { keepdims: Number(keepDims) },
  }),
};

/** Largest element over axes (all when none are given). */
export function max(x: Value, axes?: number | readonly number[], { keepDims = false } = {}): Value {
  return apply(maxOp, [x], { axes: resolveAxes("max", axes, x.shape), keepDims });
}

/** ONNX's ArgMax, whose indices are int64. */
const argmax64Op: OpDefinition<{ axis: number }> = {
  name: "argmax64",
  infer: ([x], { axis }) => [{ dtype: "int64", shape: reducedShape(x.shape, [axis], false) }],
  evaluate: ([x], { axis }) => {
    const inner = sizeOf(x.shape.slice(axis + 1));
    const length = dimAt(x.shape, axis);
    const result = new Float64Array(x.data.length / length);
    for (let i = 0; i < result.length; i++) {
      const start = Math.floor(i / inner) * length * inner + (i % inner);
      for (let j = 1; j < length; j++) {
        const best = x.data[start + (result[i] ?? 0) * inner] ?? Number.NaN;
        if ((x.data[start + j * inner] ?? Number.NaN) > best) result[i] = j;
      }
    }
    return [result];
  },
  onnx: (_, { axis }) => ({ type: "ArgMax", attributes: { axis, keepdims: 0 } }),
};

const argmaxOp: OpDefinition<{ axis: number }> = {
  name: "argmax",
  infer: ([x], { axis }) => [{ dtype: "int32", shape: reducedShape(x.shape, [axis], false) }],
  // WebGPU has ArgMax, and next to nothing that reads int64: there the first of the largest is searched in float32.
  lower: ([x], { axis }, target) => {
    if (target !== "webgpu") return [cast(apply(argmax64Op, [x], { axis }), "int32")];
    const length = dimAt(x.shape, axis);
    const fromEnd = Float32Array.from({ length }, (_, i) => length - 1 - i);
    const largest = cast(equal(x, max(x, axis, { keepDims: true })), "float32");
    const shape = x.shape.map((_, i) => (i === axis ? length : 1));
    return [cast(sub(length - 1, max(mul(largest, constant(fromEnd, shape)), axis)), "int32")];
  },
};

/** Index (int32) of the first largest element along one axis. No gradient. */
export function argmax(x: Value, axis: number): Value {
  return apply(argmaxOp, [x], { axis: resolveAxis("argmax", axis, x.shape) });
}

/** WebGPU's ReduceSum gives each result one workgroup, so that one result of many elements would leave the device idle. */
const [LONG_TOTAL, ROW] = [1 << 16, 1024];

const totalOp: OpDefinition<Readonly<Record<string, never>>> = {
  name: "total",
  infer: ([x]) => [{ dtype: x.dtype, shape: [] }],
  gradient: ({ inputs: [x], grad }) => [expand(grad, x.shape)],
  lower: ([x], _, target) => [target === "webgpu" && sizeOf(x.shape) >= LONG_TOTAL ? totalByRows(x) : sum(x)],
};

/** Σ x by way of the sums of rows of 1024; what is left of a row is added by itself. */
function totalByRows(x: Value): Value {
  const length = sizeOf(x.shape);
  const rows = Math.floor(length / ROW);
  const flat = reshape(x, [length]);
  if (rows * ROW === length) return total(sum(reshape(flat, [rows, ROW]), 1));
  return add(
    total(slice(flat, { axis: 0, end: rows * ROW })),
    sum(slice(flat, { axis: 0, start: rows * ROW })),
  );
}

/** Sum of all elements, a scalar: for vectors of the size of a model. */
export function total(x: Value): Value {
  return apply(totalOp, [x], {});
}

/** ONNX's ReduceSumSquare over everything: one pass where a product and a sum are two. */
const sumSquareOp: OpDefinition<Readonly<Record<string, never>>> = {
  name: "sumSquare",
  infer: ([x]) => [{ dtype: x.dtype, shape: [] }],
  gradient: ({ inputs: [x], grad }) => [mul(x, mul(grad, 2))],
  evaluate: ([x]) => [Float64Array.of(x.data.reduce((sum64, value) => sum64 + value * value, 0))],
  onnx: () => ({ type: "ReduceSumSquare", attributes: { keepdims: 0 } }),
  lower: ([x], _, target) => (isCpu(target) ? undefined : [total(mul(x, x))]),
};

/** Σ x² of all elements, a scalar: for vectors of the size of a model. */
export function sumOfSquares(x: Value): Value {
  return apply(sumSquareOp, [x], {});
}
