/** Moving elements: transpose, slice, split, concat, pad. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Value } from "../graph.ts";
import { apply, at, createNode, operands } from "../graph.ts";
import { dimAt, resolveAxis, sameShape, sizeOf, stridesOf } from "../shape.ts";
import { gatherData, reshape, unshaped } from "./broadcast.ts";
import { full } from "./elementwise.ts";

const transposeOp: OpDefinition<{ permutation: readonly number[] }> = {
  name: "transpose",
  infer: ([x], { permutation }) => [
    { dtype: x.dtype, shape: permutation.map((axis) => dimAt(x.shape, axis)) },
  ],
  gradient: ({ grad, attributes: { permutation } }) => [
    transpose(
      grad,
      permutation.map((_, i) => permutation.indexOf(i)),
    ),
  ],
  evaluate: ([x], { permutation }) => {
    const strides = stridesOf(x.shape);
    return [
      gatherData(
        x.data,
        permutation.map((axis) => dimAt(x.shape, axis)),
        permutation.map((axis) => dimAt(strides, axis)),
      ),
    ];
  },
  onnx: (_, { permutation }) => ({ type: "Transpose", attributes: { perm: permutation } }),
  simplify: ([x], { permutation }) => {
    if (permutation.every((axis, i) => axis === i)) return x;
    if (x.node.op.name !== "transpose") return undefined;
    const inner = x.node.attributes["permutation"] as readonly number[];
    return transpose(
      operands(x.node.inputs)[0],
      permutation.map((axis) => at(inner, axis)),
    );
  },
};

/** Reorders axes: output axis i is input axis permutation[i]. By default the last two change places. */
export function transpose(x: Value, permutation?: readonly number[]): Value {
  const rank = x.shape.length;
  const axes = x.shape.map((_, i) => i);
  const order = permutation ?? [...axes.slice(0, -2), rank - 1, rank - 2];
  if (
    !sameShape(
      order.toSorted((a, b) => a - b),
      axes,
    )
  ) {
    throw new ShapeError("transpose", [x.shape], `a permutation of ${rank} axes, not [${order.join(", ")}]`);
  }
  return apply(transposeOp, [x], { permutation: order });
}

const sliceOp: OpDefinition<{ axis: number; start: number; end: number }> = {
  name: "slice",
  infer: ([x], { axis, start, end }) => [{ dtype: x.dtype, shape: x.shape.with(axis, end - start) }],
  gradient: ({ inputs: [x], grad, attributes: { axis, start, end } }) => [
    pad(grad, { axis, before: start, after: dimAt(x.shape, axis) - end }),
  ],
  evaluate: ([x], { axis, start, end }) => {
    const strides = stridesOf(x.shape);
    return [gatherData(x.data, x.shape.with(axis, end - start), strides, start * dimAt(strides, axis))];
  },
  onnx: ([x], { axis, start, end }, writer) => ({
    type: "Slice",
    inputs: [writer.name(x), writer.int64([start]), writer.int64([end]), writer.int64([axis])],
  }),
  simplify: ([x], { axis, start, end }) => (start === 0 && end === x.shape[axis] ? x : undefined),
};

/** Elements start ≤ i < end of one axis; negative numbers count from the end. */
export function slice(
  x: Value,
  { axis, start = 0, end }: { axis: number; start?: number; end?: number },
): Value {
  const resolved = resolveAxis("slice", axis, x.shape);
  const length = dimAt(x.shape, resolved);
  const from = start < 0 ? start + length : start;
  const to = end === undefined ? length : end < 0 ? end + length : end;
  if (from < 0 || to > length || from >= to) {
    throw new ShapeError(
      "slice",
      [x.shape],
      `0 ≤ start < end ≤ ${length} on axis ${resolved}, not ${from} and ${to}`,
    );
  }
  return apply(sliceOp, [x], { axis: resolved, start: from, end: to });
}

