/**
 * How evaluation prepares an image for a model: resized, the middle cut out, normalised. One value for every kind of
 * checkpoint; the readers of files (formats/preprocessor.ts, ONNX metadata) make it, evaluation and exports take it.
 */
import type { Normalisation } from "./normalisation.ts";
import { IMAGENET_NORMALISATION } from "./normalisation.ts";
import type { Interpolation } from "./resize.ts";
import type { EvaluationTransformOptions, ResizeMode } from "./transform.ts";

export interface Preprocessing extends Normalisation {
  /** [height, width] in pixels that the model sees. */
  readonly inputSize: readonly [height: number, width: number];
  /** How an image is brought to its resized size, before the input is cut out of its middle. */
  readonly resize: ResizeMode;
  readonly interpolation: Interpolation;
  /** Side of the input by that of the resized image: 0.875 is 224 of 256 pixels. */
  readonly cropRatio: number;
  /** [height, width] of the resized image, where ⌊inputSize / cropRatio⌋ is not exactly it. */
  readonly resizedSize?: readonly [height: number, width: number] | undefined;
  /** Images that have the input's size already, of at most 32 pixels a side, are taken whole (DeiT for CIFAR). */
  readonly smallWhole: boolean;
}

/** What some file says of it; the rest is somebody else's, or assumed. */
export type PartialPreprocessing = { readonly [Key in keyof Preprocessing]?: Preprocessing[Key] | undefined };

/** DeiT's evaluation (main.py): shorter side by the bicubic filter, 224 of 256 pixels, ImageNet's mean and std. */
export const DEIT_PREPROCESSING: Omit<Preprocessing, "inputSize"> = {
  ...IMAGENET_NORMALISATION,
  resize: "shorter-side",
  interpolation: "bicubic",
  cropRatio: 0.875,
  smallWhole: true,
};

/** What `parts` say, the first that says something of each, over DeiT's evaluation. */
export function completePreprocessing(
  inputSize: readonly [number, number],
  ...parts: readonly (PartialPreprocessing | undefined)[]
): Preprocessing {
  const said = mergePreprocessing(...parts, DEIT_PREPROCESSING);
  const isOther = said.inputSize !== undefined && said.inputSize.join() !== inputSize.join();
  return {
    ...DEIT_PREPROCESSING,
    ...defined(said),
    inputSize,
    ...(isOther && { resizedSize: undefined }),
  };
}

/** What `parts` say, the first that says something of each. A resized size goes with the ratio and mode of the same part. */
export function mergePreprocessing(
  ...parts: readonly (PartialPreprocessing | undefined)[]
): PartialPreprocessing {
  return parts.reduceRight<PartialPreprocessing>((merged, part = {}) => {
    const isOther = [part.cropRatio, part.inputSize, part.resize].some((value) => value !== undefined);
    return { ...merged, ...(isOther && { resizedSize: undefined }), ...defined(part) };
  }, {});
}

type Defined<T> = { readonly [Key in keyof T]?: Exclude<T[Key], undefined> };

function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** What is assumed of images for a model that does not say it all, in a sentence; undefined when it does. */
export function describeAssumed(
  file: string,
  { said, used }: { said: PartialPreprocessing; used: Preprocessing },
): string | undefined {
  const hasColours = said.mean !== undefined && said.std !== undefined;
  const hasSizes = said.resize !== undefined || said.cropRatio !== undefined;
  if (hasColours && hasSizes) return undefined;
  const [sizes, colours] = [describeSizes(used), describeColours(used)];
  if (hasSizes) return `${file} does not specify mean and std: assumed ${colours} (--mean, --std)`;
  if (hasColours)
    return `${file} does not specify how images are resized: assumed ${sizes} (--interpolation, --crop-ratio)`;
  return `${file} does not specify preprocessing: assumed ${sizes}, ${colours} (--mean, --std, --interpolation, --crop-ratio)`;
}

/** That files say another size than the model takes, in a sentence; undefined when they do not. */
export function describeOtherSize(
  file: string,
  { said, used }: { said: PartialPreprocessing; used: Preprocessing },
): string | undefined {
  const [size, model] = [said.inputSize?.join("×"), used.inputSize.join("×")];
  return size === undefined || size === model
    ? undefined
    : `images for ${file} should be ${size} by its settings, but the model takes ${model}, which is used`;
}

/** The transform that prepares images so. Normalising is left to the program. */
export function evaluationTransform(preprocessing: Preprocessing): EvaluationTransformOptions {
  const { inputSize, resize, interpolation, cropRatio, resizedSize, smallWhole, mean } = preprocessing;
  return {
    mode: "evaluation",
    size: inputSize,
    cropRatio,
    interpolation,
    resize,
    smallWhole,
    ...(resizedSize && { resizedSize }),
    ...(resize === "longer-side" && { border: colourOf(mean) }),
  };
}

/** In words: "shorter side to 256 (bicubic), 224×224 cut out of the middle, mean 0.5, std 0.5". */
export function describePreprocessing(preprocessing: Preprocessing): string {
  return `${describeSizes(preprocessing)}, ${describeColours(preprocessing)}`;
}

function describeSizes(preprocessing: Preprocessing): string {
  const { inputSize, resize, interpolation } = preprocessing;
  const resized = resizedSizeOf(preprocessing);
  const sides = resized[0] === resized[1] ? String(resized[0]) : resized.join("×");
  const isCut = resize === "none" || resized.some((length, i) => length !== inputSize[i]);
  const step = {
    "shorter-side": `shorter side to ${sides} (${interpolation})`,
    "longer-side": `longer side to ${sides} (${interpolation}), the rest filled`,
    squash: `squashed to ${resized.join("×")} (${interpolation})`,
    none: "not resized",
  }[resize];
  return isCut || resize === "shorter-side" ? `${step}, ${inputSize.join("×")} cut out of the middle` : step;
}

function describeColours({ mean, std }: Normalisation): string {
  const isImageNet = [mean, std].join() === Object.values(IMAGENET_NORMALISATION).join();
  return isImageNet ? "ImageNet's mean and std" : `mean ${numbers(mean)}, std ${numbers(std)}`;
}

/** [height, width] of the resized image; of the box that it covers or fits into, where proportions are kept. */
export function resizedSizeOf({
  inputSize,
  cropRatio,
  resizedSize,
}: Pick<Preprocessing, "inputSize" | "cropRatio" | "resizedSize">): readonly [number, number] {
  return resizedSize ?? [Math.floor(inputSize[0] / cropRatio), Math.floor(inputSize[1] / cropRatio)];
}

function numbers(values: readonly number[]): string {
  const shown = values.map((value) => String(Number(value.toPrecision(3))));
  return new Set(shown).size === 1 ? (shown[0] ?? "") : shown.join(" ");
}

/** timm fills with the mean. */
function colourOf([red, green, blue]: Normalisation["mean"]): [number, number, number] {
  return [Math.round(255 * red), Math.round(255 * green), Math.round(255 * blue)];
}
