/**
 * Two-dimensional convolution and its two gradients, in the forms that measured fastest. By x: a convolution with the
 * turned kernel for stride 1, else a transposed one; by the kernel: matrix products over the shifted pictures that its
 * places meet. Without area (1 × 1) both are matrix products.
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { apply, constant, isInput, operands, topologicalOrder } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { dimAt, sameShape, sizeOf } from "../shape.ts";
import { gatherData, reshape, sum } from "./broadcast.ts";
import { add, mul } from "./elementwise.ts";
import { gather } from "./gather.ts";
import { concat, pad, transpose } from "./layout.ts";
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
  infer: ([x, weight, ...bias], geometry) => {
    const y = inferOutput(x, weight, geometry);
    const outChannels = dimAt(y.shape, 1);
    const c = bias.at(0);
    if (c !== undefined && !sameShape(c.shape, [outChannels])) {
      throw new ShapeError("conv2d", [x.shape, weight.shape, c.shape], `a bias of [${outChannels}]`);
    }
    return [y];
  },
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
    ...(bias[0] === undefined ? [] : [sum(sum(grad, [2, 3]), 0)]),
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
  if (stride > 1 || kernel !== kernelWidth || padding >= kernel)
    return transposedConvolution(grad, weight, geometry);
  if (kernel > 1 || groups > 1 || padding > 0)
    return conv2d(grad, turned(weight, groups), { padding: kernel - 1 - padding, groups });
  const rows = reshape(grad, [batch, outChannels, height * width]);
  return reshape(matmul(reshape(weight, [outChannels, channels]), rows, { transA: true }), shape);
}

/** [O, C/groups, k, k] → [C, O/groups, k, k], each kernel turned by 180°. */
function turned(weight: Value, groups: number): Value {
  const [outChannels = 1, perGroup = 1, kernel = 1] = weight.shape;
  const places = kernel * kernel;
  const backwards = Int32Array.from({ length: places }, (_, i) => places - 1 - i);
  const flat = reshape(weight, [groups, outChannels / groups, perGroup, places]);
  const reversed = gather(flat, constant(backwards, [places], "int32"), 3);
  return reshape(transpose(reversed, [0, 2, 1, 3]), [
    groups * perGroup,
    outChannels / groups,
    kernel,
    kernel,
  ]);
}

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

/** The gradient by the input of a convolution [N, C, H, W] → [N, O, H', W'] with this weight; `shape` is the input's. */
export function transposedConvolution(grad: Value, weight: Value, geometry: ShapedGeometry): Value {
  return apply(transposedConvolutionOp, [grad, weight], geometry);
}

/**
 * One product for each row of the kernel, with its columns side by side: pictures shifted sideways are copied once a
 * column, rows are cut from the copies whole. The other operand, the smaller one, is transposed beforehand: products are faster so.
 */
function weightGradient(grad: Value, x: Value, { stride, padding, groups, shape }: ShapedGeometry): Value {
  const [batch = 1, outChannels = 1, height = 1, width = 1] = grad.shape;
  const [, perGroup = 1, kernelHeight = 1, kernelWidth = 1] = shape;
  if (kernelHeight * kernelWidth * groups === 1 && padding === 0) {
    const met = metPixels(x, { row: 0, column: 0, strides: [stride, stride], height, width });
    const left = reshape(grad, [batch, outChannels, height * width]);
    const products = matmul(left, reshape(met, [batch, perGroup, height * width]), { transB: true });
    return reshape(sum(products, 0), shape);
  }
  const outPerGroup = outChannels / groups;
  const padded = pad2d(x, padding);
  const rows = dimAt(padded.shape, 2);
  const shifted = Array.from({ length: kernelWidth }, (_, column) => {
    const pixels = metPixels(padded, { row: 0, column, strides: [1, stride], height: rows, width });
    return reshape(pixels, [batch, groups, perGroup, rows, width]);
  });
  const pictures = reshape(concat(shifted, 2), [batch, groups * kernelWidth * perGroup, rows, width]);
  const right = reshape(
    transpose(reshape(grad, [batch, groups, outPerGroup, height, width]), [0, 1, 3, 4, 2]),
    [batch, groups, height * width, outPerGroup],
  );
  const byRows = Array.from({ length: kernelHeight }, (_, row) => {
    const met = metPixels(pictures, { row, column: 0, strides: [stride, 1], height, width });
    const left = reshape(met, [batch, groups, kernelWidth * perGroup, height * width]);
    return reshape(sum(matmul(left, right), 0), [groups, 1, kernelWidth, perGroup, outPerGroup]);
  });
  return reshape(transpose(concat(byRows, 1), [0, 4, 3, 1, 2]), shape);
}

/**
 * x·scale + shift, written into the convolution that makes x: undefined when x is none, or when its weight, scale or
 * shift ([O] both) depend on an input of the program. Then they fold into constants.
 */
export function scaledConvolution(x: Value, scale: Value, shift: Value): Value | undefined {
  const { op, inputs, attributes } = x.node;
  if (op.name !== convolutionOp.name) return undefined;
  const [image, weight, ...rest] = operands(inputs);
  const bias = rest.at(0);
  if (topologicalOrder([weight, scale, shift, ...rest]).some(isInput)) return undefined;
  const scaled = mul(weight, reshape(scale, [-1, 1, 1, 1]));
  const shifted = bias === undefined ? shift : add(mul(bias, scale), shift);
  return conv2d(image, scaled, { ...attributes, bias: shifted });
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
