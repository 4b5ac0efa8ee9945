/** Parameter groups by the reference's rules: what weight decay leaves alone. */
import type { Layout, ParameterGroup } from "../nn/layout.ts";
import { createLayout } from "../nn/layout.ts";
import type { ParameterSpec } from "../nn/parameters.ts";
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

/** Where a model's parameters lie, by these groups. `layerDecay` below 1 gives each layer a rate of its own. */
export function modelLayout(
  {
    parameters,
    noWeightDecay,
  }: {
    readonly parameters: readonly ParameterSpec[];
    readonly noWeightDecay: readonly string[];
  },
  { layerDecay = 1 }: { layerDecay?: number } = {},
): Layout {
  const groupOf = decayGroups(noWeightDecay);
  if (layerDecay === 1) return createLayout(parameters, { groupOf });
  const { layerOf, last } = layersOf(parameters);
  return createLayout(parameters, {
    groupOf: (spec) => {
      const group = groupOf(spec);
      const layer = layerOf(spec.name);
      return { ...group, name: `${group.name}.layer${layer}`, lrScale: layerDecay ** (last - layer) };
    },
  });
}
