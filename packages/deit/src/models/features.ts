/**
 * What a model's heads read, as features of an image: a teacher's embedding, and what a student of embeddings has beside its
 * heads, a linear layer from one of its tokens to the width of the teacher's embedding. That layer is trained and resumed
 * with the model, and left out where the model is saved.
 */
import type { Value } from "../graph/graph.ts";
import { reshape, slice, transpose } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { ForwardContext } from "../nn/context.ts";
import { linear, TRUNC_NORMAL, ZEROS } from "../nn/linear.ts";
import type { Scope } from "../nn/parameters.ts";
import type { Heads } from "./heads.ts";
import type { Model } from "./model.ts";

/** What the heads read [heads, B, D] → features of each image [B, heads · D]: of a distilled model both its tokens. */
export function featuresOf(tokens: Value): Value {
  const [heads = 1, batch = 1, width = 1] = tokens.shape;
  return reshape(transpose(tokens, [1, 0, 2]), [batch, heads * width]);
}

/** Numbers of an image's features. */
export function featureWidth(model: Model): number {
  return tokenWidth(model) * (model.config.distilled ? 2 : 1);
}

function tokenWidth({ name, parameters, classWeight }: Model): number {
  const head = parameters.find((parameter) => parameter.name === classWeight);
  if (head === undefined) throw new Error(`${name} has no ${classWeight}`);
  return dimAt(head.shape, 1);
}

/** A forward pass with what the heads read, [heads, B, D]. */
export function forwardWithTokens(
  model: Model,
  images: Value,
  scope: Scope,
  context: ForwardContext,
): { readonly heads: Heads; readonly tokens: Value } {
  let tokens: Value | undefined;
  const record: ForwardContext["record"] = (name, value) => {
    if (name === "tokens") tokens = value;
    context.record(name, value);
  };
  const heads = model.forward(images, scope, { ...context, record });
  if (tokens === undefined) throw new Error(`${model.name} records no tokens`);
  return { heads, tokens };
}

export interface Projection {
  /** Numbers of the teacher's embedding. */
  readonly width: number;
  /** The token that learns; of a convnet "class" is its pooled features. */
  readonly head: "token" | "class";
}

const NAME = "embedding_proj";

/** The model with one more output, `embedding` [B, width]. */
export function withProjection(model: Model, { width, head }: Projection): Model {
  const specs = [
    { name: `${NAME}.weight`, shape: [width, tokenWidth(model)], initializer: TRUNC_NORMAL },
    { name: `${NAME}.bias`, shape: [width], initializer: ZEROS },
  ];
  return {
    ...model,
    parameters: [...model.parameters, ...specs.map((spec) => ({ ...spec, auxiliary: true }) as const)],
    forward(images, scope, context) {
      const { heads, tokens } = forwardWithTokens(model, images, scope, context);
      const start = head === "token" ? 1 : 0;
      const own = reshape(slice(tokens, { axis: 0, start, end: start + 1 }), tokens.shape.slice(1));
      return { ...heads, embedding: linear(own, scope.at(NAME), { outFeatures: width }) };
    },
  };
}
