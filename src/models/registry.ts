/** The models by name: Table 1's DeiT-Ti, S, B and their distilled forms, and small ones for 32-pixel pictures. */
import { ConfigError } from "../errors.ts";
import { didYouMean } from "../config/names.ts";
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { sizeOf } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import { evaluationContext } from "../nn/context.ts";
import type { ParameterSpec, Scope } from "../nn/parameters.ts";
import { collectParameters } from "../nn/parameters.ts";
import type { Heads } from "./heads.ts";
import type { VisionTransformerConfig } from "./vision-transformer.ts";
import { dropPathRates, macs, visionTransformer } from "./vision-transformer.ts";

/** A model that can be traced: what training, evaluation and export need of it. */
export interface Model {
  readonly name: string;
  readonly config: VisionTransformerConfig;
  /** images: [B, 3, H, W], normalised → logits of each head. */
  forward(images: Value, scope: Scope, context: ForwardContext): Heads;
  /** Every parameter with its shape and starting values, in the reference's order. */
  readonly parameters: readonly ParameterSpec[];
  /** Multiply-accumulates of one forward pass of the paper's model. */
  readonly macs: number;
  /** Parameters that weight decay leaves alone, besides vectors and biases. */
  readonly noWeightDecay: readonly string[];
  /** Stochastic depth's rate of every residual branch. */
  dropPathRates(dropPath: number): readonly number[];
}

/** What distinguishes a registered model; the rest is shared by all DeiTs. */
type Preset = Pick<VisionTransformerConfig, "embedDim" | "numHeads" | "depth" | "patchSize"> & {
  readonly size: number;
  readonly classes: number;
};

const TABLE_1 = {
  tiny: { embedDim: 192, numHeads: 3 },
  small: { embedDim: 384, numHeads: 6 },
  base: { embedDim: 768, numHeads: 12 },
} as const;

const PRESETS: Readonly<Record<string, Preset>> = Object.fromEntries([
  ...Object.entries(TABLE_1).flatMap(([variant, dims]) =>
    [224, 384].map((size) => [
      `deit_${variant}*_patch16_${size}`,
      { ...dims, depth: 12, patchSize: 16, size, classes: 1000 },
    ]),
  ),
  // For 32-pixel pictures on a CPU: width and depth in the name, heads of 32.
  ...[
    [64, 4],
    [96, 6],
    [128, 6],
    [192, 6],
  ].map(([embedDim = 0, depth = 0]) => [
    `deit_w${embedDim}d${depth}*_patch4_32`,
    { embedDim, depth, numHeads: embedDim / 32, patchSize: 4, size: 32, classes: 10 },
  ]),
]);

const NAMES: readonly string[] = Object.keys(PRESETS).flatMap((pattern) => [
  pattern.replace("*", ""),
  pattern.replace("*", "_distilled"),
]);

/** What a run may change of a registered model. */
export interface ModelOptions {
  readonly numClasses?: number | undefined;
  /** [height, width]; a number is a square. */
  readonly inputSize?: number | readonly [number, number] | undefined;
}

/** The registered model of that name. @throws ConfigError with a suggestion when there is none. */
export function createModel(name: string, { numClasses, inputSize }: ModelOptions = {}): Model {
  const distilled = name.includes("_distilled_");
  const preset = PRESETS[name.replace("_distilled", "").replace(/_patch/, "*_patch")];
  if (preset === undefined || !NAMES.includes(name)) {
    throw new ConfigError("model", `unknown model "${name}"`, {
      hint: `${didYouMean(name, NAMES)} deit models lists them all.`.trim(),
    });
  }
  const { size, classes, ...dims } = preset;
  const square = inputSize ?? size;
  return modelOf(name, {
    ...dims,
    mlpRatio: 4,
    distilled,
    numClasses: numClasses ?? classes,
    inputSize: typeof square === "number" ? [square, square] : square,
  });
}

/** A model of any configuration. */
export function modelOf(name: string, config: VisionTransformerConfig): Model {
  const forward: Model["forward"] = (images, scope, context) =>
    visionTransformer(images, scope, config, context);
  const images = input("images", "float32", [1, 3, ...config.inputSize]);
  return {
    name,
    config,
    forward,
    parameters: collectParameters((scope) => forward(images, scope, evaluationContext())),
    macs: macs(config),
    noWeightDecay: ["pos_embed", "cls_token"],
    dropPathRates: (dropPath) => dropPathRates(config.depth, dropPath),
  };
}

/** Number of parameters. */
export function countParameters({ parameters }: Pick<Model, "parameters">): number {
  return parameters.reduce((total, { shape }) => total + sizeOf(shape), 0);
}

export interface ModelSummary {
  readonly name: string;
  readonly parameters: number;
  /** Multiply-accumulates in billions. */
  readonly gmacs: number;
  readonly inputSize: readonly [number, number];
  readonly numClasses: number;
  readonly distilled: boolean;
}

/** Registered models whose name contains the pattern, in which `*` stands for anything. */
export function listModels(pattern = ""): ModelSummary[] {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  const test = new RegExp(parts.join(".*"), "i");
  return NAMES.filter((name) => test.test(name)).map((name) => {
    const model = createModel(name);
    const { inputSize, numClasses, distilled } = model.config;
    return {
      name,
      parameters: countParameters(model),
      gmacs: model.macs / 1e9,
      inputSize,
      numClasses,
      distilled,
    };
  });
}
