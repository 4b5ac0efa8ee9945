/**
 * Two-dimensional convolution and its two gradients, in the forms that measured fastest. By x: a convolution with the
 * turned kernel for stride 1, else a transposed one; by the kernel: a matrix product over the shifted pictures that its
 * places meet. Without area (1 × 1) both are matrix products.
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { sizeOf } from "../shape.ts";
import { gatherData, reshape, sum } from "./broadcast.ts";
import { concat, pad, split, transpose } from "./layout.ts";
import { matmul } from "./matmul.ts";

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
  gradient: ({ inputs: [x, weight, ...bias], grad, attributes }) => [
    inputGradient(grad, weight, { ...attributes, shape: x.shape }),
    weightGradient(grad, x, { ...attributes, shape: weight.shape }),
    ...(bias[0] === undefined ? [] : [sum(grad, [0, 2, 3])]),
  ],
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

interface ShapedGeometry extends Geometry {
  /** Of the result. */
  readonly shape: Shape;
}

/** The gradient by x: [N, C, H, W], from that by y and the weight. */
const transposedConvolutionOp: OpDefinition<ShapedGeometry> = {
  name: "transposedConvolution",
  infer: ([grad], { shape }) => [{ dtype: grad.dtype, shape }],
  evaluate: ([grad, weight], { shape, ...geometry }) => {
    const result = new Float64Array(sizeOf(shape));
    forEachProduct(shape, weight.shape, grad.shape, geometry, (ix, iw, iy) => {
      result[ix] = (result[ix] ?? 0) + (grad.data[iy] ?? NaN) * (weight.data[iw] ?? NaN);
    });
    return [result];
  },
  onnx: ([grad, weight], { shape, stride, padding, groups }) => {
    // Rows and columns at the end that no place of the kernel met.
    const unmet = (axis: 2 | 3): number =>
      (shape[axis] ?? 0) - (((grad.shape[axis] ?? 0) - 1) * stride - 2 * padding + (weight.shape[axis] ?? 0));
    return {
      type: "ConvTranspose",
      attributes: {
        kernel_shape: weight.shape.slice(2),
        strides: [stride, stride],
        pads: [padding, padding, padding, padding],
        output_padding: [unmet(2), unmet(3)],
        group: groups,
      },
    };
  },
};

function inputGradient(grad: Value, weight: Value, geometry: ShapedGeometry): Value {
  const { stride, padding, groups, shape } = geometry;
  const [batch = 1, channels = 1, height = 1, width = 1] = shape;
  const [outChannels = 1, , kernel = 1, kernelWidth = 1] = weight.shape;
  if (stride > 1 || groups > 1 || kernel !== kernelWidth || 2 * padding !== kernel - 1)
    return transposedConvolution(grad, weight, geometry);
  if (kernel > 1) return conv2d(grad, turned(weight), { padding });
  const rows = reshape(grad, [batch, outChannels, height * width]);
  return reshape(matmul(reshape(weight, [outChannels, channels]), rows, { transA: true }), shape);
}

/** [O, C, k, k] → [C, O, k, k], each kernel turned by 180°. */
function turned(weight: Value): Value {
  const [outChannels = 1, channels = 1, kernel = 1] = weight.shape;
  const places = kernel * kernel;
  const flat = reshape(transpose(weight, [1, 0, 2, 3]), [channels, outChannels, places]);
  const columns = split(
    flat,
    Array.from({ length: places }, () => 1),
    2,
  );
  const reversed = concat(columns.toReversed(), 2);
  return reshape(reversed, [channels, outChannels, kernel, kernel]);
}

type KernelPlace = {
  readonly row: number;
  readonly column: number;
  readonly stride: number;
  readonly height: number;
  readonly width: number;
};

/** The pixels of a padded picture that one place of the kernel meets: [N, C, height, width]. */
const metPixelsOp: OpDefinition<KernelPlace> = {
  name: "metPixels",
  infer: ([x], { height, width }) => [{ dtype: x.dtype, shape: [...x.shape.slice(0, 2), height, width] }],
  evaluate: ([x], { row, column, stride, height, width }) => {
    const [batch = 1, channels = 1, rows = 1, columns = 1] = x.shape;
    const strides = [channels * rows * columns, rows * columns, stride * columns, stride];
    return [gatherData(x.data, [batch, channels, height, width], strides, row * columns + column)];
  },
  onnx: ([x], { row, column, stride, height, width }, writer) => ({
    type: "Slice",
    inputs: [
      writer.name(x),
      writer.int64([row, column]),
      writer.int64([row + (height - 1) * stride + 1, column + (width - 1) * stride + 1]),
      writer.int64([2, 3]),
      writer.int64([stride, stride]),
    ],
  }),
};

/** `margin` elements of one value on each side of both axes of pictures. */
export function pad2d(x: Value, margin: number, value = 0): Value {
  const options = { before: margin, after: margin, value };
  return pad(pad(x, { axis: 2, ...options }), { axis: 3, ...options });
}

/** For each place of a kernel, row by row, the pixels of the padded pictures that it meets: [N, C, height, width]. */
export function metPixels(
  padded: Value,
  {
    kernelHeight,
    kernelWidth,
    ...place
  }: Omit<KernelPlace, "row" | "column"> & { readonly kernelHeight: number; readonly kernelWidth: number },
): Value[] {
  if (kernelHeight * kernelWidth * place.stride === 1) return [padded];
  return Array.from({ length: kernelHeight * kernelWidth }, (_, i) => {
    const [row, column] = [Math.floor(i / kernelWidth), i % kernelWidth];
    return apply(metPixelsOp, [padded], { ...place, row, column });
  });
}

/** The gradient by the input of a convolution [N, C, H, W] → [N, O, H', W'] with this weight; `shape` is the input's. */
export function transposedConvolution(grad: Value, weight: Value, geometry: ShapedGeometry): Value {
  return apply(transposedConvolutionOp, [grad, weight], geometry);
}

function weightGradient(grad: Value, x: Value, { stride, padding, groups, shape }: ShapedGeometry): Value {
  const [batch = 1, outChannels = 1, height = 1, width = 1] = grad.shape;
  const [, perGroup = 1, kernelHeight = 1, kernelWidth = 1] = shape;
  const met = metPixels(pad2d(x, padding), { kernelHeight, kernelWidth, stride, height, width }).map(
    (pixels) => reshape(pixels, [batch, groups, perGroup, 1, height * width]),
  );
  const columns = reshape(concat(met, 3), [batch, groups, perGroup * met.length, height * width]);
  const rows = reshape(grad, [batch, groups, outChannels / groups, height * width]);
  return reshape(sum(matmul(rows, columns, { transB: true }), 0), shape);
}

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
