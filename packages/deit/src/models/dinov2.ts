/**
 * DINOv2 (Oquab et al. 2023, https://arxiv.org/abs/2304.07193), S and B, without and with four register tokens (Darcet et al.
 * 2024, https://arxiv.org/abs/2309.16588): LayerScale, patches of 14 pixels, weights that were made without labels. They
 * have no classifier: a fine-tuning or a probe makes one for its own classes. With registers timm adds the class token's
 * position to the token and keeps those of the patches alone; files of the authors are read so, too (formats/key-maps.ts).
 */
import { ConfigError } from "../errors.ts";
import type { ModelOptions } from "./model.ts";
import { inputSizeOf } from "./model.ts";
import type { TransformerFamily, VisionTransformerConfig } from "./vision-transformer.ts";
import { modelOf } from "./vision-transformer.ts";

const SIZES = {
  small: { embedDim: 384, numHeads: 6 },
  base: { embedDim: 768, numHeads: 12 },
} as const;
/** Of the position embeddings: 37 × 37 patches. */
const SIZE = 518;
/** Of the published linear classifiers: 16 × 16 patches. */
const USUAL_SIZE = 224;
/** Of the authors' configurations. */
const LAYER_SCALE = 1e-5;

const NAMES: readonly string[] = Object.keys(SIZES).flatMap((variant) => [
  `vit_${variant}_patch14_dinov2`,
  `vit_${variant}_patch14_reg4_dinov2`,
]);

function configOf(name: string, options: ModelOptions): VisionTransformerConfig {
  const [, variant = ""] = name.split("_");
  const dims = variant === "small" || variant === "base" ? SIZES[variant] : undefined;
  if (dims === undefined || !NAMES.includes(name))
    throw new ConfigError("model", `no DINOv2 ${name}`, { code: "model/unknown-name" });
  return {
    ...dims,
    depth: 12,
    patchSize: 14,
    mlpRatio: 4,
    distilled: false,
    layerScale: LAYER_SCALE,
    ...(name.includes("_reg4_") && { registers: 4, patchPositions: true }),
    resampling: "antialias",
    numClasses: options.numClasses ?? 1000,
    inputSize: inputSizeOf(options, SIZE),
  };
}

export const dinov2s: TransformerFamily = {
  names: NAMES,
  config: configOf,
  create: (name, options) => modelOf(name, configOf(name, options), { usualSize: USUAL_SIZE }),
};
