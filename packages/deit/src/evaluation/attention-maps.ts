/**
 * Where class and distillation token look in one image: the attention of each head and layer, and its rollout over all
 * layers, as a readout of the forward pass and as what its outputs hold. Pure: also for a page.
 */
import type { Value } from "../graph/graph.ts";
import { max, mean, neg, reshape, slice } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { TensorData } from "../runtime/runtime.ts";
import type { Intermediates, Readout, TokenName } from "./intermediates.ts";
import { requireTransformer, stack, tokenNames } from "./intermediates.ts";
import { headOutputs } from "./evaluation-program.ts";
import type { HeadFusion } from "./rollout.ts";
import { rollout } from "./rollout.ts";

/** One token of one image. Maps are [rows · columns] of patches, row by row. */
export interface TokenAttention {
  readonly token: TokenName;
  /** Attention to the patches by layer and head, from 0: `heads[layer][head]`. With `toTokens` it adds up to 1. */
  readonly heads: readonly (readonly Float32Array[])[];
  /** Attention to the tokens before the patches, in their order: `toTokens[layer][head]`. */
  readonly toTokens: readonly (readonly Float32Array[])[];
  /** All layers together; with `rolloutToTokens` it adds up to 1. */
  readonly rollout: Float32Array;
  readonly rolloutToTokens: Float32Array;
}

/**
 * The heads' logits and `mapOutputs`. A layer's attention is [heads, N, N]: what leaves the device are the rows of the
 * tokens before the patches, and its heads fused to one matrix.
 */
export function attentionReadout(headFusion: HeadFusion): Readout {
  return {
    name: `attention.${headFusion}`,
    outputs: (inside) => ({ ...headOutputs(inside.heads), ...mapOutputs(inside, headFusion) }),
  };
}

/** Outputs `rows` [B, L, h, p, N], the attention of the p tokens that heads read, and `fused` [B, L, N, N]. */
export function mapOutputs(
  { attention, model }: Pick<Intermediates, "attention" | "model">,
  headFusion: HeadFusion,
): Record<"rows" | "fused", Value> {
  const tokens = tokenNames(requireTransformer(model)).length;
  return {
    rows: stack(attention.map((p) => slice(p, { axis: 2, end: tokens }))),
    fused: stack(attention.map((p) => fuse(p, headFusion))),
  };
}

/** [B, h, N, N] → [B, N, N]. */
function fuse(p: Value, fusion: HeadFusion): Value {
  if (dimAt(p.shape, 1) === 1) return reshape(p, p.shape.toSpliced(1, 1));
  if (fusion === "mean") return mean(p, 1);
  return fusion === "max" ? max(p, 1) : neg(max(neg(p), 1));
}

export interface ReadMapsOptions {
  /** [rows, columns] of patches. */
  readonly grid: readonly [number, number];
  readonly layers: number;
  readonly headsPerLayer: number;
  /** All tokens that the model's heads read. */
  readonly tokens: readonly TokenName[];
  /** Register tokens between these and the patches. Default 0. */
  readonly registers?: number | undefined;
  readonly discardRatio?: number;
}

/** The outputs of {@link attentionReadout} for one image, token by token. */
export function readMaps(
  outputs: Readonly<Record<string, TensorData>>,
  { grid, layers, headsPerLayer, tokens: has, registers = 0, discardRatio = 0 }: ReadMapsOptions,
): TokenAttention[] {
  const prefix = has.length + registers;
  const tokens = prefix + grid[0] * grid[1];
  const rows = floatsOf(outputs, "rows");
  const fused = floatsOf(outputs, "fused");
  const layer = (index: number): Float32Array =>
    fused.subarray(index * tokens * tokens, (index + 1) * tokens * tokens);
  const rolled = rollout(
    Array.from({ length: layers }, (_, index) => layer(index)),
    { rows: has.length, tokens, discardRatio },
  );
  return has.map((token, at) => {
    const row = (index: number, head: number): Float32Array => {
      const start = ((index * headsPerLayer + head) * has.length + at) * tokens;
      return rows.slice(start, start + tokens);
    };
    const all = Array.from({ length: layers }, (_, index) =>
      Array.from({ length: headsPerLayer }, (_, head) => row(index, head)),
    );
    const own = Float32Array.from(rolled.subarray(at * tokens, (at + 1) * tokens));
    return {
      token,
      heads: all.map((heads) => heads.map((map) => map.subarray(prefix))),
      toTokens: all.map((heads) => heads.map((map) => map.subarray(0, prefix))),
      rollout: own.subarray(prefix),
      rolloutToTokens: own.subarray(0, prefix),
    };
  });
}

function floatsOf(outputs: Readonly<Record<string, TensorData>>, name: string): Float32Array {
  const data = outputs[name];
  if (data instanceof Float32Array) return data;
  throw new TypeError(`a program returned no float32 ${name}`);
}
