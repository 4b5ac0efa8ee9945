/** How a convolution's places meet its images: shared by the forms of convolution and of its gradients. */
import { ShapeError } from "../../errors.ts";
import type { Tensor64, TensorType } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { sizeOf } from "../shape.ts";

export interface Geometry extends Readonly<Record<string, unknown>> {
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
  /** Distance of the kernel's places; 1 unless given. */
  readonly dilation?: number;
}

export interface ShapedGeometry extends Geometry {
  /** Of the result. */
  readonly shape: Shape;
}

/** Length of an output axis. */
function outputLength(length: number, kernel: number, { stride, padding, dilation = 1 }: Geometry): number {
  return Math.floor((length + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** Type of x [N, C, H, W] convolved with weight [O, C/groups, kh, kw]. @throws ShapeError */
export function convolvedType(x: TensorType, weight: TensorType, geometry: Geometry): TensorType {
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

/** Calls `visit` with the flat indices of every product x·w that is a term of an element of y. */
export function forEachProduct(
  [batch = 1, channels = 1, height = 1, width = 1]: Shape,
  [, perGroup = 1, kernelHeight = 1, kernelWidth = 1]: Shape,
  [, outChannels = 1, outHeight = 1, outWidth = 1]: Shape,
  { stride, padding, groups, dilation = 1 }: Geometry,
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
          const h = row * stride - padding + i * dilation;
          const w = column * stride - padding + j * dilation;
          if (h < 0 || h >= height || w < 0 || w >= width) continue;
          visit(((sample * channels + channel) * height + h) * width + w, iw, iy);
        }
      }
    }
  }
}

/** Images of a shape, filled with each channel's bias (0 without). */
export function biasData(bias: Tensor64 | undefined, shape: Shape): Float64Array {
  const [, channels = 1, height = 1, width = 1] = shape;
  const y = new Float64Array(sizeOf(shape));
  if (bias === undefined) return y;
  return y.map((_, i) => bias.data[Math.floor(i / (height * width)) % channels] ?? Number.NaN);
}
