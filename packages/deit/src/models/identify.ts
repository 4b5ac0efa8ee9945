/**
 * The model that fits given dimensions or tensors: a registered one where there is one, else a vision transformer of
 * those dimensions. For weights that do not say what they are.
 */
import { ConfigError } from "../errors.ts";
import { sizeOf } from "../graph/shape.ts";
import { dimensionName, laterParts, USUAL_CLASSES } from "./dimension-names.ts";
import type { VisionTransformer } from "./vision-transformer.ts";
import { modelOf } from "./vision-transformer.ts";
import type { Model } from "./model.ts";
import { patchGrid } from "./patch-embed.ts";
import { CONVNETS, createModel } from "./registry.ts";
import { createTransformer, TRANSFORMERS } from "./transformers.ts";
import type { VisionTransformerConfig } from "./vision-transformer.ts";

/** What the shapes of weights say (formats/architecture.ts). */
export interface ModelDimensions extends Pick<
  VisionTransformerConfig,
  "embedDim" | "depth" | "patchSize" | "mlpRatio" | "distilled" | "registers" | "patchPositions" | "pooling"
> {
  /** Whether both branches of the blocks are scaled by channel. */
  readonly layerScale?: boolean | undefined;
  /** 0 without a head. */
  readonly numClasses: number;
  readonly numPatches: number;
  /** [height, width]; undefined when the patches make no square. */
  readonly inputSize: readonly [number, number] | undefined;
}

/** What is known besides the shapes. */
export interface IdentifyOptions {
  /** A name by a config.json, "vit_small_patch16_224": which of several registered models with these tensors it is. */
  readonly name?: string | undefined;
  /** By a config.json; shapes do not tell. */
  readonly numHeads?: number | undefined;
  /** [height, width] of the images that the weights are for, when their patches make no square. */
  readonly inputSize?: readonly [number, number] | undefined;
  /** For weights without a head. */
  readonly numClasses?: number | undefined;
}

/** DeiT's heads are 64 wide in all sizes (Table 1). */
const HEAD_DIM = 64;

/**
 * The model whose tensors have these dimensions: the registered one (of its own size where two differ in that alone)
 * with the classes and the input of the weights, else one of these very dimensions, with heads 64 wide.
 * @throws ConfigError when the number of heads or the input's size cannot be determined
 */
export function identifyModel(dims: ModelDimensions, options: IdentifyOptions = {}): VisionTransformer {
  const { embedDim, depth, patchSize, mlpRatio, distilled } = dims;
  const inputSize = inputSizeOf(dims, options);
  const classes = dims.numClasses > 0 ? dims.numClasses : options.numClasses;
  const fitting = TRANSFORMERS.map((family) =>
    family.names
      .map((name) => ({ name, config: family.config(name, {}) }))
      .filter(
        ({ config }) =>
          sameTensors(config, dims) && (options.numHeads ?? config.numHeads) === config.numHeads,
      ),
  );
  const candidates =
    fitting.find((family) => family.some(({ name }) => name === options.name)) ??
    fitting.find((family) => family.length > 0) ??
    [];
  const registered =
    candidates.find(({ config }) => config.inputSize.join() === inputSize.join()) ?? candidates[0];
  const model = registered && createTransformer(registered.name, { numClasses: classes, inputSize });
  if (model !== undefined) return model;

  const numHeads = options.numHeads ?? embedDim / HEAD_DIM;
  if (!Number.isInteger(numHeads) || embedDim % numHeads !== 0) {
    const problem =
      options.numHeads === undefined
        ? `weights of width ${embedDim} do not determine the number of heads`
        : `${numHeads} heads, as config.json says, do not divide the width ${embedDim}`;
    throw new ConfigError("numHeads", problem, {
      code: "checkpoint/heads-unknown",
      hint: "Keep the config.json that belongs to them beside them.",
    });
  }
  const dimensions = {
    embedDim,
    depth,
    numHeads,
    patchSize,
    mlpRatio,
    distilled,
    inputSize,
    ...laterParts(dims),
  };
  return modelOf(dimensionName(dimensions), { ...dimensions, numClasses: classes ?? USUAL_CLASSES });
}

