/** Multi-head self-attention (§3): fused qkv projection, attention, output projection. */
import type { Value } from "../graph/graph.ts";
import { operands } from "../graph/graph.ts";
import {
  add,
  attention as attentionOp,
  linear,
  linearParts,
  matmul,
  reshape,
  slice,
  softmax,
  split,
  transpose,
} from "../graph/ops.ts";
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
  /** Dropout of the probabilities [B, numHeads, queries, N], if any. */
  readonly dropProbabilities?: ((probabilities: Value) => Value) | undefined;
}

/** x: [N, B, D], tokens first, normalised → attended [queries, B, D] and probabilities [B, numHeads, queries, N]. */
export function attention(
  x: Value,
  scope: Scope,
  { numHeads, norm, queries = dimAt(x.shape, 0), dropProbabilities }: AttentionOptions,
): { attended: Value; probabilities: Value } {
  const dim = dimAt(x.shape, 2);
  const { weight, bias } = foldNorm(norm, linearWeights(scope.at("qkv"), dim, 3 * dim));
  const projection = linearWeights(scope.at("proj"), dim, dim);
  const [biasQ, , biasV] = operands(split(bias, [dim, dim, dim], 0));
  // A bias on the keys adds the same to all scores of a query: softmax does not see it. One on the values adds
  // itself to every attended token, unless some are dropped: it goes into the projection's bias.
  const [q, k, v] = operands(
    queries === x.shape[0] ? linearParts(x, weight, [dim, dim, dim]) : projectFew(x, weight, queries),
  );
  if (dropProbabilities !== undefined) {
    const parts = { q: add(q, biasQ), k, v: add(v, biasV) };
    const dropped = droppedAttention(parts, { numHeads, dropProbabilities });
    return { ...dropped, attended: linear(dropped.attended, projection.weight, projection.bias) };
  }
  const { attended, probabilities } = attentionOp({ q: add(q, biasQ), k, v }, { numHeads });
  const projectedBias = add(linear(biasV, projection.weight), projection.bias);
  return { attended: linear(attended, projection.weight, projectedBias), probabilities };
}

/** Attention with dropout of its probabilities, out of small operations. Shapes as the operation's. */
function droppedAttention(
  { q, k, v }: { q: Value; k: Value; v: Value },
  { numHeads, dropProbabilities }: { numHeads: number; dropProbabilities: (probabilities: Value) => Value },
): { attended: Value; probabilities: Value } {
  const [queries = 1, batch = 1, dim = 1] = q.shape;
  const tokens = dimAt(k.shape, 0);
  const size = dim / numHeads;
  const heads = (x: Value): Value =>
    transpose(reshape(x, [dimAt(x.shape, 0), batch * numHeads, size]), [1, 0, 2]); // [B·h, N, d]
  const scores = matmul(heads(q), heads(k), { transB: true, alpha: size ** -0.5 });
  const probabilities = reshape(softmax(scores), [batch, numHeads, queries, tokens]);
  const kept = reshape(dropProbabilities(probabilities), [batch * numHeads, queries, tokens]);
  const attended = reshape(transpose(matmul(kept, heads(v)), [1, 0, 2]), [queries, batch, dim]);
  return { attended, probabilities };
}

/** Queries of the first tokens alone, keys and values of all. */
function projectFew(x: Value, weight: Value, queries: number): Value[] {
  const dim = dimAt(x.shape, 2);
  const [weightQ, weightKV] = operands(split(weight, [dim, 2 * dim], 0));
  return [linear(slice(x, { axis: 0, end: queries }), weightQ), ...linearParts(x, weightKV, [dim, dim])];
}
