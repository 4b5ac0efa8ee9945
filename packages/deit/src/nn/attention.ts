/** Multi-head self-attention (§3): fused qkv projection, attention, output projection. */
import type { Value } from "../graph/graph.ts";
import { operands } from "../graph/graph.ts";
import { attention as attentionOp, split } from "../graph/ops.ts";
import type { ForwardContext } from "./context.ts";
import { linear } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface AttentionOptions {
  readonly numHeads: number;
  /** Where it is, `blocks.0`: dropout has a mask of its own at every site, and what is recorded a name. */
  readonly site: string;
}

/** softmax(QKᵀ/√d)·V, projected. x: [N, B, D], tokens first → [N, B, D]. Records probabilities [B, numHeads, N, N]. */
export function attention(
  x: Value,
  scope: Scope,
  { numHeads, site }: AttentionOptions,
  context: ForwardContext,
): Value {
  const [tokens = 1, batch = 1, dim = 1] = x.shape;
  const qkv = linear(x, scope.at("qkv"), { outFeatures: 3 * dim });
  const [q, k, v] = operands(split(qkv, [dim, dim, dim], 2)); // [N, B, D] each
  const factors = context.attentionFactors([batch, numHeads, tokens, tokens], site);
  const { attended, probabilities } = attentionOp({ q, k, v }, { numHeads, factors });
  context.record(`${site}.attn`, probabilities);
  const projected = linear(attended, scope.at("proj"), { outFeatures: dim });
  return context.dropout(projected, `${site}.proj`);
}