const splitOp: OpDefinition<{ axis: number; sizes: readonly number[] }> = {
  name: "split",
  infer: ([x], { axis, sizes }) => sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(axis, size) })),
  gradient: ({ outputs, grads, attributes: { axis } }) => [
    concat(
      outputs.map((part, i) => grads[i] ?? full(part.shape, 0)),
      axis,
    ),
  ],
  evaluate: ([x], { axis, sizes }) => {
    const strides = stridesOf(x.shape);
    return offsetsOf(sizes).map((start, i) =>
      gatherData(x.data, x.shape.with(axis, at(sizes, i)), strides, start * dimAt(strides, axis)),
    );
  },
  onnx: ([x], { axis, sizes }, writer) => ({
    type: "Split",
    inputs: [writer.name(x), writer.int64(sizes)],
    attributes: { axis },
  }),
  // WebGPU binds every output as a buffer, and has few: one slice a part instead.
  lower: ([x], { axis, sizes }, target) =>
    target === "webgpu"
      ? offsetsOf(sizes).map((start, i) => slice(x, { axis, start, end: start + at(sizes, i) }))
      : undefined,
};

/** Cuts one axis into parts of the given sizes, which add up to its length. */
export function split(x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  const resolved = resolveAxis("split", axis, x.shape);
  if (
    sizes.reduce((total, size) => total + size, 0) !== x.shape[resolved] ||
    sizes.some((size) => size < 1)
  ) {
    throw new ShapeError(
      "split",
      [x.shape, sizes],
      `positive sizes that add up to the length of axis ${resolved}`,
    );
  }
  return sizes.length === 1 ? [x] : createNode(splitOp, [x], { axis: resolved, sizes }).outputs;
}

function offsetsOf(sizes: readonly number[]): number[] {
  let offset = 0;
  return sizes.map((size) => (offset += size) - size);
}

/** Buffers that a WebGPU concat may read at once: the standard guarantees 8, one of them is the output. */
const WEBGPU_CONCAT_OPERANDS = 6;

const concatOp: OpDefinition<{ axis: number }> = {
  name: "concat",
  infer: (inputs, { axis }) => {
    const [first] = inputs;
    const others = inputs.filter((x) => !sameShape(x.shape.with(axis, 1), first.shape.with(axis, 1)));
    if (others.length > 0 || inputs.some((x) => x.dtype !== first.dtype)) {
      throw new ShapeError(
        "concat",
        inputs.map((x) => x.shape),
        `one dtype, and equal sizes but on axis ${axis}`,
      );
    }
    const length = inputs.reduce((total, x) => total + dimAt(x.shape, axis), 0);
    return [{ dtype: first.dtype, shape: first.shape.with(axis, length) }];
  },
  gradient: ({ inputs, grad, attributes: { axis } }) =>
    split(
      grad,
      inputs.map((x) => dimAt(x.shape, axis)),
      axis,
    ),
  evaluate: (inputs, { axis }, types) => {
    const outer = sizeOf(inputs[0].shape.slice(0, axis));
    const result = new Float64Array(sizeOf(at(types, 0).shape));
    let to = 0;
    for (let row = 0; row < outer; row++) {
      for (const { data } of inputs) {
        const length = data.length / outer;
        result.set(data.subarray(row * length, (row + 1) * length), to);
        to += length;
      }
    }
    return [result];
  },
  onnx: (_, { axis }) => ({ type: "Concat", attributes: { axis } }),
  // All parts of a value along its last axis, under whatever leading axes, are that value.
  simplify: (inputs, { axis }) => {
    const { node } = unshaped(inputs[0]);
    const [whole] = operands(node.inputs);
    const all =
      node.op.name === "split" &&
      node.attributes["axis"] === whole.shape.length - 1 &&
      axis === inputs[0].shape.length - 1 &&
      inputs.length === node.outputs.length &&
      inputs.every(
        (part, i) => unshaped(part) === node.outputs[i] && part.shape.at(-1) === unshaped(part).shape.at(-1),
      );
    const length = inputs.reduce((total, part) => total + dimAt(part.shape, axis), 0);
    return all ? reshape(whole, inputs[0].shape.with(axis, length)) : undefined;
  },
  lower: (inputs, { axis }, target) => {
    if (target !== "webgpu" || inputs.length <= WEBGPU_CONCAT_OPERANDS) return undefined;
    const groups: Value[] = [];
    for (let i = 0; i < inputs.length; i += WEBGPU_CONCAT_OPERANDS) {
      groups.push(concat(inputs.slice(i, i + WEBGPU_CONCAT_OPERANDS), axis));
    }
    return [concat(groups, axis)];
  },
};

