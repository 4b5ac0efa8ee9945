/**
 * Multi-head self-attention between the projections (§3 of the paper: softmax(QKᵀ/√d)V), as one operation with
 * a gradient written by hand. The projections themselves are `linear`, see nn/attention.ts.
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Target, Value } from "../graph.ts";
import { createNode, hasChains, output } from "../graph.ts";
import { dimAt, sameShape } from "../shape.ts";
import { reshape, sum } from "./broadcast.ts";
import { full, mul, sub } from "./elementwise.ts";
import { fusedAttention, fusedAttentionGradient, statisticsShape } from "./fused-attention.ts";
import { transpose } from "./layout.ts";
import { matmul } from "./matmul.ts";
import { softmax } from "./softmax.ts";

/**
 * Inputs: queries [Q, B, D], keys and values [N, B, D], tokens first: then a head is a batch entry of a product
 * that reads its operand as it lies; perhaps factors of the probabilities [B, h, Q, N]. Outputs: attended [Q, B, D];
 * then, for the gradient to reuse, the probabilities [B·h, Q, N], without the factors, and where attention is an operation of
 * our own (fused-attention.ts) statistics of the scores, from which it computes the probabilities again.
 */
const attentionOp: OpDefinition<{ numHeads: number }> = {
  name: "attention",
  differentiableOutputs: 1,
  infer: ([q, k, v, ...factors], { numHeads }) => {
    const [queries = 0, batch = 0, dim = 0] = q.shape;
    const expected = [k.shape[0] ?? 0, batch, dim];
    if (q.shape.length !== 3 || !sameShape(k.shape, expected) || !sameShape(v.shape, expected)) {
      throw new ShapeError(
        "attention",
        [q.shape, k.shape, v.shape],
        "queries [Q, B, D], keys and values [N, B, D]",
      );
    }
    if (dim % numHeads !== 0) {
      throw new ShapeError("attention", [q.shape], `a width that ${numHeads} heads divide, not ${dim}`);
    }
    const all = [batch, numHeads, queries, dimAt(k.shape, 0)];
    const wrong = factors.find(({ shape }) => !sameShape(shape, all));
    if (wrong !== undefined)
      throw new ShapeError("attention", [q.shape, k.shape, wrong.shape], `factors of [${all.join(", ")}]`);
    const { dtype } = q;
    return [
      q,
      { dtype, shape: [batch * numHeads, queries, dimAt(k.shape, 0)] },
      { dtype, shape: statisticsShape(q.shape, numHeads) },
    ];
  },
  lower: ([q, k, v, ...factors], { numHeads }, target) => {
    const scores = matmul(heads(q, numHeads), heads(k, numHeads), {
      transBatchA: true,
      transBatchB: true,
      transB: true,
      alpha: scaleOf(q, numHeads),
    });
    const probabilities = softmax(scores);
    if (isFused(target, factors)) {
      const [fused, statistics] = fusedAttention({ q, k, v }, numHeads);
      return [fused, probabilities, statistics];
    }
    const attended = matmul(multiplied(probabilities, factors), heads(v, numHeads), { transBatchB: true });
    return [tokensFirst(attended, q.shape), probabilities, full([1], 0)];
  },
  gradient: ({ inputs: [q, k, v, ...factors], outputs, grad, attributes }) => {
    const [attended, probabilities, statistics] = outputs;
    const given = [q, k, v, attended, probabilities, statistics, grad, ...factors];
    return createNode(attentionGradientOp, given, attributes).outputs;
  },
};

/** Inputs: q, k, v, attention's outputs, the gradient by the first of them, and the factors. Outputs: gradients by q, k, v. */
const attentionGradientOp: OpDefinition<{ numHeads: number }> = {
  name: "attentionGradient",
  infer: ([q, k, v]) => [q, k, v],
  lower: ([q, k, v, attended, probabilities, statistics, grad, ...factors], { numHeads }, target) => {
    if (isFused(target, factors))
      return fusedAttentionGradient({ q, k, v }, { attended, statistics, grad }, numHeads);
    const alpha = scaleOf(q, numHeads);
    const byAttended = heads(grad, numHeads); // [Q, B·h, d]
    const weights = multiplied(probabilities, factors);
    const byV = matmul(weights, byAttended, { transA: true, transBatchB: true });
    // Softmax's row sums Σ P∘dP equal Σ dO∘O, which runs over d and not over N, with factors or without.
    const rowSums = sum(mul(byAttended, heads(attended, numHeads)), -1); // [Q, B·h]
    const byWeights = matmul(byAttended, heads(v, numHeads), {
      transB: true,
      transBatchA: true,
      transBatchB: true,
    });
    const byProbabilities = multiplied(byWeights, factors);
    const spread = reshape(transpose(rowSums), probabilities.shape.with(2, 1)); // [B·h, Q, 1]
    const byScores = mul(probabilities, sub(byProbabilities, spread));
    const byQ = matmul(byScores, heads(k, numHeads), { transBatchB: true, alpha });
    const byK = matmul(byScores, heads(q, numHeads), { transA: true, transBatchB: true, alpha });
    return [tokensFirst(byQ, q.shape), tokensFirst(byK, k.shape), tokensFirst(byV, v.shape)];
  },
};

/** Whether attention is one operation of our own: it knows no dropout. */
function isFused(target: Target, factors: readonly Value[]): boolean {
  return hasChains(target) && factors.length === 0;
}

export interface AttentionOptions {
  readonly numHeads: number;
  /** What the probabilities [B, numHeads, Q, N] are multiplied by before they weigh the values: dropout. No gradient. */
  readonly factors?: Value | undefined;
}

/**
 * Scaled dot-product attention, tokens first. q: [Q, B, D], k and v: [N, B, D] → attended [Q, B, D] and the
 * probabilities [B, numHeads, Q, N], without `factors` (to look at: they carry no gradient).
 */
export function attention(
  { q, k, v }: { q: Value; k: Value; v: Value },
  { numHeads, factors }: AttentionOptions,
): { attended: Value; probabilities: Value } {
  const node = createNode(attentionOp, factors === undefined ? [q, k, v] : [q, k, v, factors], { numHeads });
  const [queries = 1, batch = 1] = q.shape;
  return {
    attended: output(node, 0),
    probabilities: reshape(output(node, 1), [batch, numHeads, queries, dimAt(k.shape, 0)]),
  };
}

/** [B·h, Q, N], times factors [B, h, Q, N] if there are any. */
function multiplied(x: Value, factors: readonly Value[]): Value {
  return factors.reduce((product, factor) => mul(product, reshape(factor, x.shape)), x);
}

function scaleOf(q: Value, numHeads: number): number {
  return (dimAt(q.shape, 2) / numHeads) ** -0.5;
}

/** [N, B, D] → [N, B·h, d]: no element moves. */
function heads(x: Value, numHeads: number): Value {
  const [tokens = 1, batch = 1, dim = 1] = x.shape;
  return reshape(x, [tokens, batch * numHeads, dim / numHeads]);
}

/** [B·h, N, d] → [N, B, D]. */
function tokensFirst(x: Value, shape: readonly number[]): Value {
  return reshape(transpose(x, [1, 0, 2]), shape);
}
