/**
 * Programs that look inside a transformer. They are the evaluation's forward pass with every token in every block, and
 * give what is made of its records; training and evaluation trace without records and stay as they are.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { compile } from "../graph/program.ts";
import type { Program } from "../graph/program.ts";
import type { ProgramOptions } from "../evaluation/program.ts";
import { headOutputs, imagesInput, normalise } from "../evaluation/program.ts";
import type { Heads } from "../models/heads.ts";
import type { Model } from "../models/registry.ts";
import { patchGrid } from "../models/patch-embed.ts";
import type { VisionTransformerConfig } from "../models/vision-transformer.ts";
import { evaluationContext } from "../nn/context.ts";
import { bindParameters } from "../nn/layout.ts";
import type { Scope } from "../nn/parameters.ts";

/** The tokens before the patches, in their order. */
export type TokenName = "class" | "distillation";

/** What a forward pass leaves to look at. Tokens: class, distillation if there is one, patches row by row. */
export interface Inside {
  readonly heads: Heads;
  /** Attention's probabilities [B, heads, N, N] of each block: rows ask, columns are attended to. */
  readonly probabilities: readonly Value[];
  /** Tokens [N, B, D] after the embedding and after each block. */
  readonly states: readonly Value[];
  /** Tokens before the patches, after the final norm: [tokens, B, D]. */
  readonly final: Value;
}

/** The names of a model's tokens before its patches. */
export function tokenNames({ distilled }: Pick<VisionTransformerConfig, "distilled">): readonly TokenName[] {
  return distilled ? ["class", "distillation"] : ["class"];
}

/** [rows, columns] of patches. */
export function gridOf({ inputSize, patchSize }: VisionTransformerConfig): readonly [number, number] {
  return patchGrid(inputSize, patchSize);
}

/** The configuration of a transformer. @throws ConfigError for a convnet */
export function requireTransformer(model: Model): VisionTransformerConfig {
  if (model.transformer !== undefined) return model.transformer;
  throw new ConfigError("model", `${model.name} is a convnet: it has no tokens and no attention to look at`, {
    hint: "Give a DeiT or another vision transformer.",
  });
}

/** The forward pass of images [B, 3, H, W], normalised, with its records. */
export function lookInside(model: Model, images: Value, scope: Scope): Inside {
  const { depth } = requireTransformer(model);
  const records = new Map<string, Value>();
  const heads = model.forward(images, scope, evaluationContext(records));
  const recorded = (what: string): Value => {
    const value = records.get(what);
    if (value === undefined) throw new Error(`${model.name} records no ${what}`);
    return value;
  };
  const blocks = Array.from({ length: depth }, (_, index) => `blocks.${index}`);
  return {
    heads,
    probabilities: blocks.map((block) => recorded(`${block}.attn`)),
    states: ["embeddings", ...blocks].map(recorded),
    final: recorded("tokens"),
  };
}

/** Heads' logits by their names, and the outputs that `look` makes of what is inside. State: the weights, read only. */
export function insideProgram(
  { model, layout, batchSize, target, normalisation }: ProgramOptions,
  { name, look }: { name: string; look: (inside: Inside) => Record<string, Value> },
): Program {
  const { weights, scope } = bindParameters(layout);
  const images = normalise(imagesInput({ model, batchSize }), normalisation);
  const inside = lookInside(model, images, scope);
  const outputs = { ...headOutputs(inside.heads), ...look(inside) };
  const state = Object.fromEntries(Object.keys(weights).map((vector) => [`W.${vector}`, null]));
  return compile({ name: `${model.name}.${name}`, target, outputs, state });
}
