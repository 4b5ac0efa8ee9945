/**
 * Two-dimensional convolution and its gradient by x, in the forms that measured fastest: a convolution with the turned
 * kernel for stride 1, else a transposed one; a matrix product where the kernel has no area (1 × 1). The CPU computes
 * convolutions over channels in blocks where it can (blocked.ts). The gradient by the kernel stands in weight-gradient.ts.
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Operands, Value } from "../graph.ts";
import { apply, blockOf, constant, isInput, operands, topologicalOrder } from "../graph.ts";
import { dimAt, sameShape, sizeOf } from "../shape.ts";
import { blockedConvolution, blockedFilter, fromBlocked, toBlocked, turnedFilter } from "./blocked.ts";
import { reshape, sum } from "./broadcast.ts";
import type { Geometry, ShapedGeometry } from "./convolution-geometry.ts";
import { biasData, convolvedType, forEachProduct } from "./convolution-geometry.ts";
import { add, mul } from "./elementwise.ts";
import { gather } from "./gather.ts";
import { transpose } from "./layout.ts";
import { matmul } from "./matmul.ts";
import { weightGradient } from "./weight-gradient.ts";

const convolutionOp: OpDefinition<Geometry> = {
  name: "convolution",
  infer: ([x, weight, ...bias], geometry) => {
    const y = convolvedType(x, weight, geometry);
    const outChannels = dimAt(y.shape, 1);
    const c = bias.at(0);
    if (c !== undefined && !sameShape(c.shape, [outChannels])) {
      throw new ShapeError("conv2d", [x.shape, weight.shape, c.shape], `a bias of [${outChannels}]`);
    }
    return [y];
  },
  terms: ([, weight]) => sizeOf(weight.shape.slice(1)),
  evaluate: ([x, weight, ...bias], geometry, types) => {
    const shape = types[0]?.shape ?? [];
    const y = biasData(bias.at(0), shape);
    forEachProduct(x.shape, weight.shape, shape, geometry, (ix, iw, iy) => {
      y[iy] = (y[iy] ?? 0) + (x.data[ix] ?? NaN) * (weight.data[iw] ?? NaN);
    });
    return [y];
  },
  gradient: ({ inputs: [x, weight, ...bias], grad, attributes }) => {
    // A factor of each channel is one of each kernel, which is smaller.
    const { images, factor } = withoutChannelFactor(grad);
    const scaled = factor === undefined ? weight : mul(weight, factor);
    const byWeight = weightGradient(images, x, { ...attributes, shape: weight.shape });
    return [
      inputGradient(images, scaled, { ...attributes, shape: x.shape }),
      factor === undefined ? byWeight : mul(byWeight, factor),
      ...(bias[0] === undefined ? [] : [sum(sum(grad, [2, 3]), 0)]),
    ];
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
  lower: ([x, weight, ...bias], geometry, target) => {
    const block = blockOf(target);
    const [outChannels = 1, perGroup = 1] = weight.shape;
    const sides = { from: perGroup, to: outChannels / geometry.groups };
    if (block === undefined || !gainsFromBlocks(x, weight, { ...sides, geometry, block })) return undefined;
    return [inBlocks(operands([x, blockedFilter(weight, block), ...bias]), geometry, block)];
  },
};

/** Images [N, C, H, W] that are others times a factor of each channel: those, and the factor as [C, 1, 1, 1]. */
function withoutChannelFactor(x: Value): { images: Value; factor?: Value } {
  const { op, inputs } = x.node;
  const [images, factor] = operands(inputs);
  if (op.name !== "mul" || !sameShape(images.shape, x.shape)) return { images: x };
  if (!sameShape(factor.shape, [dimAt(x.shape, 1), 1, 1])) return { images: x };
  return { images, factor: reshape(factor, [-1, 1, 1, 1]) };
}

/**
 * Whether the kernel has area, groups are whole blocks (of few channels, pixels, there may be less than one), and weights
 * are trained: with constant ones ONNX Runtime brings convolutions into blocks itself, with their neighbours.
 */
