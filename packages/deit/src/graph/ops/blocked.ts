/**
 * Convolution over channels in blocks: ONNX Runtime's own operations for its CPU (domain com.microsoft.nchwc), into which
 * it turns convolutions with constant weights. Nothing hinders a program from using them with weights that are trained: they
 * need no copy of every place's pixels, and run at the speed of large matrix products where im2col and a product reach half.
 *
 * Blocked images keep the shape [N, C, H, W], C a multiple of the block, and lie in memory as [N, C/block, H, W, block].
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Tensor64, Value } from "../graph.ts";
import { apply, at, constant } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { gatherData, reshape } from "./broadcast.ts";
import type { Geometry } from "./convolution-geometry.ts";
import { biasData, convolvedType, forEachProduct } from "./convolution-geometry.ts";
import { gather } from "./gather.ts";
import { transpose } from "./layout.ts";

/** Operations that ONNX Runtime keeps for itself; the runtime tries them before it says that it has them. */
export const BLOCKED_DOMAIN = "com.microsoft.nchwc";

/** What its operations that change the layout ask of channels. */
const MULTIPLE = 4;

interface Blocked extends Readonly<Record<string, unknown>> {
  readonly block: number;
}

/** Channels of blocked images: zeros fill the last block. */
export function inWholeBlocks(channels: number, block: number): number {
  return Math.ceil(channels / block) * block;
}

/** Whether images of so many channels can be brought into blocks. */
export function canBlock(channels: number): boolean {
  return channels % MULTIPLE === 0;
}

const toBlockedOp: OpDefinition<Blocked> = {
  name: "toBlocked",
  infer: ([x], { block }) => [
    { dtype: x.dtype, shape: x.shape.with(1, inWholeBlocks(dimAt(x.shape, 1), block)) },
  ],
  evaluate: ([x], { block }, types) => {
    const { shape } = at(types, 0);
    return [blockedData(withChannels(x, shape), shape, block)];
  },
  onnx: () => ({ type: "ReorderInput", domain: BLOCKED_DOMAIN }),
};

/** Images [N, C, H, W], C a multiple of 4, in blocks. */
export function toBlocked(x: Value, block: number): Value {
  if (!canBlock(dimAt(x.shape, 1)))
    throw new ShapeError("toBlocked", [x.shape], `channels that ${MULTIPLE} divides`);
  return apply(toBlockedOp, [x], { block });
}

const fromBlockedOp: OpDefinition<Blocked & { channels: number }> = {
  name: "fromBlocked",
  infer: ([x], { channels }) => [{ dtype: x.dtype, shape: x.shape.with(1, channels) }],
  evaluate: ([x], { block, channels }) => {
    const [batch = 1, all = 1, height = 1, width = 1] = x.shape;
    const plain = unblockedData(x, block);
    const image = all * height * width;
    const kept = channels * height * width;
    const result = new Float64Array(batch * kept);
    for (let i = 0; i < batch; i++) result.set(plain.subarray(i * image, i * image + kept), i * kept);
    return [result];
  },
  onnx: (_, { channels }) => ({ type: "ReorderOutput", domain: BLOCKED_DOMAIN, attributes: { channels } }),
};

/** Blocked images as they are elsewhere, with their first `channels`. */
export function fromBlocked(x: Value, block: number, channels = dimAt(x.shape, 1)): Value {
  return apply(fromBlockedOp, [x], { block, channels });
}

const blockedConvolutionOp: OpDefinition<Geometry & Blocked> = {
  name: "blockedConvolution",
  infer: ([x, filter], geometry) => [convolvedType(x, filter, geometry)],
  evaluate: ([x, filter, ...bias], { block, ...geometry }, types) => {
    const { shape } = at(types, 0);
    const images = innerBlock(dimAt(filter.shape, 1), block) === 1 ? x.data : unblockedData(x, block);
    const weight = unblockedFilter(filter, block);
    const y = biasData(bias.at(0), shape);
    forEachProduct(x.shape, filter.shape, shape, geometry, (ix, iw, iy) => {
      y[iy] = (y[iy] ?? 0) + (images[ix] ?? NaN) * (weight[iw] ?? NaN);
    });
    return [blockedData(y, shape, block)];
  },
  onnx: ([, filter], { stride, padding, groups, dilation = 1 }) => ({
    type: "Conv",
    domain: BLOCKED_DOMAIN,
    attributes: {
      kernel_shape: filter.shape.slice(2),
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      dilations: [dilation, dilation],
      group: groups,
    },
  }),
};

