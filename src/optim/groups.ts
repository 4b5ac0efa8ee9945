/** Parameter groups by the reference's rules: what weight decay leaves alone. */
import type { Layout, ParameterGroup } from "../nn/layout.ts";
import { createLayout } from "../nn/layout.ts";
import type { LoraOptions } from "../nn/lora.ts";
import { adapters, isAdaptable, isAdapter } from "../nn/lora.ts";
import type { ParameterSpec } from "../nn/parameters.ts";
import type { Layers } from "./layer-decay.ts";
import { layersOf } from "./layer-decay.ts";

const DECAY: ParameterGroup = { name: "decay", decay: true, lrScale: 1 };
const NO_DECAY: ParameterGroup = { name: "noDecay", decay: false, lrScale: 1 };

/**
 * No decay for vectors, biases and the names that the model exempts (pos_embed, cls_token). The distillation
 * token is decayed, which its authors confirmed to be meant.
 */
export function decayGroups(exempt: readonly string[]): (spec: ParameterSpec) => ParameterGroup {
  return ({ name, shape }) =>
    shape.length <= 1 || name.endsWith(".bias") || exempt.includes(name) ? NO_DECAY : DECAY;
}

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

/** Where a model's parameters lie, by these groups. */
export function modelLayout(
  {
    parameters,
    noWeightDecay,
  }: {
    readonly parameters: readonly ParameterSpec[];
    readonly noWeightDecay: readonly string[];
  },
  { layerDecay = 1, trainable = "all", lora }: TrainableOptions = {},
): Layout {
  const groupOf = decayGroups(noWeightDecay);
  const layers = layersOf(parameters);
  const isTrained = trainedBy(trainable, layers);
  const isLora = trainable === "lora" && lora !== undefined;
  const specs = isLora
    ? parameters.flatMap((spec) => (isAdaptable(spec) ? [spec, ...adapters(spec, lora)] : [spec]))
    : parameters;
  return createLayout(specs, {
    groupOf: (spec) => {
      if (!isTrained(spec.name)) return FROZEN;
      const group = groupOf(spec);
      if (layerDecay === 1) return group;
      const layer = layers.layerOf(spec.name);
      return { ...group, name: `${group.name}.layer${layer}`, lrScale: layerDecay ** (layers.last - layer) };
    },
    ...(isLora && { lora }),
  });
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
