/**
 * The plain vision transformers of "How to train your ViT?" (Steiner et al. 2021, https://arxiv.org/abs/2106.10270), by timm's
 * names: DeiT's shapes, another training, pixels of -1 to 1. `_avg`: the same blocks with a head on the mean of the patches,
 * timm's global_pool="avg" (its norm is then called fc_norm).
 */
import { ConfigError } from "../errors.ts";
import type { ModelOptions } from "./model.ts";
import { inputSizeOf } from "./model.ts";
import type { TransformerFamily, VisionTransformerConfig } from "./vision-transformer.ts";
import { modelOf } from "./vision-transformer.ts";

const SIZES = {
  tiny: { embedDim: 192, numHeads: 3, patches: [16] },
  small: { embedDim: 384, numHeads: 6, patches: [16, 32] },
  base: { embedDim: 768, numHeads: 12, patches: [16, 32] },
} as const;

interface Preset {
  readonly embedDim: number;
  readonly numHeads: number;
  readonly patchSize: number;
  readonly size: number;
}

const PRESETS: ReadonlyMap<string, Preset> = new Map(
  Object.entries(SIZES).flatMap(([variant, { patches, ...dims }]) =>
    patches.flatMap((patchSize) =>
      [224, 384].map((size): [string, Preset] => [
        `vit_${variant}_patch${patchSize}_${size}`,
        { ...dims, patchSize, size },
      ]),
    ),
  ),
);

const NAMES: readonly string[] = [...PRESETS.keys()].flatMap((name) => [
  name,
  name.replace("_patch", "_avg_patch"),
]);

const HALF = [0.5, 0.5, 0.5] as const;

function presetOf(name: string): Preset {
  const preset = NAMES.includes(name) ? PRESETS.get(name.replace("_avg", "")) : undefined;
  if (preset !== undefined) return preset;
  throw new ConfigError("model", `no vision transformer ${name}`, { code: "model/unknown-name" });
}

function configOf(name: string, options: ModelOptions): VisionTransformerConfig {
  const { size, ...dims } = presetOf(name);
  return {
    ...dims,
    depth: 12,
    mlpRatio: 4,
    distilled: false,
    ...(name.includes("_avg_") && { pooling: "average" }),
    resampling: "antialias",
    numClasses: options.numClasses ?? 1000,
    inputSize: inputSizeOf(options, size),
  };
}

export const augregs: TransformerFamily = {
  names: NAMES,
  config: configOf,
  create: (name, options) =>
    modelOf(name, configOf(name, options), {
      preprocessing: { mean: HALF, std: HALF, cropRatio: presetOf(name).size === 384 ? 1 : 0.9 },
    }),
};
