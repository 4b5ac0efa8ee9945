/**
 * What a forward pass holds besides its logits (attention, tokens), and the one way to read it: a `Readout` names outputs
 * of the graph, and `readoutProgram` compiles the evaluation's forward pass with these outputs.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { concat, reshape } from "../graph/ops.ts";
import { optimizeOutputs } from "../graph/passes/forward.ts";
import { compile } from "../graph/program.ts";
import type { Program } from "../graph/program.ts";
import type { Heads } from "../models/heads.ts";
import { featuresOf } from "../models/features.ts";
import { patchGrid } from "../models/patch-embed.ts";
import type { Model } from "../models/registry.ts";
import type { VisionTransformerConfig } from "../models/vision-transformer.ts";
import { evaluationContext } from "../nn/context.ts";
import type { Scope } from "../nn/parameters.ts";
import { bindParameters, createScope } from "../nn/parameters.ts";
import type { ProgramOptions } from "./program-input.ts";
import { imagesInput, normalise } from "./program-input.ts";

/** The tokens before the patches, in their order. */
export type TokenName = "class" | "distillation";

/** Values of one forward pass. Tokens: class, distillation if there is one, patches row by row. */
export interface Intermediates {
  readonly model: Model;
  readonly heads: Heads;
  /** The model's parameters. */
  readonly scope: Scope;
  /** What the heads read. Tokens before the patches, after the final norm [tokens, B, D]; of a convnet [1, B, C]. */
  readonly final: Value | undefined;
  /** Attention's probabilities [B, heads, N, N] of each block: rows are queries, columns keys. None of a convnet. */
  readonly attention: readonly Value[];
  /** Tokens [N, B, D] after the embedding and after each block. None of a convnet. */
  readonly states: readonly Value[];
}

/** What is read from a forward pass: outputs by name, each with the batch as its first axis. Nothing else is computed. */
export interface Readout {
  readonly name: string;
  /** @throws ConfigError for a model that has nothing of the kind */
  outputs(inside: Intermediates): Record<string, Value>;
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
  throw new ConfigError("model", `${model.name} is a convnet: it has no tokens and no attention`, {
    code: "model/no-tokens",
    hint: "Give a DeiT or another vision transformer.",
  });
}

/** The forward pass of normalised images [B, 3, H, W]. */
export function traceIntermediates(model: Model, images: Value, scope: Scope): Intermediates {
  const depth = model.transformer?.depth ?? 0;
  const records = new Map<string, Value>();
  const heads = model.forward(images, scope, evaluationContext(records));
  const recorded = (what: string): Value => {
    const value = records.get(what);
    if (value === undefined) throw new Error(`${model.name} records no ${what}`);
    return value;
  };
  const blocks = Array.from({ length: depth }, (_, index) => `blocks.${index}`);
  return {
    model,
    heads,
    scope,
    final: records.get("tokens"),
    attention: blocks.map((block) => recorded(`${block}.attn`)),
    states: depth === 0 ? [] : ["embeddings", ...blocks].map(recorded),
  };
}

/** Input `images`, bytes [B, 3, H, W]; the outputs of a readout. State: the weights (W, or another slot), read only. */
export function readoutProgram(
  options: ProgramOptions,
  readout: Readout,
  { slot = "W" }: { slot?: string } = {},
): Program {
  const { weights, scope } = bindParameters(options.layout, slot);
  const state = Object.fromEntries(Object.keys(weights).map((vector) => [`${slot}.${vector}`, null]));
  return compileReadout(options, readout, { scope, state, name: slot });
}

/** The same with each parameter as an input of its own, by its name: for `frozenProgram`. */
export function unboundProgram(options: Omit<ProgramOptions, "layout">, readout: Readout): Program {
  const scope = createScope(({ name, shape }) => input(name, "float32", shape));
  return compileReadout(options, readout, { scope, state: {}, name: "frozen" });
}

function compileReadout(
  { model, batchSize, target, normalisation }: Omit<ProgramOptions, "layout">,
  readout: Readout,
  { scope, state, name }: { scope: Scope; state: Readonly<Record<string, null>>; name: string },
): Program {
  const images = normalise(imagesInput({ model, batchSize }), normalisation);
  const outputs = optimizeOutputs(readout.outputs(traceIntermediates(model, images, scope)));
  return compile({ name: `${model.name}.${readout.name}.${name}`, target, outputs, state });
}

/** Values of the same shape [B, …] side by side: [B, n, …]. */
export function stack(values: readonly Value[]): Value {
  return concat(
    values.map((value) => reshape(value, value.shape.toSpliced(1, 0, 1))),
    1,
  );
}

/**
 * What a model's heads see: `features` [B, D], the class token after the final norm, or a convnet's pooled features; of a
 * distilled model class and distillation token one after the other [B, 2·D], as its two heads read one each.
 */
export const FEATURES: Readout = {
  name: "features",
  outputs({ model, final }) {
    if (final === undefined) throw new Error(`${model.name} records no tokens`);
    return { features: featuresOf(final) };
  },
};
