/** Reshape, expand and sum: the three that are each other's gradients, under all broadcasting. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Value } from "../graph.ts";
import { apply, at, operands } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { broadcastShapes, dimAt, resolveAxes, sameShape, sizeOf, stridesOf } from "../shape.ts";

const reshapeOp: OpDefinition<{ shape: Shape }> = {
  name: "reshape",
  infer: ([x], { shape }) => [{ dtype: x.dtype, shape }],
  gradient: ({ inputs: [x], grad }) => [reshape(grad, x.shape)],
  evaluate: ([x]) => [x.data],
  onnx: ([x], { shape }, writer) => ({ type: "Reshape", inputs: [writer.name(x), writer.int64(shape)] }),
  simplify: ([x], { shape }) => {
    if (sameShape(x.shape, shape)) return x;
    return x.node.op.name === "reshape" ? reshape(operands(x.node.inputs)[0], shape) : undefined;
  },
};

/** The same elements in row-major order under another shape; one dimension may be −1. */
export function reshape(x: Value, shape: Shape): Value {
  const known = shape.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  const resolved = shape.map((dim) => (dim === -1 ? sizeOf(x.shape) / known : dim));
  if (sizeOf(resolved) !== sizeOf(x.shape) || resolved.some((dim) => !Number.isInteger(dim) || dim < 0)) {
    throw new ShapeError("reshape", [x.shape, shape], "the same number of elements");
  }
  return sameShape(resolved, x.shape) ? x : apply(reshapeOp, [x], { shape: resolved });
}

/** The value itself under whatever shapes it was given since. */
export function unshaped(value: Value): Value {
  let current = value;
  while (current.node.op.name === "reshape") current = at(current.node.inputs, 0);
  return current;
}

const expandOp: OpDefinition<{ shape: Shape }> = {
  name: "expand",
  infer: ([x], { shape }) => [{ dtype: x.dtype, shape }],
  gradient: ({ inputs: [x], grad }) => [sumTo(grad, x.shape)],
  evaluate: ([x], { shape }) => [broadcastData(x.data, x.shape, shape)],
  onnx: ([x], { shape }, writer) => ({ type: "Expand", inputs: [writer.name(x), writer.int64(shape)] }),
};

/** Repeats dimensions of 1 (and adds leading ones) up to `shape`. */
export function expand(x: Value, shape: Shape): Value {
  if (!sameShape(broadcastShapes("expand", x.shape, shape), shape)) {
    throw new ShapeError("expand", [x.shape, shape], "a shape that the first broadcasts to");
  }
  return sameShape(x.shape, shape) ? x : apply(expandOp, [x], { shape });
}

const sumOp: OpDefinition<{ axes: readonly number[]; keepDims: boolean }> = {
  name: "sum",
  infer: ([x], { axes, keepDims }) => [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keepDims) }],
  gradient: ({ inputs: [x], grad, attributes: { axes } }) => [
    expand(reshape(grad, reducedShape(x.shape, axes, true)), x.shape),
  ],
  evaluate: ([x], { axes }) => [reduceData(x.data, x.shape, axes, 0, (total, value) => total + value)],
  onnx: ([x], { axes, keepDims }, writer) => ({
    type: "ReduceSum",
    inputs: [writer.name(x), writer.int64(axes)],
    attributes: { keepdims: keepDims ? 1 : 0 },
  }),
};

/** Sum over axes (all when none are given). */
export function sum(x: Value, axes?: number | readonly number[], { keepDims = false } = {}): Value {
  const resolved = resolveAxes("sum", axes, x.shape);
  if (resolved.length === 0) return x;
  return apply(sumOp, [x], { axes: resolved, keepDims });
}

/** Sums a broadcast value back to `shape`: the gradient of broadcasting. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcastShapes("sumTo", x.shape, shape), x.shape)) {
    throw new ShapeError("sumTo", [x.shape, shape], "a shape that broadcasts to the first");
  }
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((dim, i) => (i < lead || (shape[i - lead] === 1 && dim !== 1) ? [i] : []));
  return reshape(axes.length > 0 ? sum(x, axes) : x, shape);
}

/** Shape after reducing `axes`. */
export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): number[] {
  return keepDims
    ? shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
    : shape.filter((_, i) => !axes.includes(i));
}

// For the oracle.

/** Data of `shape` repeated to `to`. */
export function broadcastData(data: Float64Array, shape: Shape, to: Shape): Float64Array {
  if (sameShape(shape, to)) return data;
  const lead = to.length - shape.length;
  const source = stridesOf(shape);
  const strides = to.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : dimAt(source, i - lead)));
  return gatherData(data, to, strides);
}

/** Reads `data` in the order of `shape` through arbitrary strides. */
export function gatherData(
  data: Float64Array,
  shape: Shape,
  strides: readonly number[],
  start = 0,
): Float64Array {
  const result = new Float64Array(sizeOf(shape));
  const index = shape.map(() => 0);
  let offset = start;
  for (let i = 0; i < result.length; i++) {
    result[i] = data[offset] ?? Number.NaN;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      offset += strides[axis] ?? 0;
      if (next < (shape[axis] ?? 1)) {
        index[axis] = next;
        break;
      }
      offset -= next * (strides[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return result;
}

/** Folds over axes in row-major order. */
export function reduceData(
  data: Float64Array,
  shape: Shape,
  axes: readonly number[],
  initial: number,
  fold: (accumulator: number, value: number) => number,
): Float64Array {
  const kept = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const strides = stridesOf(shape);
  const order = [...kept, ...axes];
  const moved = gatherData(
    data,
    order.map((i) => dimAt(shape, i)),
    order.map((i) => dimAt(strides, i)),
  );
  const inner = sizeOf(axes.map((i) => dimAt(shape, i)));
  const result = new Float64Array(sizeOf(kept.map((i) => dimAt(shape, i)))).fill(initial);
  for (let i = 0; i < moved.length; i++) {
    const to = Math.floor(i / inner);
    result[to] = fold(result[to] ?? initial, moved[i] ?? Number.NaN);
  }
  return result;
}
