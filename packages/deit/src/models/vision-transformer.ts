/**
 * The vision transformer (§3) and DeiT's distilled form of it (§4, Fig. 2): patches, a class token and for the
 * distilled form a distillation token, position embeddings, pre-norm blocks, and a linear head for each token.
 * Activations are tokens first, [N, B, D]: heads and tokens are then taken without moving anything.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { add, concat, expand, reshape, slice } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import { evaluationContext } from "../nn/context.ts";
import { layerNorm, linear, TRUNC_NORMAL } from "../nn/linear.ts";
import type { Scope } from "../nn/parameters.ts";
import { collectParameters } from "../nn/parameters.ts";
import { block } from "./block.ts";
import type { Heads } from "./heads.ts";
import type { Model, ModelConfig } from "./model.ts";
import { checkNumClasses } from "./model.ts";
import { patchEmbed, patchGrid } from "./patch-embed.ts";

export interface VisionTransformerConfig extends ModelConfig {
  readonly patchSize: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly mlpRatio: number;
}

/** A model whose whole configuration is known. */
export interface VisionTransformer extends Model {
  readonly config: VisionTransformerConfig;
}

/** A vision transformer of any configuration. */
export function modelOf(name: string, config: VisionTransformerConfig): VisionTransformer {
  const forward: Model["forward"] = (images, scope, context) =>
    visionTransformer(images, scope, config, context);
  const images: Value = input("images", "float32", [1, 3, ...config.inputSize]);
  return {
    name,
    config,
    transformer: config,
    forward,
    parameters: collectParameters((scope) => forward(images, scope, evaluationContext())),
    macs: macs(config),
    noWeightDecay: ["pos_embed", "cls_token"],
    classWeight: "head.weight",
    dropPathRates: (dropPath) => dropPathRates(config.depth, dropPath),
  };
}

/** images: [B, 3, H, W], normalised → logits [B, numClasses] of each head. */
export function visionTransformer(
  images: Value,
  scope: Scope,
  config: VisionTransformerConfig,
  context: ForwardContext,
): Heads {
  const { embedDim, depth, numHeads, mlpRatio, numClasses, distilled, patchSize } = config;
  checkConfig(config);
  const batch = dimAt(images.shape, 0);
  const token = (name: string): Value =>
    expand(scope.parameter(name, [1, 1, embedDim], TRUNC_NORMAL), [1, batch, embedDim]);
  const prefix = distilled ? [token("cls_token"), token("dist_token")] : [token("cls_token")];
  const patches = patchEmbed(images, scope.at("patch_embed"), { patchSize, embedDim });
  const tokens = dimAt(patches.shape, 0) + prefix.length;
  const positions = scope.parameter("pos_embed", [1, tokens, embedDim], TRUNC_NORMAL);

  let x = add(concat([...prefix, patches], 0), reshape(positions, [tokens, 1, embedDim])); // [N, B, D]
  x = context.dropout(x, "embeddings");
  context.record("embeddings", x);
  for (let index = 0; index < depth; index++) {
    const y = block(x, scope.at(`blocks.${index}`), { numHeads, mlpRatio, index }, context);
    context.noteSegment(x, y);
    context.record(`blocks.${index}`, y);
    x = y;
  }
  x = layerNorm(slice(x, { axis: 0, end: prefix.length }), scope.at("norm")); // all that the heads read
  context.record("tokens", x);
  const head = (index: number, name: string): Value =>
    linear(reshape(slice(x, { axis: 0, start: index, end: index + 1 }), [batch, embedDim]), scope.at(name), {
      outFeatures: numClasses,
    });
  return distilled
    ? { class: head(0, "head"), distillation: head(1, "head_dist") }
    : { class: head(0, "head") };
}

/** Stochastic depth's rate for every residual branch: linear over depth, both branches of a block alike. */
export function dropPathRates(depth: number, dropPath: number): number[] {
  return Array.from({ length: 2 * depth }, (_, i) =>
    depth === 1 ? 0 : (dropPath * Math.floor(i / 2)) / (depth - 1),
  );
}

/** Number of tokens: patches, class token, and the distillation token. */
export function numTokens({ inputSize, patchSize, distilled }: VisionTransformerConfig): number {
  const [rows, columns] = patchGrid(inputSize, patchSize);
  return rows * columns + (distilled ? 2 : 1);
}

/** Multiply-accumulates of one forward pass, all tokens in every block, both attention products included. */
export function macs(config: VisionTransformerConfig): number {
  const { embedDim, depth, mlpRatio, numClasses, distilled, patchSize } = config;
  const tokens = numTokens(config);
  const heads = distilled ? 2 : 1;
  const projections = (4 + 2 * mlpRatio) * embedDim * embedDim;
  const patches = (tokens - heads) * 3 * patchSize * patchSize * embedDim;
  return patches + depth * tokens * (projections + 2 * tokens * embedDim) + heads * embedDim * numClasses;
}

function checkConfig(config: VisionTransformerConfig): void {
  const { embedDim, numHeads } = config;
  checkNumClasses(config);
  if (embedDim % numHeads !== 0) {
    throw new ConfigError("numHeads", `${numHeads} heads do not divide the width ${embedDim}`, {
      code: "model/configuration",
    });
  }
}
