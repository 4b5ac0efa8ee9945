/** Convolution without bias, as convnets with batch normalisation have it; Kaiming-normal by fan-out (He et al. 2015). */
import type { Value } from "../graph/graph.ts";
import { conv2d } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { BatchNormOptions } from "./batch-norm.ts";
import { batchNorm } from "./batch-norm.ts";
import type { ForwardContext } from "./context.ts";
import type { Scope } from "./parameters.ts";

export interface ConvolutionOptions {
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** x: [N, C, H, W] → [N, outChannels, H', W'], padded so that stride 1 keeps the size. */
export function convolution(
  x: Value,
  scope: Scope,
  { outChannels, kernel, stride = 1, groups = 1 }: ConvolutionOptions,
): Value {
  const shape = [outChannels, dimAt(x.shape, 1) / groups, kernel, kernel];
  const std = Math.sqrt(2 / ((kernel * kernel * outChannels) / groups));
  const weight = scope.parameter("weight", shape, { kind: "normal", std });
  return conv2d(x, weight, { stride, padding: (kernel - 1) / 2, groups });
}

/** Convolution and batch normalisation as `conv` and `bn` of one scope. */
export function convNorm(
  x: Value,
  scope: Scope,
  options: ConvolutionOptions & BatchNormOptions,
  context: ForwardContext,
): Value {
  return batchNorm(convolution(x, scope.at("conv"), options), scope.at("bn"), options, context);
}
