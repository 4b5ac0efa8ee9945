/**
 * The gradient of a convolution by its kernel: Σ over images and pixels of the gradient's pixel times the pixel that a
 * place of the kernel meets. On the CPU it is a convolution itself, over channels in blocks, where images are channels
 * and the gradients of an output channel one large kernel; elsewhere matrix products over shifted images.
 */
import type { OpDefinition, Value } from "../graph.ts";
import { apply, blockOf, constant } from "../graph.ts";
import { dimAt } from "../shape.ts";
import { blockedConvolution, canBlock, fromBlocked, inWholeBlocks, toBlocked } from "./blocked.ts";
import { reshape, sum } from "./broadcast.ts";
import type { ShapedGeometry } from "./convolution-geometry.ts";
import { mul } from "./elementwise.ts";
import { concat, pad, slice, transpose } from "./layout.ts";
import { matmul } from "./matmul.ts";
import { stridedWindow, pad2d } from "./strided-window.ts";

const weightGradientOp: OpDefinition<ShapedGeometry> = {
  name: "convolutionWeightGradient",
  infer: ([grad], { shape }) => [{ dtype: grad.dtype, shape }],
  lower: ([grad, x], geometry, target) => {
    const block = blockOf(target);
    const blocked = block === undefined ? undefined : blockedForm(grad, x, geometry, block);
    return [blocked ?? productForm(grad, x, geometry)];
  },
};

/** grad: [N, O, H', W'], x: [N, C, H, W] → [O, C/groups, kh, kw], the geometry's shape. */
export function weightGradient(grad: Value, x: Value, geometry: ShapedGeometry): Value {
  return apply(weightGradientOp, [grad, x], geometry);
}

/**
 * One product for each row of the kernel, with its columns side by side: images shifted sideways are copied once a
 * column, rows are cut from the copies whole. The other operand, the smaller one, is transposed beforehand: products are faster so.
 */
function productForm(grad: Value, x: Value, { stride, padding, groups, shape }: ShapedGeometry): Value {
  const [batch = 1, outChannels = 1, height = 1, width = 1] = grad.shape;
  const [, perGroup = 1, kernelHeight = 1, kernelWidth = 1] = shape;
  if (kernelHeight * kernelWidth * groups === 1 && padding === 0) {
    const met = stridedWindow(x, { row: 0, column: 0, strides: [stride, stride], height, width });
    const left = reshape(grad, [batch, outChannels, height * width]);
    const products = matmul(left, reshape(met, [batch, perGroup, height * width]), { transB: true });
    return reshape(sum(products, 0), shape);
  }
  const outPerGroup = outChannels / groups;
  const padded = pad2d(x, padding);
  const rows = dimAt(padded.shape, 2);
  const shifted = Array.from({ length: kernelWidth }, (_, column) => {
    const pixels = stridedWindow(padded, { row: 0, column, strides: [1, stride], height: rows, width });
    return reshape(pixels, [batch, groups, perGroup, rows, width]);
  });
  const images = reshape(concat(shifted, 2), [batch, groups * kernelWidth * perGroup, rows, width]);
  const right = reshape(
    transpose(reshape(grad, [batch, groups, outPerGroup, height, width]), [0, 1, 3, 4, 2]),
    [batch, groups, height * width, outPerGroup],
  );
  const byRows = Array.from({ length: kernelHeight }, (_, row) => {
    const met = stridedWindow(images, { row, column: 0, strides: [stride, 1], height, width });
    const left = reshape(met, [batch, groups, kernelWidth * perGroup, height * width]);
    return reshape(sum(matmul(left, right), 0), [groups, 1, kernelWidth, perGroup, outPerGroup]);
  });
  return reshape(transpose(concat(byRows, 1), [0, 4, 3, 1, 2]), shape);
}

/** Groups that may be computed as one to fill a block: each is then met by the others in vain. */
const MOST_MERGED = 2;

