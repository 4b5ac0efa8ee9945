/**
 * The vision transformer (§3) and DeiT's distilled form of it (§4, Fig. 2): patches, a class token and for the
 * distilled form a distillation token, position embeddings, pre-norm blocks, and a linear head for each token. Its later
 * relatives differ in a few places, each an option: LayerScale and positions of patches alone (DeiT III), register tokens
 * (DINOv2), a head on the mean of the patches.
 * Activations are tokens first, [N, B, D]: heads and tokens are then taken without moving anything.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { add, concat, expand, mean, reshape, slice } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import { evaluationContext } from "../nn/context.ts";
import { layerNorm, linear, TRUNC_NORMAL } from "../nn/linear.ts";
import type { Scope } from "../nn/parameters.ts";
import { collectParameters } from "../nn/parameters.ts";
import { block } from "./block.ts";
import type { Heads } from "./heads.ts";
import type { Model, ModelConfig, ModelOptions } from "./model.ts";
import { checkNumClasses } from "./model.ts";
import { patchEmbed, patchGrid } from "./patch-embed.ts";

export interface VisionTransformerConfig extends ModelConfig {
  readonly patchSize: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly mlpRatio: number;
  /** What LayerScale's factors start from; undefined: the model has none. */
  readonly layerScale?: number | undefined;
  /** Learned tokens between class token and patches that no head reads (Darcet et al. 2024). Default 0. */
  readonly registers?: number | undefined;
  /** Whether patches alone have positions, and the tokens before them none. Default false. */
  readonly patchPositions?: boolean | undefined;
  /** What the head reads: the class token after the final norm, or the norm of the mean of all patches. Default "token". */
  readonly pooling?: "token" | "average" | undefined;
  /** Stochastic depth's rate of a block: growing linearly with depth, or the same for all. Default "linear". */
  readonly dropPathRule?: "linear" | "constant" | undefined;
  /** How positions are brought to another grid: the reference's bicubic, or timm's, which filters against aliasing. Default "bicubic". */
  readonly resampling?: "bicubic" | "antialias" | undefined;
}

/** A model whose whole configuration is known. */
export interface VisionTransformer extends Model {
  readonly config: VisionTransformerConfig;
}

/** Vision transformers of one kind, by name. */
export interface TransformerFamily {
  readonly names: readonly string[];
  /** The configuration of a name of these. */
  config(name: string, options: ModelOptions): VisionTransformerConfig;
  create(name: string, options: ModelOptions): VisionTransformer;
}

/** A vision transformer of any configuration. */
export function modelOf(
  name: string,
  config: VisionTransformerConfig,
  { preprocessing, usualSize }: Pick<Model, "preprocessing" | "usualSize"> = {},
): VisionTransformer {
  const forward: Model["forward"] = (images, scope, context) =>
    visionTransformer(images, scope, config, context);
  const images: Value = input("images", "float32", [1, 3, ...config.inputSize]);
  return {
    name,
    config,
    transformer: config,
    preprocessing,
    usualSize,
    forward,
    parameters: collectParameters((scope) => forward(images, scope, evaluationContext())),
    macs: macs(config),
    noWeightDecay: ["pos_embed", "cls_token", "reg_token"],
    classWeight: "head.weight",
    dropPathRates: (dropPath) =>
      config.dropPathRule === "constant"
        ? Array.from({ length: 2 * config.depth }, () => dropPath)
        : dropPathRates(config.depth, dropPath),
  };
}

/** images: [B, 3, H, W], normalised → logits [B, numClasses] of each head. */
export function visionTransformer(
  images: Value,
  scope: Scope,
  config: VisionTransformerConfig,
  context: ForwardContext,
): Heads {
  const { embedDim, depth, numClasses, distilled } = config;
  checkConfig(config);
  const batch = dimAt(images.shape, 0);
  let x = context.dropout(embed(images, scope, config), "embeddings"); // [N, B, D]
  context.record("embeddings", x);
  for (let index = 0; index < depth; index++) {
    const y = block(x, scope.at(`blocks.${index}`), { ...config, index }, context);
    context.noteSegment(x, y);
    context.record(`blocks.${index}`, y);
    x = y;
  }
  x = pooled(x, scope, config); // all that the heads read
  context.record("tokens", x);
  const head = (index: number, name: string): Value =>
    linear(reshape(slice(x, { axis: 0, start: index, end: index + 1 }), [batch, embedDim]), scope.at(name), {
      outFeatures: numClasses,
    });
  return distilled
    ? { class: head(0, "head"), distillation: head(1, "head_dist") }
    : { class: head(0, "head") };
}

