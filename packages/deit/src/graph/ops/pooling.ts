/** Maximum and average over windows of an image. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, OnnxNode, TensorType, Value } from "../graph.ts";
import { apply, constant } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { reshape } from "./broadcast.ts";
import { equal, select } from "./compare.ts";
import { transposedConvolution } from "./convolution.ts";
import { stridedWindow, pad2d } from "./strided-window.ts";
import { full, mul, sub } from "./elementwise.ts";
import { concat } from "./layout.ts";

/** Below every float32 that a network makes; padding is never the largest. */
const LOWEST = -3e38;

interface Window extends Readonly<Record<string, unknown>> {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

function infer(name: string, x: TensorType, { kernel, stride, padding }: Window): TensorType[] {
  const pooled = (length: number): number => Math.floor((length + 2 * padding - kernel) / stride) + 1;
  const [batch = 0, channels = 0, height = 0, width = 0] = x.shape;
  const shape = [batch, channels, pooled(height), pooled(width)];
  if (x.shape.length !== 4 || shape.some((length) => length < 1) || 2 * padding > kernel) {
    throw new ShapeError(
      name,
      [x.shape],
      `[N, C, H, W] that a window of ${kernel} fits into, padded by at most half of it, not by ${padding}`,
    );
  }
  return [{ dtype: x.dtype, shape }];
}

/** Calls `visit` with the flat indices of every element x that lies in the window of an element y, row by row. */
function forEachElement(
  [, , height = 1, width = 1]: Shape,
  shape: Shape,
  { kernel, stride, padding }: Window,
  visit: (ix: number, iy: number) => void,
): void {
  const [, , outHeight = 1, outWidth = 1] = shape;
  for (let iy = 0; iy < sizeOf(shape); iy++) {
    const plane = Math.floor(iy / (outHeight * outWidth));
    const top = (Math.floor(iy / outWidth) % outHeight) * stride - padding;
    const left = (iy % outWidth) * stride - padding;
    for (let h = Math.max(top, 0); h < Math.min(top + kernel, height); h++) {
      for (let w = Math.max(left, 0); w < Math.min(left + kernel, width); w++) {
        visit((plane * height + h) * width + w, iy);
      }
    }
  }
}

function onnx(
  type: string,
  { kernel, stride, padding }: Window,
  more: OnnxNode["attributes"] = {},
): OnnxNode {
  return {
    type,
    attributes: {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      ...more,
    },
  };
}

const maxPoolOp: OpDefinition<Window> = {
  name: "maxPool",
  infer: ([x], window) => infer("maxPool2d", x, window),
  evaluate: ([x], window, types) => {
    const shape = types[0]?.shape ?? [];
    const y = new Float64Array(sizeOf(shape)).fill(Number.NEGATIVE_INFINITY);
    forEachElement(x.shape, shape, window, (ix, iy) => {
      y[iy] = Math.max(y[iy] ?? NaN, x.data[ix] ?? NaN);
    });
    return [y];
  },
  // To the first of equal ones, as PyTorch.
  gradient: ({ inputs: [x], outputs: [y], grad, attributes: { kernel, stride, padding } }) => {
    const [batch = 1, channels = 1, height = 1, width = 1] = y.shape;
    const places = kernel * kernel;
    const padded = pad2d(x, padding, LOWEST);
    let left: Value = full(y.shape, 1); // 1 where no earlier place was the largest
    const shares = Array.from({ length: places }, (_, i) => {
      const [row, column] = [Math.floor(i / kernel), i % kernel];
      const pixels = stridedWindow(padded, { row, column, strides: [stride, stride], height, width });
      const isLargest = mul(left, select(equal(pixels, y), 1, 0));
      left = sub(left, isLargest);
      return reshape(mul(grad, isLargest), [batch, channels, 1, height, width]);
    });
    const spread = reshape(concat(shares, 2), [batch, channels * places, height, width]);
    const backTo = Float32Array.from({ length: channels * places * places }, (_, i) =>
      Math.floor(i / places) % places === i % places ? 1 : 0,
    );
    const kernels = constant(backTo, [channels * places, 1, kernel, kernel]);
    return [transposedConvolution(spread, kernels, { stride, padding, groups: channels, shape: x.shape })];
  },
  onnx: (_, window) => onnx("MaxPool", window),
};

const averagePoolOp: OpDefinition<Window> = {
  name: "averagePool",
  infer: ([x], window) => infer("averagePool2d", x, window),
  evaluate: ([x], window, types) => {
    const shape = types[0]?.shape ?? [];
    const y = new Float64Array(sizeOf(shape));
    forEachElement(x.shape, shape, window, (ix, iy) => {
      y[iy] = (y[iy] ?? NaN) + (x.data[ix] ?? NaN) / window.kernel ** 2;
    });
    return [y];
  },
  gradient: ({ inputs: [x], grad, attributes: { kernel, stride, padding } }) => {
    const channels = dimAt(x.shape, 1);
    const kernels = full([channels, 1, kernel, kernel], 1 / kernel ** 2);
    return [transposedConvolution(grad, kernels, { stride, padding, groups: channels, shape: x.shape })];
  },
  onnx: (_, window) => onnx("AveragePool", window, { count_include_pad: 1 }),
};

export interface PoolingOptions {
  /** Side of the square window. */
  readonly kernel: number;
  /** By default the kernel: windows that do not overlap. */
  readonly stride?: number;
  /** On each side of both axes. */
  readonly padding?: number;
}

/** Largest element of each window. x: [N, C, H, W] → [N, C, H', W'], H' = ⌊(H + 2p − kernel) / stride⌋ + 1. */
export function maxPool2d(x: Value, { kernel, stride = kernel, padding = 0 }: PoolingOptions): Value {
  return apply(maxPoolOp, [x], { kernel, stride, padding });
}

/** Mean of each window, the zeros of the padding counted in (PyTorch's default). Shapes as in maxPool2d. */
export function averagePool2d(x: Value, { kernel, stride = kernel, padding = 0 }: PoolingOptions): Value {
  return apply(averagePoolOp, [x], { kernel, stride, padding });
}
