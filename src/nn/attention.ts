/** Multi-head self-attention (§3): fused qkv projection, attention, output projection. */
import type { Value } from "../graph/graph.ts";
import { at } from "../graph/graph.ts";
import { attention as attentionOp, linear as linearOp, slice, split } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import { linear, linearWeights } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface AttentionOptions {
  readonly numHeads: number;
  /** Only the first so many tokens ask; all are attended to. Default: every token. */
  readonly queries?: number;
}

/** x: [N, B, D], tokens first → attended [queries, B, D] and probabilities [B, numHeads, queries, N]. */
export function attention(
  x: Value,
  scope: Scope,
  { numHeads, queries = dimAt(x.shape, 0) }: AttentionOptions,
): { attended: Value; probabilities: Value } {
  const dim = dimAt(x.shape, 2);
  const { weight, bias } = linearWeights(scope.at("qkv"), dim, 3 * dim);
  // One weight as timm has it, rows [all q | all k | all v]; three products, so that no result has to be cut up.
  const weights = split(weight, [dim, dim, dim], 0);
  const biases = split(bias, [dim, dim, dim], 0);
  const project = (tokens: Value, part: number): Value => linearOp(tokens, at(weights, part), at(biases, part));
  const asking = slice(x, { axis: 0, end: queries });
  const { attended, probabilities } = attentionOp(
    { q: project(asking, 0), k: project(x, 1), v: project(x, 2) },
    { numHeads },
  );
  return { attended: linear(attended, scope.at("proj"), { outFeatures: dim }), probabilities };
}