/**
 * A convolution with images as channels: x as C images of N channels, padded; the gradient as O kernels of N
 * channels, as large as an output image, whose places are `stride` apart. It fits in as many places as the weight has.
 * Groups that are not whole blocks are taken two at a time, and what belongs to one group is picked from the result.
 * Undefined where blocks would stay half empty.
 */
function blockedForm(
  grad: Value,
  x: Value,
  { stride, padding, groups, shape }: ShapedGeometry,
  block: number,
): Value | undefined {
  const [batch = 1, outChannels = 1, height = 1, width = 1] = grad.shape;
  const [, perGroup = 1, kernelHeight = 1, kernelWidth = 1] = shape;
  const outPerGroup = outChannels / groups;
  const merged = groups === 1 ? 1 : block / greatestDivisor(outPerGroup, block);
  if (kernelHeight * kernelWidth === 1 || grad.dtype !== "float32" || batch % block !== 0) return undefined;
  if (merged > MOST_MERGED || !canBlock(outPerGroup * merged)) return undefined;

  const units = Math.ceil(groups / merged); // convolutions side by side
  const channels = perGroup * merged; // of each
  const unit = [batch, units, channels, dimAt(x.shape, 2) * dimAt(x.shape, 3)];
  const byChannel = transpose(reshape(extended(x, 1, units * channels), unit), [2, 1, 0, 3]);
  const images = toBlocked(reshape(byChannel, [channels, units * batch, ...x.shape.slice(2)]), block);
  const window = [kernelHeight + stride * (height - 1), kernelWidth + stride * (width - 1)] as const;

  const outs = groups === 1 ? outChannels : units * merged * outPerGroup;
  const blockedGrad = toBlocked(extended(grad, 1, outs), block); // the gradient by x needs it, too
  const blocks = inWholeBlocks(outs, block) / block;
  const tiles = reshape(blockedGrad, [batch / block, block, blocks, height * width, block]);
  const kernels = reshape(transpose(tiles, [2, 0, 3, 1, 4]), [blocks * block, batch, height, width]);

  const y = blockedConvolution(
    [inWindow(images, { window, padding, block }), kernels],
    { stride: 1, padding: 0, groups: units, dilation: stride },
    block,
  );
  const products = fromBlocked(y, block, outs); // [channels, outs, kh, kw]
  const area = kernelHeight * kernelWidth;
  const own = ownProducts(reshape(products, [merged, perGroup, units, merged, outPerGroup * area]));
  const byOut = transpose(reshape(own, [perGroup, outs, area]), [1, 0, 2]);
  return reshape(outs === outChannels ? byOut : slice(byOut, { axis: 0, end: outChannels }), shape);
}

/** [m, C, U, m, E] → [C, U, m, E]: of merged groups' channels and kernels those of one group. */
function ownProducts(products: Value): Value {
  const [merged = 1] = products.shape;
  if (merged === 1) return reshape(products, products.shape.slice(1));
  const same = Float32Array.from({ length: merged ** 2 }, (_, i) => (i % (merged + 1) === 0 ? 1 : 0));
  return sum(mul(products, constant(same, [merged, 1, 1, merged, 1])), 0);
}

/** Blocked images [N, C, H, W] with margins of zeros, cut to the pixels that the kernel meets. */
function inWindow(
  x: Value,
  {
    window: [rows, columns],
    padding,
    block,
  }: { window: readonly [number, number]; padding: number; block: number },
): Value {
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  const flat = reshape(x, [(batch * channels) / block, height, width * block]);
  const high = extended(flat, 1, rows, padding);
  const wide = extended(high, 2, columns * block, padding * block);
  return reshape(wide, [batch, channels, rows, columns]);
}

/** An axis brought to a length by zeros on both sides, or cut at its end. */
function extended(x: Value, axis: number, length: number, before = 0): Value {
  const after = length - before - dimAt(x.shape, axis);
  const cut = after < 0 ? slice(x, { axis, end: length - before }) : x;
  return pad(cut, { axis, before, after: Math.max(0, after) });
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
