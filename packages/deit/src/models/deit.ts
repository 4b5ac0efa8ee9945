/** The DeiTs by name: Table 1's Ti, S, B and their distilled forms, and small ones for 32-pixel images. */
import { ConfigError } from "../errors.ts";
import type { ModelOptions } from "./model.ts";
import { inputSizeOf } from "./model.ts";
import type { TransformerFamily, VisionTransformer, VisionTransformerConfig } from "./vision-transformer.ts";
import { modelOf } from "./vision-transformer.ts";

/** What distinguishes a registered model; the rest is shared by all DeiTs. */
type Preset = Pick<VisionTransformerConfig, "embedDim" | "numHeads" | "depth" | "patchSize"> & {
  readonly size: number;
  readonly classes: number;
};

const TABLE_1 = {
  tiny: { embedDim: 192, numHeads: 3 },
  small: { embedDim: 384, numHeads: 6 },
  base: { embedDim: 768, numHeads: 12 },
} as const;

const PRESETS: Readonly<Record<string, Preset>> = Object.fromEntries([
  ...Object.entries(TABLE_1).flatMap(([variant, dims]) =>
    [224, 384].map((size) => [
      `deit_${variant}*_patch16_${size}`,
      { ...dims, depth: 12, patchSize: 16, size, classes: 1000 },
    ]),
  ),
  // For 32-pixel images on a CPU: width and depth in the name, heads of 32.
  ...[
    [64, 4],
    [96, 6],
    [128, 6],
    [192, 6],
  ].map(([embedDim = 0, depth = 0]) => [
    `deit_w${embedDim}d${depth}*_patch4_32`,
    { embedDim, depth, numHeads: embedDim / 32, patchSize: 4, size: 32, classes: 10 },
  ]),
]);

const NAMES: readonly string[] = Object.keys(PRESETS).flatMap((pattern) => [
  pattern.replace("*", ""),
  pattern.replace("*", "_distilled"),
]);

/** The registered DeiT of that name. @throws ConfigError when there is none */
export function createDeit(name: string, options: ModelOptions = {}): VisionTransformer {
  return modelOf(name, configOf(name, options));
}

function configOf(name: string, options: ModelOptions): VisionTransformerConfig {
  const preset = PRESETS[name.replace("_distilled", "").replace(/_patch/, "*_patch")];
  if (preset === undefined) throw new ConfigError("model", `no DeiT ${name}`, { code: "model/unknown-name" });
  const { size, classes, ...dims } = preset;
  return {
    ...dims,
    mlpRatio: 4,
    distilled: name.includes("_distilled_"),
    numClasses: options.numClasses ?? classes,
    inputSize: inputSizeOf(options, size),
  };
}

export const deits: TransformerFamily = { names: NAMES, config: configOf, create: createDeit };