/** Whether a registered model has all parts that the shapes say, and no other. */
function sameTensors(config: VisionTransformerConfig, dims: ModelDimensions): boolean {
  return (
    config.embedDim === dims.embedDim &&
    config.depth === dims.depth &&
    config.patchSize === dims.patchSize &&
    config.mlpRatio === dims.mlpRatio &&
    config.distilled === dims.distilled &&
    (config.layerScale !== undefined) === (dims.layerScale ?? false) &&
    (config.registers ?? 0) === (dims.registers ?? 0) &&
    (config.patchPositions ?? false) === (dims.patchPositions ?? false) &&
    (config.pooling ?? "token") === (dims.pooling ?? "token")
  );
}

/** The size that the position embeddings are for. */
function inputSizeOf(
  { inputSize, numPatches, patchSize }: ModelDimensions,
  { inputSize: given }: IdentifyOptions,
): readonly [number, number] {
  if (given !== undefined && given.every((side) => side % patchSize === 0)) {
    if (sizeOf(patchGrid(given, patchSize)) === numPatches) return given;
  }
  if (inputSize !== undefined) return inputSize;
  throw new ConfigError(
    "inputSize",
    `the weights are for ${numPatches} patches of ${patchSize} pixels, which make no square` +
      (given === undefined ? "" : `, nor ${given.join("×")} pixels`),
    {
      code: "checkpoint/input-size-unknown",
      hint: `Give the image height and width that the weights are for: --input-size ${likelySizes(numPatches, patchSize)}.`,
    },
  );
}

/** Sizes of so many patches, the least oblong first; a landscape one and the same upright. */
function likelySizes(numPatches: number, patchSize: number): string {
  const rows: number[] = [];
  for (let row = Math.floor(Math.sqrt(numPatches)); row >= 1 && rows.length < 2; row--)
    if (numPatches % row === 0) rows.push(row);
  return rows
    .map((row) => [row * patchSize, (numPatches / row) * patchSize])
    .flatMap(([short, long]) => [`${short}x${long}`, `${long}x${short}`])
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1");
}

/**
 * The registered convnets with exactly these tensors, whatever their number of classes: two differ in their strides alone
 * (regnety_002, regnety_002_32), the one for larger images first. PyTorch's batch counters may be among the tensors.
 */
export function identifyConvnets(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): readonly Model[] {
  const names = [...tensors.keys()].filter((name) => !name.endsWith(".num_batches_tracked"));
  const shapeOf = (name: string): readonly number[] | undefined => tensors.get(name)?.shape;
  return CONVNETS.map((name) => createModel(name))
    .toSorted((a, b) => sizeOf(b.config.inputSize) - sizeOf(a.config.inputSize))
    .filter(({ parameters }) => parameters.length === names.length)
    .flatMap(({ name, classWeight }) => {
      const numClasses = shapeOf(classWeight)?.[0] ?? 0;
      return numClasses > 0 ? [createModel(name, { numClasses })] : [];
    })
    .filter(({ parameters }) =>
      parameters.every(({ name, shape }) => shapeOf(name)?.join() === shape.join()),
    );
}

/** What shapes do not say and is assumed of weights that say no more, in a sentence. */
export function assumptionsOf(found: VisionTransformer | readonly Model[]): string | undefined {
  if (!("config" in found)) {
    const [first, ...others] = found.map(({ name }) => name);
    return others.length === 0
      ? undefined
      : `its tensors are those of ${first} and of ${others.join()}, which differ in a stride: assumed ${first} (--model ${others[0]} takes the other)`;
  }
  const { embedDim, numHeads } = found.config;
  const isRegistered = TRANSFORMERS.some(({ names }) => names.includes(found.name));
  if (isRegistered && (embedDim / numHeads === HEAD_DIM || found.config.layerScale !== undefined))
    return undefined;
  return `its tensors do not determine the number of attention heads: assumed ${numHeads}, ${embedDim / numHeads} wide (a config.json beside it would specify it)`;
}
