/**
 * Names of vision transformers that are not registered. They say all dimensions, so that a run, an export or a metadata
 * field that names one makes the same model again: vit_w64d2h1_patch8_32 is 64 wide, 2 blocks deep, with 1 head.
 */
import type { ModelOptions } from "./model.ts";
import { inputSizeOf } from "./model.ts";
import type { VisionTransformer, VisionTransformerConfig } from "./vision-transformer.ts";
import { modelOf } from "./vision-transformer.ts";

type Dimensions = Omit<VisionTransformerConfig, "numClasses">;

const USUAL_MLP_RATIO = 4;
/** ImageNet's, of models that nobody tells their classes. */
export const USUAL_CLASSES = 1000;
/** What LayerScale starts from where the weights, which are trained, do not say it. */
const USUAL_LAYER_SCALE = 1e-4;
/** Digits are few: a name in a file may be anybody's. */
const NAME =
  /^vit_w(\d{1,5})d(\d{1,3})h(\d{1,3})(?:r(\d{1,3}(?:\.\d{1,20})?))?(_distilled)?(_ls)?(?:_reg(\d{1,3}))?(_pp)?(_avg)?_patch(\d{1,3})_(\d{1,5})(?:x(\d{1,5}))?$/u;

/** The parts that DeiT has not, as a configuration; nothing of a plain model. */
export function laterParts(
  parts: Pick<VisionTransformerConfig, "registers" | "patchPositions" | "pooling"> & {
    readonly layerScale?: boolean | undefined;
  },
): Pick<VisionTransformerConfig, "layerScale" | "registers" | "patchPositions" | "pooling" | "resampling"> {
  const { layerScale = false, registers = 0, patchPositions = false, pooling = "token" } = parts;
  const isPlain = !layerScale && registers === 0 && !patchPositions && pooling === "token";
  return {
    ...(layerScale && { layerScale: USUAL_LAYER_SCALE }),
    ...(registers > 0 && { registers }),
    ...(patchPositions && { patchPositions }),
    ...(pooling === "average" && { pooling }),
    ...(!isPlain && { resampling: "antialias" as const }),
  };
}

/**
 * vit_w<width>d<depth>h<heads>[r<MLP ratio>][_distilled][_ls][_reg<registers>][_pp][_avg]_patch<pixels>_<side, or height x width>:
 * ls for LayerScale, pp for positions of patches alone, avg for a head on the mean of the patches.
 */
export function dimensionName(dimensions: Dimensions): string {
  const { embedDim, depth, numHeads, mlpRatio, distilled, patchSize, inputSize } = dimensions;
  const ratio = mlpRatio === USUAL_MLP_RATIO ? "" : `r${mlpRatio}`;
  const size = inputSize[0] === inputSize[1] ? `${inputSize[0]}` : inputSize.join("x");
  const { layerScale, registers = 0, patchPositions = false, pooling } = dimensions;
  const parts = [
    distilled && "_distilled",
    layerScale !== undefined && "_ls",
    registers > 0 && `_reg${registers}`,
    patchPositions && "_pp",
    pooling === "average" && "_avg",
  ].filter((part) => part !== false);
  return `vit_w${embedDim}d${depth}h${numHeads}${ratio}${parts.join("")}_patch${patchSize}_${size}`;
}

/** The model of such a name; undefined for other names. @throws ConfigError for dimensions that make no model */
export function createByDimensions(name: string, options: ModelOptions): VisionTransformer | undefined {
  const found = NAME.exec(name);
  if (found === null) return undefined;
  const [, width, depth, heads, ratio, distilled, scaled, registers, patchPositions, averaged, ...rest] =
    found;
  const [patch, height, other = height] = rest;
  const dimensions = [width, depth, heads, patch, height, other].map(Number);
  if (dimensions.includes(0)) return undefined;
  const [embedDim = 0, blocks = 0, numHeads = 0, patchSize = 0, rows = 0, columns = 0] = dimensions;
  return modelOf(name, {
    embedDim,
    depth: blocks,
    numHeads,
    patchSize,
    mlpRatio: ratio === undefined ? USUAL_MLP_RATIO : Number(ratio),
    distilled: distilled !== undefined,
    ...laterParts({
      layerScale: scaled !== undefined,
      registers: Number(registers ?? 0),
      patchPositions: patchPositions !== undefined,
      pooling: averaged === undefined ? "token" : "average",
    }),
    numClasses: options.numClasses ?? USUAL_CLASSES,
    inputSize: options.inputSize === undefined ? [rows, columns] : inputSizeOf(options, rows),
  });
}
