/** Multi-head self-attention (§3): fused qkv projection, attention, output projection. */
import type { Value } from "../graph/graph.ts";
import { operands } from "../graph/graph.ts";
import { add, attention as attentionOp, linear, linearParts, slice, split } from "../graph/ops.ts";
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
  const [biasQ, , biasV] = operands(split(bias, [dim, dim, dim], 0));
  // A bias on the keys adds the same to all scores of a query: softmax does not see it. One on the values adds
  // itself to every attended token: it goes into the projection's bias.
  const [q, k, v] = operands(
    queries === x.shape[0] ? linearParts(x, weight, [dim, dim, dim]) : projectFew(x, weight, queries),
  );
  const { attended, probabilities } = attentionOp({ q: add(q, biasQ), k, v }, { numHeads });
  const projection = linearWeights(scope.at("proj"), dim, dim);
  const projectedBias = add(linear(biasV, projection.weight), projection.bias);
  return { attended: linear(attended, projection.weight, projectedBias), probabilities };
}

/** Queries of the first tokens alone, keys and values of all. */
function projectFew(x: Value, weight: Value, queries: number): Value[] {
  const dim = dimAt(x.shape, 2);
  const [weightQ, weightKV] = operands(split(weight, [dim, 2 * dim], 0));
  return [linear(slice(x, { axis: 0, end: queries }), weightQ), ...linearParts(x, weightKV, [dim, dim])];
}
