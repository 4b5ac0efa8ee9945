/**
 * Attention and its gradient as operations of our own (native/attention.c), where the target has them: scores and
 * probabilities are never written to memory, heads are read and written as they lie. Made by lowering ops/attention.ts; the
 * interpreter never meets them.
 */
import type { OpDefinition, Value } from "../graph.ts";
import { createNode, operands, output } from "../graph.ts";
import { dimAt, sameShape } from "../shape.ts";
import { CHAIN_DOMAIN } from "./chain.ts";
import { split } from "./layout.ts";

interface Heads extends Readonly<Record<string, unknown>> {
  readonly numHeads: number;
}

/** Numbers in a vector, at most: the kernels take what the processor has. */
const LANES = 16;

/** What the kernels ask for. q: [Q, B, D], k: [N, B, D]. */
function sizes([queries = 1, batch = 1, dim = 1]: readonly number[], tokens: number, heads: number) {
  return { queries, tokens, batch, heads, size: dim / heads, lanes: LANES };
}

const fusedAttentionOp: OpDefinition<Heads> = {
  name: "fusedAttention",
  infer: ([q], { numHeads }) => [q, { dtype: q.dtype, shape: statisticsShape(q.shape, numHeads) }],
  onnx: ([q, k], { numHeads }) => ({
    type: "Attention",
    domain: CHAIN_DOMAIN,
    attributes: sizes(q.shape, dimAt(k.shape, 0), numHeads),
  }),
};

const fusedAttentionGradientOp: OpDefinition<Heads> = {
  name: "fusedAttentionGradient",
  infer: ([q, k, v]) =>
    sameShape(q.shape, k.shape)
      ? [{ dtype: q.dtype, shape: q.shape.with(2, 3 * dimAt(q.shape, 2)) }]
      : [q, k, v],
  onnx: ([q, k], { numHeads }) => ({
    type: "AttentionGradient",
    domain: CHAIN_DOMAIN,
    attributes: sizes(q.shape, dimAt(k.shape, 0), numHeads),
  }),
};

/** Of every query [Q, B, D], by head: the largest of its scores, and 1/Σ exp(score − largest). */
export function statisticsShape([queries = 1, batch = 1]: readonly number[], numHeads: number): number[] {
  return [batch * numHeads, queries, 2];
}

interface Projections {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** Attended [Q, B, D], and the statistics of the scores. */
export function fusedAttention({ q, k, v }: Projections, numHeads: number): readonly [Value, Value] {
  const node = createNode(fusedAttentionOp, [q, k, v], { numHeads });
  return [output(node, 0), output(node, 1)];
}

/** Gradients by q, k and v; where their shapes are equal they are parts of one value. */
export function fusedAttentionGradient(
  { q, k, v }: Projections,
  given: { attended: Value; statistics: Value; grad: Value },
  numHeads: number,
): readonly [Value, Value, Value] {
  const { attended, statistics, grad } = given;
  const { outputs } = createNode(fusedAttentionGradientOp, [q, k, v, attended, statistics, grad], {
    numHeads,
  });
  const [joined] = operands(outputs);
  const dim = dimAt(q.shape, 2);
  const [byQ, byK, byV] = operands(outputs.length === 1 ? split(joined, [dim, dim, dim], 2) : outputs);
  return [byQ, byK, byV];
}
