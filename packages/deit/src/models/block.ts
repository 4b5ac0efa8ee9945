/** The transformer block of §3. */
import { inScope } from "../graph/graph.ts";
import type { Value } from "../graph/graph.ts";
import { add } from "../graph/ops.ts";
import { attention } from "../nn/attention.ts";
import type { ForwardContext } from "../nn/context.ts";
import { layerScale } from "../nn/layer-scale.ts";
import { layerNorm } from "../nn/linear.ts";
import { mlp } from "../nn/mlp.ts";
import type { Scope } from "../nn/parameters.ts";

export interface BlockOptions {
  readonly numHeads: number;
  readonly mlpRatio: number;
  /** Position in the network: stochastic depth's branches are 2·index (attention) and 2·index + 1 (FFN). */
  readonly index: number;
  /** What the factors of both branches start from (LayerScale); undefined: branches are not scaled. */
  readonly layerScale?: number | undefined;
}

/** Pre-norm block: y = x + γ₁·MSA(LN(x)), then y + γ₂·FFN(LN(y)); without LayerScale γ is 1. x: [N, B, D] → [N, B, D]. */
export function block(
  x: Value,
  scope: Scope,
  { numHeads, mlpRatio, index, layerScale: start }: BlockOptions,
  context: ForwardContext,
): Value {
  const site = `blocks.${index}`;
  const norm1 = (y: Value): Value => inScope("norm1", () => layerNorm(y, scope.at("norm1")));
  const norm2 = (y: Value): Value => inScope("norm2", () => layerNorm(y, scope.at("norm2")));
  const msa = (y: Value): Value =>
    inScope("attn", () => attention(y, scope.at("attn"), { numHeads, site }, context));
  const ffn = (y: Value): Value =>
    inScope("mlp", () => mlp(y, scope.at("mlp"), { ratio: mlpRatio, site }, context));
  const scaled = (y: Value, name: string): Value =>
    start === undefined ? y : inScope(name, () => layerScale(y, scope.at(name), start));

  return inScope(site, () => {
    const y = add(x, context.dropPath(scaled(msa(norm1(x)), "ls1"), 2 * index));
    return add(y, context.dropPath(scaled(ffn(norm2(y)), "ls2"), 2 * index + 1));
  });
}
