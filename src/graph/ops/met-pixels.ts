/** The pixels that one place of a moving window meets, and the margin that lets it reach over the border. */
import type { OpDefinition, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import { sameShape } from "../shape.ts";
import { gatherData } from "./broadcast.ts";
import { pad } from "./layout.ts";

type KernelPlace = {
  readonly row: number;
  readonly column: number;
  /** Steps down and to the right. */
  readonly strides: readonly [number, number];
  readonly height: number;
  readonly width: number;
};

const metPixelsOp: OpDefinition<KernelPlace> = {
  name: "metPixels",
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

/** The pixels of padded pictures that one place of the kernel meets: [N, C, height, width]. */
export function metPixels(padded: Value, place: KernelPlace): Value {
  return sameShape(padded.shape.slice(2), [place.height, place.width])
    ? padded
    : apply(metPixelsOp, [padded], place);
}

/** `margin` elements of one value on each side of both axes of pictures. */
export function pad2d(x: Value, margin: number, value = 0): Value {
  const options = { before: margin, after: margin, value };
  return pad(pad(x, { axis: 2, ...options }), { axis: 3, ...options });
}
