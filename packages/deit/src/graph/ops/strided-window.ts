/** Strided slice: the input pixels under one kernel position, and the padding around the image. */
import type { OpDefinition, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import { sameShape } from "../shape.ts";
import { gatherData } from "./broadcast.ts";
import { pad } from "./layout.ts";

type KernelPosition = {
  readonly row: number;
  readonly column: number;
  /** Vertical and horizontal stride. */
  readonly strides: readonly [number, number];
  readonly height: number;
  readonly width: number;
};

const stridedWindowOp: OpDefinition<KernelPosition> = {
  name: "stridedWindow",
  infer: ([x], { height, width }) => [{ dtype: x.dtype, shape: [...x.shape.slice(0, 2), height, width] }],
  evaluate: ([x], { row, column, strides: [down, right], height, width }) => {
    const [batch = 1, channels = 1, rows = 1, columns = 1] = x.shape;
    const steps = [channels * rows * columns, rows * columns, down * columns, right];
    return [gatherData(x.data, [batch, channels, height, width], steps, row * columns + column)];
  },
  onnx: ([x], { row, column, strides: [down, right], height, width }, writer) => ({
    type: "Slice",
    inputs: [
      writer.name(x),
      writer.int64([row, column]),
      writer.int64([row + (height - 1) * down + 1, column + (width - 1) * right + 1]),
      writer.int64([2, 3]),
      writer.int64([down, right]),
    ],
  }),
};

/** The pixels of padded images under one kernel position, for every output pixel: [N, C, height, width]. */
export function stridedWindow(padded: Value, position: KernelPosition): Value {
  return sameShape(padded.shape.slice(2), [position.height, position.width])
    ? padded
    : apply(stridedWindowOp, [padded], position);
}

/** `margin` elements of one value on each side of both image axes. */
export function pad2d(x: Value, margin: number, value = 0): Value {
  const options = { before: margin, after: margin, value };
  return pad(pad(x, { axis: 2, ...options }), { axis: 3, ...options });
}
