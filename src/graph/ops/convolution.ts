/**
 * Two-dimensional convolution and its two gradients. The three are one trilinear form Σ x·w·y read three ways, so
 * each one's gradients are the other two, and they share one oracle.
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { sizeOf } from "../shape.ts";
import { sum } from "./broadcast.ts";

interface Geometry extends Readonly<Record<string, unknown>> {
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
}

/** Length of an output axis. */
function outputLength(length: number, kernel: number, { stride, padding }: Geometry): number {
  return Math.floor((length + 2 * padding - kernel) / stride) + 1;
}

function inferOutput(x: TensorType, weight: TensorType, geometry: Geometry): TensorType {
  const [batch = 0, channels = 0, height = 0, width = 0] = x.shape;
  const [outChannels = 0, perGroup = 0, kernelHeight = 0, kernelWidth = 0] = weight.shape;
  const { groups } = geometry;
  if (x.shape.length !== 4 || weight.shape.length !== 4 || perGroup * groups !== channels) {
    throw new ShapeError(
      "conv2d",
      [x.shape, weight.shape],
      `x [N, C, H, W] and a weight [O, C/${groups}, kh, kw]`,
    );
  }
  if (outChannels % groups !== 0) {
    throw new ShapeError("conv2d", [x.shape, weight.shape], `output channels that ${groups} groups divide`);
  }
  const shape = [
    batch,
    outChannels,
    outputLength(height, kernelHeight, geometry),
    outputLength(width, kernelWidth, geometry),
  ];
  if (shape.some((length) => length < 1)) {
    throw new ShapeError("conv2d", [x.shape, weight.shape], "a kernel that fits into the padded input");
  }
  return { dtype: x.dtype, shape };
}

const convolutionOp: OpDefinition<Geometry> = {
  name: "convolution",
  infer: ([x, weight], geometry) => [inferOutput(x, weight, geometry)],
  evaluate: ([x, weight, ...bias], geometry, types) => {
    const shape = types[0]?.shape ?? [];
    const [, channels = 1, height = 1, width = 1] = shape;
    const y = new Float64Array(sizeOf(shape));
    const c = bias.at(0);
    if (c !== undefined) {
      for (let i = 0; i < y.length; i++) y[i] = c.data[Math.floor(i / (height * width)) % channels] ?? NaN;
    }
    forEachProduct(x.shape, weight.shape, shape, geometry, (ix, iw, iy) => {
      y[iy] = (y[iy] ?? 0) + (x.data[ix] ?? NaN) * (weight.data[iw] ?? NaN);
    });
    return [y];
  },
  onnx: ([, weight], { stride, padding, groups }) => ({
    type: "Conv",
    attributes: {
      kernel_shape: weight.shape.slice(2),
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      group: groups,
    },
  }),
};

/** Calls `visit` with the flat indices of every product x·w that is a term of an element of y. */
function forEachProduct(
  [batch = 1, channels = 1, height = 1, width = 1]: Shape,
  [, perGroup = 1, kernelHeight = 1, kernelWidth = 1]: Shape,
  [, outChannels = 1, outHeight = 1, outWidth = 1]: Shape,
  { stride, padding, groups }: Geometry,
  visit: (ix: number, iw: number, iy: number) => void,
): void {
  const outPerGroup = outChannels / groups;
  for (let iy = 0; iy < batch * outChannels * outHeight * outWidth; iy++) {
    const column = iy % outWidth;
    const row = Math.floor(iy / outWidth) % outHeight;
    const out = Math.floor(iy / (outWidth * outHeight)) % outChannels;
    const sample = Math.floor(iy / (outWidth * outHeight * outChannels));
    for (let iw = out * perGroup * kernelHeight * kernelWidth, c = 0; c < perGroup; c++) {
      const channel = Math.floor(out / outPerGroup) * perGroup + c;
      for (let i = 0; i < kernelHeight; i++) {
        for (let j = 0; j < kernelWidth; j++, iw++) {
          const h = row * stride - padding + i;
          const w = column * stride - padding + j;
          if (h < 0 || h >= height || w < 0 || w >= width) continue;
          visit(((sample * channels + channel) * height + h) * width + w, iw, iy);
        }
      }
    }
  }
}

export interface ConvolutionOptions {
  readonly stride?: number;
  /** Zeros on each side of both axes. */
  readonly padding?: number;
  readonly groups?: number;
  /** [O] */
  readonly bias?: Value;
}

/** x: [N, C, H, W], weight: [O, C/groups, kh, kw] (PyTorch's layout) → [N, O, H', W'], H' = ⌊(H + 2p − kh) / stride⌋ + 1. */
export function conv2d(
  x: Value,
  weight: Value,
  { stride = 1, padding = 0, groups = 1, bias }: ConvolutionOptions = {},
): Value {
  return apply(convolutionOp, bias === undefined ? [x, weight] : [x, weight, bias], {
    stride,
    padding,
    groups,
  });
}
