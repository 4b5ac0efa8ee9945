/** What convnets share: tracing once for their parameters and multiply-accumulates. */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { constantData, input, topologicalOrder } from "../graph/graph.ts";
import { reshape } from "../graph/ops.ts";
import { sizeOf } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import { evaluationContext } from "../nn/context.ts";
import type { Scope } from "../nn/parameters.ts";
import { collectParameters } from "../nn/parameters.ts";
import type { Model, ModelConfig } from "./model.ts";
import { checkNumClasses } from "./model.ts";

export interface ConvnetOptions {
  readonly config: ModelConfig;
  readonly classWeight: string;
  /** Residual blocks, each with a branch that stochastic depth may drop. */
  readonly blocks: number;
  /** images: [B, 3, H, W], normalised → logits [B, K]. */
  logits(images: Value, scope: Scope, context: ForwardContext): Value;
}

export function convnet(name: string, { config, classWeight, blocks, logits }: ConvnetOptions): Model {
  checkNumClasses(config);
  const { inputSize } = config;
  if (inputSize.some((side) => !Number.isInteger(side) || side < 1))
    throw new ConfigError("inputSize", `images of ${inputSize.join("×")} pixels have nothing to see`, {
      code: "model/input-size",
      hint: "Use a whole number of pixels, for example --input-size 32.",
    });
  const images = input("images", "float32", [1, 3, ...inputSize]);
  const traced: Value[] = [];
  const parameters = collectParameters((scope) => traced.push(logits(images, scope, evaluationContext())));
  return {
    name,
    config,
    forward: (images, scope, context) => ({ class: logits(images, scope, context) }),
    parameters,
    macs: countMacs(traced),
    noWeightDecay: [],
    classWeight,
    dropPathRates: (dropPath) =>
      Array.from({ length: blocks }, (_, i) => (blocks === 1 ? 0 : (dropPath * i) / (blocks - 1))),
  };
}

/** Keeps what the head reads, [B, C], as a transformer keeps its tokens. */
export function recordFeatures(features: Value, context: ForwardContext): void {
  context.record("tokens", reshape(features, [1, ...features.shape]));
}

/** Of convolutions and matrix products, as timm counts them; constant kernels only move pixels. */
function countMacs(outputs: readonly Value[]): number {
  let total = 0;
  for (const { op, inputs, outputs: made } of topologicalOrder(outputs)) {
    const size = sizeOf(made[0]?.shape ?? []);
    if (op.name === "convolution" && inputs[1] && constantData(inputs[1]) === undefined)
      total += size * sizeOf((inputs[1]?.shape ?? []).slice(1));
    if (op.name === "gemm") total += size * (inputs[0]?.shape.at(-1) ?? 0);
  }
  return total;
}