/** Joins values along one axis. */
export function concat(values: readonly Value[], axis: number): Value {
  const first = at(values, 0);
  const resolved = resolveAxis("concat", axis, first.shape);
  if (values.some((x) => x.shape.length !== first.shape.length)) {
    throw new ShapeError(
      "concat",
      values.map((x) => x.shape),
      "values of one rank",
    );
  }
  return values.length === 1 ? first : apply(concatOp, values, { axis: resolved });
}

interface Margins extends Readonly<Record<string, unknown>> {
  readonly axes: readonly number[];
  /** Elements by axis of `axes`. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value: number;
}

const padOp: OpDefinition<Margins> = {
  name: "pad",
  infer: ([x], { axes, before, after }) => [
    {
      dtype: x.dtype,
      shape: axes.reduce(
        (shape, axis, i) => shape.with(axis, at(before, i) + dimAt(shape, axis) + at(after, i)),
        x.shape,
      ),
    },
  ],
  gradient: ({ inputs: [x], grad, attributes: { axes, before } }) => [
    axes.reduce((inner, axis, i) => {
      const start = at(before, i);
      return slice(inner, { axis, start, end: start + dimAt(x.shape, axis) });
    }, grad),
  ],
  evaluate: ([x], { axes, before, after, value }) => [
    axes.reduce((tensor, axis, i) => {
      const shape = tensor.shape.with(axis, at(before, i) + dimAt(tensor.shape, axis) + at(after, i));
      const data = new Float64Array(sizeOf(shape)).fill(value);
      const outer = sizeOf(shape.slice(0, axis));
      const inner = sizeOf(shape.slice(axis + 1));
      const rows = tensor.data.length / outer;
      for (let j = 0; j < outer; j++) {
        const start = (j * dimAt(shape, axis) + at(before, i)) * inner;
        data.set(tensor.data.subarray(j * rows, (j + 1) * rows), start);
      }
      return { shape, data };
    }, x).data,
  ],
  onnx: ([x], { axes, before, after, value }, writer) => ({
    type: "Pad",
    inputs: [
      writer.name(x),
      writer.int64([...before, ...after]),
      writer.scalar(value, x.dtype),
      writer.int64(axes),
    ],
  }),
  simplify: ([x], { axes, before, after, value }) => {
    if ([...before, ...after].every((margin) => margin === 0)) return x;
    // Margins of several axes are one pass.
    if (x.node.op.name !== padOp.name) return undefined;
    const inner = x.node.attributes as Margins;
    if (inner.value !== value || inner.axes.some((axis) => axes.includes(axis))) return undefined;
    return apply(padOp, [operands(x.node.inputs)[0]], {
      axes: [...inner.axes, ...axes],
      before: [...inner.before, ...before],
      after: [...inner.after, ...after],
      value,
    });
  },
};

/** Adds `before` and `after` elements of one value to an axis. */
export function pad(
  x: Value,
  {
    axis,
    before = 0,
    after = 0,
    value = 0,
  }: { axis: number; before?: number; after?: number; value?: number },
): Value {
  if (before < 0 || after < 0)
    throw new ShapeError("pad", [x.shape], `no negative padding, not ${before} and ${after}`);
  const axes = [resolveAxis("pad", axis, x.shape)];
  return apply(padOp, [x], { axes, before: [before], after: [after], value });
}
