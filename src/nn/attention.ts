/** Multi-head self-attention (§3): fused qkv projection, attention, output projection. */
import type { Value } from "../graph/graph.ts";
import { operands } from "../graph/graph.ts";
import { add, attention as attentionOp, linear, slice, split } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Affine } from "./linear.ts";
import { foldNorm, linearWeights } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface AttentionOptions {
  readonly numHeads: number;
  /** Weight and bias of the normalisation before it, which x comes without. */
  readonly norm: Affine;
  /** Only the first so many tokens ask; all are attended to. Default: every token. */
  readonly queries?: number;
}

/** x: [N, B, D], tokens first, normalised → attended [queries, B, D] and probabilities [B, numHeads, queries, N]. */
export function attention(
  x: Value,
  scope: Scope,
  { numHeads, norm, queries = dimAt(x.shape, 0) }: AttentionOptions,
): { attended: Value; probabilities: Value } {
  const dim = dimAt(x.shape, 2);
  const { weight, bias } = foldNorm(norm, linearWeights(scope.at("qkv"), dim, 3 * dim));
  // One weight as timm has it, rows [all q | all k | all v]; three products, so that no result has to be cut up.
  const [weightQ, weightK, weightV] = operands(split(weight, [dim, dim, dim], 0));
  const [biasQ, , biasV] = operands(split(bias, [dim, dim, dim], 0));
  const asking = slice(x, { axis: 0, end: queries });
  // A bias on the keys adds the same to all scores of a query: softmax does not see it. One on the values adds
  // itself to every attended token: it goes into the projection's bias.
  const { attended, probabilities } = attentionOp(
    { q: linear(asking, weightQ, biasQ), k: linear(x, weightK), v: linear(x, weightV) },
    { numHeads },
  );
  const projection = linearWeights(scope.at("proj"), dim, dim);
  const projectedBias = add(linear(biasV, projection.weight), projection.bias);
  return { attended: linear(attended, projection.weight, projectedBias), probabilities };
}
