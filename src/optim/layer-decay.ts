/**
 * Layers for layer-wise learning-rate decay (as BEiT and timm's param_groups_layer_decay count them): patch embedding,
 * tokens and positions are layer 0, block i is layer i + 1, the final norm goes with the last block, the heads come last.
 * Layer l learns with the rate times decay^(last − l).
 */
import type { ParameterSpec } from "../nn/parameters.ts";

const BLOCK = /^blocks\.(\d+)\./;
const EMBEDDING = /^(cls_token|dist_token|pos_embed|patch_embed\.)/;

/** Number of the layer that the heads are in. */
export function lastLayer(parameters: readonly ParameterSpec[]): number {
  const blocks = parameters.map(({ name }) => Number(BLOCK.exec(name)?.[1] ?? -1));
  return Math.max(-1, ...blocks) + 2;
}

/** Layer of the parameter of that name. */
export function layerOf(name: string, last: number): number {
  const block = BLOCK.exec(name)?.[1];
  if (block !== undefined) return Number(block) + 1;
  if (EMBEDDING.test(name)) return 0;
  return name.startsWith("norm.") ? last - 1 : last;
}
