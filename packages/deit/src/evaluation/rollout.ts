/**
 * Attention rollout (Abnar & Zuidema 2020): how much of each place of the input has come together in a token after all
 * layers, if attention were all that moves information. A layer's attention, its heads fused to one, is mixed half and
 * half with the residual path, its rows are normalised, and the layers' matrices are multiplied.
 */

export const HEAD_FUSIONS = ["mean", "max", "min"] as const;
/** How the heads of a layer become one matrix. */
export type HeadFusion = (typeof HEAD_FUSIONS)[number];

export interface RolloutOptions {
  /** Tokens before the patches, whose rows are wanted. */
  readonly rows: number;
  /** Tokens, patches included. */
  readonly tokens: number;
  /** The smallest entries of each layer's fused matrix to leave out, 0 (none) to below 1. As in vit-explain. */
  readonly discardRatio?: number;
}

/** The part of each layer's output that is its input. */
const RESIDUAL = 0.5;

/**
 * fused: of each layer, first to last, its heads' attention as one matrix [N, N] → rollout [rows, N], each row 1 together.
 * Only the wanted rows are carried through: the last layer's, times the layer's before it, and so on.
 */
export function rollout(
  fused: readonly Float32Array[],
  { rows, tokens, discardRatio = 0 }: RolloutOptions,
): Float64Array {
  let carried = Float64Array.from({ length: rows * tokens }, (_, i) =>
    Math.floor(i / tokens) === i % tokens ? 1 : 0,
  );
  for (const layer of fused.toReversed()) {
    const kept = discardRatio > 0 ? withoutSmallest(layer, discardRatio) : layer;
    const next = new Float64Array(rows * tokens);
    for (let middle = 0; middle < tokens; middle++) {
      const from = middle * tokens;
      let total = 0;
      for (let j = 0; j < tokens; j++) total += kept[from + j] as number;
      // the row of ½A + ½I, divided by its sum
      const scale = 1 / ((1 - RESIDUAL) * total + RESIDUAL);
      for (let row = 0; row < rows; row++) {
        const weight = (carried[row * tokens + middle] as number) * scale;
        if (weight === 0) continue;
        const to = row * tokens;
        const part = weight * (1 - RESIDUAL);
        for (let j = 0; j < tokens; j++)
          next[to + j] = (next[to + j] as number) + part * (kept[from + j] as number);
        next[to + middle] = (next[to + middle] as number) + weight * RESIDUAL;
      }
    }
    carried = next;
  }
  return carried;
}

/** The smallest share of the entries set to 0; what the class token gives to itself stays. */
function withoutSmallest(matrix: Float32Array, share: number): Float32Array {
  const count = Math.floor(matrix.length * share);
  const least = matrix.toSorted()[count] ?? Number.POSITIVE_INFINITY;
  const kept = matrix.map((value) => (value < least ? 0 : value));
  kept[0] = matrix[0] ?? 0;
  return kept;
}