/**
 * Operands: blocked images, or, of fewer channels than a block has, plain ones; a filter [O, C/groups, kh, kw] as
 * `blockedFilter` lays it, O/groups and C/groups multiples of the block; perhaps a bias [O]. Result: blocked.
 */
export function blockedConvolution(values: readonly Value[], geometry: Geometry, block: number): Value {
  return apply(blockedConvolutionOp, values, { ...geometry, block });
}

/**
 * A weight [O, C, kh, kw] as blockedConvolution wants it: in memory [O/b, C/b, kh, kw, b, b], or [O/b, C, kh, kw, b] for
 * C < b. O, and C where it is no less, are multiples of the block. As if it were an image of O channels first: that
 * turns single numbers fast, and leaves whole blocks to be moved.
 */
export function blockedFilter(weight: Value, block: number): Value {
  const [outs = 1, ins = 1, height = 1, width = 1] = weight.shape;
  const [inner, area] = [innerBlock(ins, block), height * width];
  const blocks = toBlocked(reshape(weight, [1, outs, ins * area, 1]), block); // [O/b, C·kh·kw, b]
  const tiles = reshape(blocks, [(outs * ins) / (block * inner), inner, area, block]);
  return reshape(transpose(tiles, [0, 2, 1, 3]), weight.shape);
}

/** The filter that brings gradients by the outputs back to the inputs: channels swapped within groups, kernels turned by 180°. */
export function turnedFilter(weight: Value, groups: number, block: number): Value {
  const [outChannels = 1, perGroup = 1, height = 1, width = 1] = weight.shape;
  const [outs, ins] = [groups * perGroup, outChannels / groups];
  const [inner, area] = [innerBlock(ins, block), height * width];
  const swapped = transpose(reshape(weight, [groups, ins, perGroup, area]), [0, 2, 1, 3]);
  const blocks = toBlocked(reshape(swapped, [1, outs, ins * area, 1]), block);
  const tiles = reshape(blocks, [(outs * ins) / (block * inner), inner * area, block]);
  const backwards = Int32Array.from({ length: inner * area }, (_, i) => {
    const [place, channel] = [Math.floor(i / inner), i % inner];
    return channel * area + area - 1 - place;
  });
  return reshape(gather(tiles, constant(backwards, [inner * area], "int32"), 1), [outs, ins, height, width]);
}

/** Channels in a block of a convolution's images: of fewer than a block, each lies for itself. */
function innerBlock(channels: number, block: number): number {
  return channels < block ? 1 : block;
}

// For the oracle.

function blockedData(data: Float64Array, shape: Shape, block: number): Float64Array {
  const [batch = 1, channels = 1, height = 1, width = 1] = shape;
  const area = height * width;
  const steps = [channels * area, block * area, width, 1, area];
  return gatherData(data, [batch, channels / block, height, width, block], steps);
}

function unblockedData({ data, shape }: Tensor64, block: number): Float64Array {
  const [batch = 1, channels = 1, height = 1, width = 1] = shape;
  const area = height * width;
  const steps = [channels * area, block * area, 1, width * block, block];
  return gatherData(data, [batch, channels / block, block, height, width], steps);
}

function unblockedFilter({ data, shape }: Tensor64, block: number): Float64Array {
  const [outs = 1, ins = 1, height = 1, width = 1] = shape;
  const inner = innerBlock(ins, block);
  const tile = inner * block;
  const steps = [ins * height * width * block, 1, height * width * tile, block, width * tile, tile];
  return gatherData(data, [outs / block, block, ins / inner, inner, height, width], steps);
}

/** The same images with zeros for channels that are not there. */
function withChannels({ data, shape }: Tensor64, wanted: Shape): Float64Array {
  const [batch = 1, channels = 1, height = 1, width = 1] = shape;
  const result = new Float64Array(sizeOf(wanted));
  const [from, to] = [channels * height * width, dimAt(wanted, 1) * height * width];
  for (let i = 0; i < batch; i++) result.set(data.subarray(i * from, (i + 1) * from), i * to);
  return result;
}
