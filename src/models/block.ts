/** The transformer block of §3. */
import { inScope } from "../graph/graph.ts";
import type { Value } from "../graph/graph.ts";
import { add, normalize, slice } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import { attention } from "../nn/attention.ts";
import type { ForwardContext } from "../nn/context.ts";
import { normWeights } from "../nn/linear.ts";
import { mlp } from "../nn/mlp.ts";
import type { Scope } from "../nn/parameters.ts";

export interface BlockOptions {
  readonly numHeads: number;
  readonly mlpRatio: number;
  /** Position in the network: stochastic depth's branches are 2·index (attention) and 2·index + 1 (FFN). */
  readonly index: number;
  /** Only the first so many tokens are wanted: N, or fewer in the last block, which feeds the heads alone. */
  readonly tokens: number;
}

/** Pre-norm block: y = x + MSA(LN(x)), then y + FFN(LN(y)). x: [N, B, D] → [tokens, B, D]. */
export function block(x: Value, scope: Scope, options: BlockOptions, context: ForwardContext): Value {
  return inScope(`blocks.${options.index}`, () => branches(x, scope, options, context));
}

function branches(
  x: Value,
  scope: Scope,
  { numHeads, mlpRatio, index, tokens }: BlockOptions,
  context: ForwardContext,
): Value {
  const dim = dimAt(x.shape, 2);
  const norm1 = normWeights(scope.at("norm1"), dim);
  const { attentionDropout } = context;
  const site = `blocks.${index}`;
  const normed = inScope("norm1", () => normalize(x));
  const { attended, probabilities } = inScope("attn", () =>
    attention(normed, scope.at("attn"), {
      norm: norm1,
      numHeads,
      queries: tokens,
      dropProbabilities: attentionDropout && ((p) => attentionDropout(p, site)),
    }),
  );
  context.record(`blocks.${index}.attn`, probabilities);
  const projected = context.dropout(attended, `${site}.proj`);
  const y = add(slice(x, { axis: 0, end: tokens }), context.dropPath(projected, 2 * index));
  const norm2 = normWeights(scope.at("norm2"), dim);
  const normedAgain = inScope("norm2", () => normalize(y));
  const expanded = inScope("mlp", () =>
    mlp(normedAgain, scope.at("mlp"), {
      norm: norm2,
      ratio: mlpRatio,
      dropHidden: context.dropping ? (hidden) => context.dropout(hidden, `${site}.fc1`) : undefined,
    }),
  );
  return add(y, context.dropPath(context.dropout(expanded, `${site}.fc2`), 2 * index + 1));
}
