/**
 * What is trained of a model, and how fast: everything, the heads, attention, the last blocks, or low-rank adapters; each
 * layer, when asked, slower than the next one (layer-wise learning-rate decay, as BEiT and timm's
 * param_groups_layer_decay count layers): the stem (patch embedding, tokens and positions, or a convnet's first convolution)
 * is layer 0, block i is layer i + 1, the final norm goes with the last block, the heads come last. Layer l learns with the
 * rate times decay^(last − l).
 */
import type { LoraOptions } from "./lora.ts";
import { isAdapter } from "./lora.ts";
import type { ParameterGroup, ParameterSpec } from "./parameters.ts";

/** Not trained: kept as the checkpoint has it. */
const FROZEN: ParameterGroup = { name: "frozen", decay: false, lrScale: 0, frozen: true };

/** Which parameters are trained; the others stay as they are. */
export interface TrainableOptions {
  /** Below 1 each block learns with the next one's rate times this. */
  readonly layerDecay?: number;
  /**
   * all; head: the classifiers alone (linear probe); attention: attention layers, positions and heads, as the reference's
   * --attn-only; last-N: the last N blocks, final norm and heads; lora: low-rank adapters and heads.
   */
  readonly trainable?: string;
  readonly lora?: LoraOptions;
}

/** The groups of a model's parameters; `groupOf`: those that they would be in if all were trained alike. */
export function trainableGroups(
  parameters: readonly ParameterSpec[],
  {
    groupOf,
    layerDecay = 1,
    trainable = "all",
  }: TrainableOptions & { readonly groupOf: (spec: ParameterSpec) => ParameterGroup },
): (spec: ParameterSpec) => ParameterGroup {
  const layers = layersOf(parameters);
  const isTrained = trainedBy(trainable, layers);
  return (spec) => {
    if (!isTrained(spec.name)) return FROZEN;
    const group = groupOf(spec);
    if (layerDecay === 1) return group;
    const layer = layers.layerOf(spec.name);
    return { ...group, name: `${group.name}.layer${layer}`, lrScale: layerDecay ** (layers.last - layer) };
  };
}

/** Whether the parameter of a name is trained. */
function trainedBy(trainable: string, { layerOf, last }: Layers): (name: string) => boolean {
  const isHead = (name: string): boolean => layerOf(name) === last;
  switch (trainable) {
    case "all":
      return () => true;
    case "head":
      return isHead;
    case "attention":
      return (name) => name.includes(".attn.") || name === "pos_embed" || isHead(name);
    case "lora":
      return (name) => isAdapter({ name }) || isHead(name);
    default: {
      const blocks = Number(/^last-(\d+)$/.exec(trainable)?.[1]);
      return (name) => layerOf(name) >= last - blocks;
    }
  }
}

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
