/** What a model is to the rest of the system: something that can be traced, with its parameters by name. */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { sizeOf } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import type { ParameterSpec, Scope } from "../nn/parameters.ts";
import type { Heads } from "./heads.ts";
import type { VisionTransformerConfig } from "./vision-transformer.ts";

/** What every model has, transformer or convnet. */
export interface ModelConfig {
  /** [height, width] in pixels. */
  readonly inputSize: readonly [number, number];
  readonly numClasses: number;
  /** With a distillation token and its own head. */
  readonly distilled: boolean;
}

/** How images are prepared for a model's published weights, where that is not as for DeiT's. */
export interface ModelPreprocessing {
  /** Of pixels scaled to [0, 1], a channel each. */
  readonly mean?: readonly [number, number, number] | undefined;
  readonly std?: readonly [number, number, number] | undefined;
  /** Side of the input by that of the resized image. */
  readonly cropRatio?: number | undefined;
}

/** A model that can be traced: what training, evaluation and export need of it. */
export interface Model {
  readonly name: string;
  readonly config: ModelConfig;
  /** The whole configuration of a vision transformer; undefined for convnets. */
  readonly transformer?: VisionTransformerConfig;
  /** images: [B, 3, H, W], normalised → logits of each head. */
  forward(images: Value, scope: Scope, context: ForwardContext): Heads;
  /** Every parameter and buffer with its shape and starting values, in the reference's order. */
  readonly parameters: readonly ParameterSpec[];
  /** Multiply-accumulates of one forward pass of the paper's model. */
  readonly macs: number;
  /** Parameters that weight decay leaves alone, besides vectors and biases. */
  readonly noWeightDecay: readonly string[];
  readonly preprocessing?: ModelPreprocessing | undefined;
  /** Side in pixels that its weights are measured and fine-tuned at, where that is not the size of their positions. */
  readonly usualSize?: number | undefined;
  /** The weight whose rows are the classes. */
  readonly classWeight: string;
  /** Stochastic depth's rate of every residual branch. */
  dropPathRates(dropPath: number): readonly number[];
}

/** What a run may change of a registered model. */
export interface ModelOptions {
  readonly numClasses?: number | undefined;
  /** [height, width]; a number is a square. */
  readonly inputSize?: number | readonly [number, number] | undefined;
}

/** Models of one kind, by name. */
export interface ModelFamily {
  readonly names: readonly string[];
  create(name: string, options: ModelOptions): Model;
}

/** Number of parameters; buffers are none. */
export function countParameters({ parameters }: Pick<Model, "parameters">): number {
  return parameters.reduce((total, { shape, buffer }) => total + (buffer ? 0 : sizeOf(shape)), 0);
}

/** [height, width] of an option, or of the model itself. */
export function inputSizeOf(
  { inputSize }: ModelOptions,
  own: number,
): readonly [height: number, width: number] {
  const size = inputSize ?? own;
  return typeof size === "number" ? [size, size] : size;
}

/** @throws ConfigError for a number of classes that no classifier has */
export function checkNumClasses({ numClasses }: ModelConfig): void {
  if (!Number.isInteger(numClasses) || numClasses < 1)
    throw new ConfigError("numClasses", `a model needs at least one class, not ${numClasses}`, {
      code: "model/configuration",
    });
}
