/** The program of evaluation: normalised pictures in, logits of every head out, weights read from the state. */
import type { Normalisation } from "../augmentation/normalisation.ts";
import { at, constant, input } from "../graph/graph.ts";
import type { Target, Value } from "../graph/graph.ts";
import { add, cast, mul } from "../graph/ops.ts";
import type { Program } from "../graph/program.ts";
import { compile } from "../graph/program.ts";
import type { Heads } from "../models/heads.ts";
import type { Model } from "../models/registry.ts";
import { dimAt } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import { evaluationContext } from "../nn/context.ts";
import type { Layout } from "../nn/layout.ts";
import { bindParameters } from "../nn/layout.ts";
import type { HeadLogits } from "./metrics.ts";
import { parameterSimilarity, tokenSimilarity } from "./token-similarity.ts";

/** What every program of a model depends on. */
export interface ProgramOptions {
  readonly model: Model;
  readonly layout: Layout;
  readonly batchSize: number;
  readonly target: Target;
  readonly normalisation: Normalisation;
}

/**
 * Logits [B, K] of each head, by the names `class` and `distillation`, and of a distilled model how alike its two tokens
 * are: `tokenSimilarity` [B], `parameterSimilarity` [1]. State: the weights (W, or another slot), read only.
 */
export function evaluationProgram(
  { model, layout, batchSize, target, normalisation }: ProgramOptions,
  { slot = "W" }: { slot?: string } = {},
): Program {
  const { weights, scope } = bindParameters(layout, slot);
  const images = normalise(imagesInput({ model, batchSize }), normalisation);
  let tokens: Value | undefined;
  const context: ForwardContext = {
    ...evaluationContext(),
    record: (name, value) => {
      if (name === "tokens") tokens = value;
    },
  };
  const outputs = headOutputs(model.forward(images, scope, context));
  if (tokens !== undefined && "distillation" in outputs) {
    outputs["tokenSimilarity"] = tokenSimilarity(tokens);
    outputs["parameterSimilarity"] = parameterSimilarity(scope, dimAt(tokens.shape, 2));
  }
  const state = Object.fromEntries(Object.keys(weights).map((name) => [`${slot}.${name}`, null]));
  return compile({ name: `${model.name}.evaluate.${slot}`, target, outputs, state });
}

/** Heads as program outputs. */
export function headOutputs(heads: Heads): Record<string, Value> {
  return { class: heads.class, ...(heads.distillation && { distillation: heads.distillation }) };
}

/** The results of a run of `evaluationProgram`. */
export function headLogits(outputs: Readonly<Record<string, unknown>>): HeadLogits {
  const { class: classLogits, ...others } = outputs;
  if (!(classLogits instanceof Float32Array)) throw new TypeError("a program returned no float32 logits");
  const found = Object.entries(others).filter(([, data]) => data instanceof Float32Array);
  return { class: classLogits, ...Object.fromEntries(found) };
}

/** The input `images` (or another of its kind), bytes [B, 3, H, W], as float32 numbers of 0 to 255. */
export function imagesInput(
  { model, batchSize }: Pick<ProgramOptions, "model" | "batchSize">,
  name = "images",
): Value {
  return cast(input(name, "uint8", [batchSize, 3, ...model.config.inputSize]), "float32");
}

/** (x/255 − mean)/std per channel, as one multiplication and one addition. */
export function normalise(images: Value, { mean, std }: Normalisation): Value {
  const perChannel = (f: (mean: number, std: number) => number): Value =>
    constant(
      Float32Array.from([0, 1, 2], (_, i) => f(at(mean, i), at(std, i))),
      [3, 1, 1],
    );
  return add(
    mul(
      images,
      perChannel((_, s) => 1 / (255 * s)),
    ),
    perChannel((m, s) => -m / s),
  );
}
