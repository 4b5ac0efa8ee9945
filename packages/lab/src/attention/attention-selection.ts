/** Layers and heads that maps are drawn of, and how the answers beside them are written. */
import type { AttentionSource, TokenMaps } from "./attention.ts";

/** Which layers and heads, from 1; undefined for all. Their maps are files of their own where either is named. */
export interface Selection {
  readonly layers?: readonly number[] | undefined;
  readonly heads?: readonly number[] | undefined;
}

/** One head's map. */
export interface HeadMap {
  readonly map: Float32Array;
  readonly layer: number;
  readonly head: number;
}

/** Maps of the selected layers and heads, head by head. */
export function selected({ heads }: TokenMaps, source: AttentionSource, selection: Selection): HeadMap[][] {
  const { layers, heads: wanted } = chosen(source, selection);
  return wanted.map((head) =>
    layers.map((layer) => ({
      layer,
      head,
      map: heads[layer - 1]?.[head - 1] ?? new Float32Array(source.grid[0] * source.grid[1]),
    })),
  );
}

/** Layers and heads from 1. */
export function chosen(
  { layers, headsPerLayer }: AttentionSource,
  selection: Selection,
): { layers: readonly number[]; heads: readonly number[] } {
  const all = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
  return { layers: selection.layers ?? all(layers), heads: selection.heads ?? all(headsPerLayer) };
}

export function answer({ label, score }: { label: string; score: number }): string {
  return `${label}, ${percent(score)}`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}