function gainsFromBlocks(
  x: Value,
  weight: Value,
  { from, to, geometry: { groups }, block }: { from: number; to: number; geometry: Geometry; block: number },
): boolean {
  const [, , height = 1, width = 1] = weight.shape;
  if (x.dtype !== "float32" || height * width === 1 || to % block !== 0) return false;
  return (from % block === 0 || (groups === 1 && from < block)) && !isFixed([weight]);
}

/** A convolution over channels in blocks, of plain images to plain images. */
function inBlocks([x, ...rest]: Operands<Value>, geometry: Geometry, block: number): Value {
  const isThin = dimAt(x.shape, 1) < block;
  return fromBlocked(blockedConvolution([isThin ? x : toBlocked(x, block), ...rest], geometry, block), block);
}

/** Whether values are the same in every run. */
export function isFixed(values: readonly Value[]): boolean {
  return !topologicalOrder(values).some(isInput);
}

/** The gradient by x: [N, C, H, W], from that by y and the weight. */
const transposedConvolutionOp: OpDefinition<ShapedGeometry> = {
  name: "transposedConvolution",
  infer: ([grad], { shape }) => [{ dtype: grad.dtype, shape }],
  terms: ([, weight], { groups }) => sizeOf(weight.shape) / dimAt(weight.shape, 1) / groups,
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

const inputGradientOp: OpDefinition<ShapedGeometry> = {
  name: "convolutionInputGradient",
  infer: ([grad], { shape }) => [{ dtype: grad.dtype, shape }],
  lower: ([grad, weight], geometry, target) => {
    const block = blockOf(target);
    const { padding, groups } = geometry;
    const [outChannels = 1, perGroup = 1, kernel = 1] = weight.shape;
    const sides = { from: outChannels / groups, to: perGroup };
    if (block === undefined || !isTurnable(weight, geometry))
      return [plainInputGradient(grad, weight, geometry)];
    if (!gainsFromBlocks(grad, weight, { ...sides, geometry, block }))
      return [plainInputGradient(grad, weight, geometry)];
    const around = { stride: 1, padding: kernel - 1 - padding, groups };
    return [inBlocks(operands([grad, turnedFilter(weight, groups, block)]), around, block)];
  },
};

/** grad: [N, O, H', W'], weight: [O, C/groups, kh, kw] → [N, C, H, W], the geometry's shape. */
function inputGradient(grad: Value, weight: Value, geometry: ShapedGeometry): Value {
  return apply(inputGradientOp, [grad, weight], geometry);
}

/** Whether the gradient by x is a convolution with the turned kernel. */
function isTurnable({ shape: [, , kernel = 1, width = 1] }: Value, { stride, padding }: Geometry): boolean {
  return stride === 1 && kernel === width && padding < kernel;
}

function plainInputGradient(grad: Value, weight: Value, geometry: ShapedGeometry): Value {
  const { padding, groups, shape } = geometry;
  const [batch = 1, channels = 1, height = 1, width = 1] = shape;
  const [outChannels = 1, , kernel = 1] = weight.shape;
  if (!isTurnable(weight, geometry)) return transposedConvolution(grad, weight, geometry);
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

/** The gradient by the input of a convolution [N, C, H, W] → [N, O, H', W'] with this weight; `shape` is the input's. */
export function transposedConvolution(grad: Value, weight: Value, geometry: ShapedGeometry): Value {
  return apply(transposedConvolutionOp, [grad, weight], geometry);
}

/** x·scale + shift ([O] both), written into the convolution that makes x; undefined when x is none. */
export function scaledConvolution(x: Value, scale: Value, shift: Value): Value | undefined {
  const { op, inputs, attributes } = x.node;
  if (op.name !== convolutionOp.name) return undefined;
  const [image, weight, ...rest] = operands(inputs);
  const bias = rest.at(0);
  const scaled = mul(weight, reshape(scale, [-1, 1, 1, 1]));
  const shifted = bias === undefined ? shift : add(mul(bias, scale), shift);
  return conv2d(image, scaled, { ...attributes, bias: shifted });
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