/** Patches and the tokens before them, with positions: [N, B, D]. Order: class, distillation or registers, patches row by row. */
function embed(
  images: Value,
  scope: Scope,
  { embedDim, patchSize, distilled, registers = 0, patchPositions = false }: VisionTransformerConfig,
): Value {
  const batch = dimAt(images.shape, 0);
  const token = (name: string): Value =>
    expand(scope.parameter(name, [1, 1, embedDim], TRUNC_NORMAL), [1, batch, embedDim]);
  const prefix = distilled ? [token("cls_token"), token("dist_token")] : [token("cls_token")];
  if (registers > 0) {
    const parameter = scope.parameter("reg_token", [1, registers, embedDim], TRUNC_NORMAL);
    prefix.push(expand(reshape(parameter, [registers, 1, embedDim]), [registers, batch, embedDim]));
  }
  const patches = patchEmbed(images, scope.at("patch_embed"), { patchSize, embedDim });
  const placed = (x: Value): Value => {
    const tokens = dimAt(x.shape, 0);
    const positions = scope.parameter("pos_embed", [1, tokens, embedDim], TRUNC_NORMAL);
    return add(x, reshape(positions, [tokens, 1, embedDim]));
  };
  return patchPositions ? concat([...prefix, placed(patches)], 0) : placed(concat([...prefix, patches], 0));
}

/** What the heads read, normalised: the tokens that have one [heads, B, D], or the mean of the patches [1, B, D]. */
function pooled(x: Value, scope: Scope, config: VisionTransformerConfig): Value {
  if (config.pooling !== "average")
    return layerNorm(slice(x, { axis: 0, end: config.distilled ? 2 : 1 }), scope.at("norm"));
  const patches = slice(x, { axis: 0, start: prefixTokens(config) });
  return layerNorm(mean(patches, 0, { keepDims: true }), scope.at("fc_norm"));
}

/** Stochastic depth's rate for every residual branch: linear over depth, both branches of a block alike. */
export function dropPathRates(depth: number, dropPath: number): number[] {
  return Array.from({ length: 2 * depth }, (_, i) =>
    depth === 1 ? 0 : (dropPath * Math.floor(i / 2)) / (depth - 1),
  );
}

/** Number of tokens before the patches: class token, distillation token, registers. */
export function prefixTokens({
  distilled,
  registers = 0,
}: Pick<VisionTransformerConfig, "distilled" | "registers">): number {
  return (distilled ? 2 : 1) + registers;
}

/** Number of tokens: patches, and those before them. */
export function numTokens(config: VisionTransformerConfig): number {
  const [rows, columns] = patchGrid(config.inputSize, config.patchSize);
  return rows * columns + prefixTokens(config);
}

/** Multiply-accumulates of one forward pass, all tokens in every block, both attention products included. */
export function macs(config: VisionTransformerConfig): number {
  const { embedDim, depth, mlpRatio, numClasses, distilled, patchSize } = config;
  const tokens = numTokens(config);
  const heads = distilled ? 2 : 1;
  const projections = (4 + 2 * mlpRatio) * embedDim * embedDim;
  const patches = (tokens - prefixTokens(config)) * 3 * patchSize * patchSize * embedDim;
  return patches + depth * tokens * (projections + 2 * tokens * embedDim) + heads * embedDim * numClasses;
}

function checkConfig(config: VisionTransformerConfig): void {
  const { embedDim, numHeads, distilled, registers = 0, pooling } = config;
  checkNumClasses(config);
  if (distilled && (registers > 0 || pooling === "average")) {
    throw new ConfigError(
      "distilled",
      "a model with a distillation token has neither registers nor a head on averaged patches",
      { code: "model/configuration" },
    );
  }
  if (embedDim % numHeads !== 0) {
    throw new ConfigError("numHeads", `${numHeads} heads do not divide the width ${embedDim}`, {
      code: "model/configuration",
    });
  }
}
