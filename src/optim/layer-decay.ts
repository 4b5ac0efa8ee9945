/**
 * Layers for layer-wise learning-rate decay (as BEiT and timm's param_groups_layer_decay count them): the stem (patch
 * embedding, tokens and positions, or a convnet's first convolution) is layer 0, block i is layer i + 1, the final norm goes
 * with the last block, the heads come last. Layer l learns with the rate times decay^(last − l).
 */
import type { ParameterSpec } from "../nn/parameters.ts";

/** Of transformers, RegNet, and ResNet for CIFAR. */
const BLOCK = /^(?:blocks\.\d+|s\d+\.b\d+|layer\d+\.\d+)\./;
const STEM = /^(?:cls_token|dist_token|pos_embed|patch_embed\.|stem\.|conv1\.|bn1\.)/;

export interface Layers {
  /** Layer of the parameter of that name. */
  layerOf(name: string): number;
  /** The layer that the heads are in. */
  readonly last: number;
}

/** The layers of a model's parameters, which are in the model's order. */
export function layersOf(parameters: readonly ParameterSpec[]): Layers {
  const found = parameters.flatMap(({ name }) => BLOCK.exec(name)?.[0] ?? []);
  const blocks = [...new Set(found)];
  const last = blocks.length + 1;
  return {
    last,
    layerOf: (name) => {
      const block = BLOCK.exec(name)?.[0];
      if (block !== undefined) return blocks.indexOf(block) + 1;
      if (STEM.test(name)) return 0;
      return name.startsWith("norm.") ? last - 1 : last;
    },
  };
}
