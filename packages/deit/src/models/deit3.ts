/**
 * DeiT III (Touvron, Cord and Jégou 2022, https://arxiv.org/abs/2204.07118; facebookresearch/deit, models_v2.py): LayerScale
 * on both branches, positions of the patches alone, the same rate of stochastic depth in all blocks. S, M and B are to be
 * trained; L and H are too large for that on one machine, and serve as teachers and to predict.
 */
import { ConfigError } from "../errors.ts";
import type { ModelOptions } from "./model.ts";
import { inputSizeOf } from "./model.ts";
import type { TransformerFamily, VisionTransformerConfig } from "./vision-transformer.ts";
import { modelOf } from "./vision-transformer.ts";

const SIZES = {
  small: { embedDim: 384, numHeads: 6, depth: 12, patchSize: 16 },
  medium: { embedDim: 512, numHeads: 8, depth: 12, patchSize: 16 },
  base: { embedDim: 768, numHeads: 12, depth: 12, patchSize: 16 },
  large: { embedDim: 1024, numHeads: 16, depth: 24, patchSize: 16 },
  huge: { embedDim: 1280, numHeads: 16, depth: 32, patchSize: 14 },
} as const;

const PRESETS: ReadonlyMap<string, (typeof SIZES)[keyof typeof SIZES] & { readonly size: number }> = new Map(
  Object.entries(SIZES).flatMap(([variant, dims]) =>
    (variant === "huge" ? [224] : [224, 384]).map(
      (size) => [`deit3_${variant}_patch${dims.patchSize}_${size}`, { ...dims, size }] as const,
    ),
  ),
);

/** models_v2.py starts all sizes so. */
const LAYER_SCALE = 1e-4;

function configOf(name: string, options: ModelOptions): VisionTransformerConfig {
  const preset = PRESETS.get(name);
  if (preset === undefined)
    throw new ConfigError("model", `no DeiT III ${name}`, { code: "model/unknown-name" });
  const { size, ...dims } = preset;
  return {
    ...dims,
    mlpRatio: 4,
    distilled: false,
    layerScale: LAYER_SCALE,
    patchPositions: true,
    dropPathRule: "constant",
    resampling: "antialias",
    numClasses: options.numClasses ?? 1000,
    inputSize: inputSizeOf(options, size),
  };
}

export const deit3s: TransformerFamily = {
  names: [...PRESETS.keys()],
  config: configOf,
  create: (name, options) => modelOf(name, configOf(name, options), { preprocessing: { cropRatio: 1 } }),
};
