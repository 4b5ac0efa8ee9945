/**
 * What happens to an image between decoder and batch (DeiT §6, main.py's build_transform). A transform is a list
 * of steps. A step draws operations, each from a stream of its own so that switching one step off leaves the
 * others' draws as they were; operations are plain data and say exactly what is done, so that any training
 * image can be made again from its draw. Work on whole batches (Mixup) and on normalised pixels is not here.
 */
import type { Random } from "../random.ts";
import { drawAutoAugment, parseAutoAugment } from "./auto-augment.ts";
import { drawColorJitter } from "./color-jitter.ts";
import type { Border } from "./crop.ts";
import { centerCrop, randomCrop, randomResizedCrop, roundHalfEven } from "./crop.ts";
import { drawErasing, type ErasingOptions, writeNoise } from "./erasing.ts";
import { applyOperation, type Draw, type Operation, sizeAfter } from "./operation.ts";
import type { RgbImage } from "./rgb-image.ts";
import { drawRandAugment, parseRandAugment } from "./rand-augment.ts";
import type { Interpolation } from "./resize.ts";
import { drawThreeAugment } from "./three-augment.ts";

/** How training cuts its images. */
export type TrainCrop =
  /** DeiT's rule, for each image: `padded` where it has the size already and that is at most 32, else `resized`. */
  | { readonly kind: "auto" }
  /** RandomResizedCrop; default scale 0.08…1 of the area, ratio 3/4…4/3. */
  | {
      readonly kind: "resized";
      readonly scale?: readonly [number, number];
      readonly ratio?: readonly [number, number];
    }
  /** RandomCrop of the image padded with black; default 4 pixels. An image of another size is resized to cover it first. */
  | { readonly kind: "padded"; readonly padding?: number }
  /** DeiT III's simple random crop: resized to cover the size, then RandomCrop of the image padded by mirroring; default 4 pixels. */
  | { readonly kind: "simple"; readonly padding?: number }
  /** No chance: resized to cover the size, centre cropped. */
  | { readonly kind: "centre" };

export interface TrainTransformOptions {
  readonly mode: "train";
  readonly size: readonly [height: number, width: number];
  readonly crop?: TrainCrop;
  /** Probability of a horizontal flip, default 0.5; 0 switches it off. */
  readonly flip?: number;
  /** Default bicubic; random draws bicubic or bilinear for every image (and operation), as timm. */
  readonly interpolation?: Interpolation | "random";
  /** RandAugment or AutoAugment in timm's words; absent: none. */
  readonly augment?: string;
  /** 3-Augment in place of `augment`. */
  readonly threeAugment?: boolean;
  /** Strength of the colour jitter; the reference uses it without `augment` or with 3-Augment only. */
  readonly colorJitter?: number;
  readonly erasing?: ErasingOptions;
}

/**
 * How evaluation brings an image to its resized size [height, width]: proportions kept until it covers that size (torchvision's
 * Resize, timm's "center"), regardless of proportions ("squash"), proportions kept until it fits ("border"), or not at all.
 */
export type ResizeMode = (typeof RESIZE_MODES)[number];
export const RESIZE_MODES = ["shorter-side", "squash", "longer-side", "none"] as const;

/** Made by `evaluationTransform` from a model's preprocessing. */
export interface EvaluationTransformOptions {
  readonly mode: "evaluation";
  readonly size: readonly [height: number, width: number];
  /** Side of the centre crop / side of the resized image, default 0.875: 224 of 256. */
  readonly cropRatio?: number;
  /** The resized size, default ⌊size / cropRatio⌋. */
  readonly resizedSize?: readonly [height: number, width: number];
  /** Default shorter-side. */
  readonly resize?: ResizeMode;
  readonly interpolation?: Interpolation;
  /** Images of at most 32 pixels a side that have the size already are taken whole; default true. */
  readonly smallWhole?: boolean;
  /** What stands where an image does not reach; default black. */
  readonly border?: Border;
}

/** JSON-able, so that a loader's worker can build the same transform. */
export type TransformOptions = TrainTransformOptions | EvaluationTransformOptions;

export interface Transform {
  /** [height, width] of every result. */
  readonly size: readonly [height: number, width: number];
  /** Decides what is done to an image of that size. */
  draw(random: Random, width: number, height: number): Draw;
  /** Does it, but for erasing. Pure: the same image and draw give the same pixels. */
  apply(image: RgbImage, draw: Draw): RgbImage;
  /** Whether images may be erased. */
  readonly erases: boolean;
  /** Writes the noise codes of erased pixels to the planes [3, H, W] at `offset` of `target`, which is 0 elsewhere. */
  erase(draw: Draw, target: Uint8Array, offset: number): void;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** A step decides on operations for an image of the size that the steps before it left. */
interface Step {
  readonly name: string;
  draw(random: Random, image: Size): Draw;
}

export function createTransform(options: TransformOptions): Transform {
  const steps = options.mode === "train" ? trainSteps(options) : evaluationSteps(options);
  return {
    size: options.size,
    draw(random, width, height) {
      const draw: Operation[] = [];
      let size: Size = { width, height };
      for (const step of steps) {
        for (const operation of step.draw(random.split(step.name), size)) {
          draw.push(operation);
          size = sizeAfter(operation, size);
        }
      }
      return draw;
    },
    apply: (image, draw) => draw.reduce(applyOperation, image),
    erases: options.mode === "train" && options.erasing !== undefined,
    erase(draw, target, offset) {
      for (const operation of draw)
        if (operation.op === "erase") writeNoise(operation, target, { offset, size: options.size });
    },
  };
}

/** The largest size that DeiT treats as CIFAR: no resizing, padded random crops. */
const SMALL = 32;

function isSmallAlready({ width, height }: Size, size: readonly [number, number]): boolean {
  return height === size[0] && width === size[1] && Math.max(height, width) <= SMALL;
}

function trainSteps({
  size,
  crop: how = { kind: "auto" },
  flip: probability = 0.5,
  interpolation: given = "bicubic",
  augment,
  threeAugment = false,
  colorJitter = 0,
  erasing,
}: TrainTransformOptions): Step[] {
  const interpolationBy = (random: Random): Interpolation =>
    given === "random" ? (random.uniform() < 0.5 ? "bilinear" : "bicubic") : given;
  const steps: Step[] = [
    {
      name: "crop",
      draw(random, image) {
        const interpolation = interpolationBy(random.split("interpolation"));
        const kind = how.kind === "auto" ? (isSmallAlready(image, size) ? "padded" : "resized") : how.kind;
        if (kind === "centre") return coverAndCrop(image, { size, target: size, interpolation });
        if (kind === "resized") {
          const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3] } = how.kind === "resized" ? how : {};
          return [
            {
              op: "resize",
              size,
              interpolation,
              region: randomResizedCrop(random, image, { scale, ratio }),
            },
          ];
        }
        const { padding = 4 } = how.kind === "padded" || how.kind === "simple" ? how : {};
        const [height, width] = size;
        if (kind === "simple") {
          const covering = coveringSize(image, size);
          return [
            ...resizeTo(image, covering, interpolation),
            { op: "crop", region: randomCrop(random, covering, { size, padding }), border: "reflect" },
          ];
        }
        const cover = coverAndCrop(image, { size, target: size, interpolation });
        return [...cover, { op: "crop", region: randomCrop(random, { width, height }, { size, padding }) }];
      },
    },
  ];
  if (probability > 0)
    steps.push({ name: "flip", draw: (random) => (random.uniform() < probability ? [{ op: "flip" }] : []) });
  if (threeAugment) steps.push({ name: "threeAugment", draw: drawThreeAugment });
  else if (augment !== undefined) steps.push({ name: "augment", draw: policyOf(augment, interpolationBy) });
  if (colorJitter > 0 && (threeAugment || augment === undefined))
    steps.push({ name: "colorJitter", draw: (random) => drawColorJitter(random, colorJitter) });
  if (erasing !== undefined)
    steps.push({ name: "erasing", draw: (random, image) => drawErasing(random, image, erasing) });
  return steps;
}

/** RandAugment or AutoAugment by name. @throws ConfigError for a policy that is none */
function policyOf(policy: string, interpolationBy: (random: Random) => Interpolation): Step["draw"] {
  if (/^rand(-|$)/.test(policy)) {
    const options = parseRandAugment(policy);
    return (random, image) =>
      drawRandAugment(options, { random, ...image, interpolation: () => interpolationBy(random) });
  }
  const options = parseAutoAugment(policy);
  return (random, image) =>
    drawAutoAugment(options, { random, ...image, interpolation: () => interpolationBy(random) });
}

function evaluationSteps({
  size,
  cropRatio = 0.875,
  resizedSize = [Math.floor(size[0] / cropRatio), Math.floor(size[1] / cropRatio)],
  resize = "shorter-side",
  interpolation = "bicubic",
  smallWhole = true,
  border,
}: EvaluationTransformOptions): Step[] {
  const resizedTo = RESIZED[resize];
  return [
    {
      name: "centre",
      draw(_, image) {
        if (smallWhole && isSmallAlready(image, size)) return [];
        return resizeAndCrop(image, {
          resized: resizedTo(image, resizedSize),
          size,
          interpolation,
          border,
        });
      },
    },
  ];
}

/** The size that an image is resized to, by the size that is asked for. */
const RESIZED: Readonly<
  Record<ResizeMode, (image: Size, target: readonly [height: number, width: number]) => Size>
> = {
  "shorter-side": (image, target) =>
    target[0] === target[1] ? coveringSize(image, target) : roundedCoveringSize(image, target),
  squash: (_, [height, width]) => ({ height, width }),
  "longer-side": fittingSize,
  none: (image) => image,
};

/** torchvision's Resize and CenterCrop: resized until it just covers `target`, the longer side cut to a whole number; `size` cut from the middle. */
function coverAndCrop(
  image: Size,
  { target, ...options }: { target: readonly [number, number] } & Omit<CropOptions, "resized">,
): Draw {
  return resizeAndCrop(image, { ...options, resized: coveringSize(image, target) });
}

interface CropOptions {
  readonly resized: Size;
  readonly size: readonly [number, number];
  readonly interpolation: Interpolation;
  readonly border?: Border | undefined;
}

function resizeAndCrop(image: Size, { resized, size, interpolation, border }: CropOptions): Draw {
  const window = centerCrop(resized, size);
  const whole = window.width === resized.width && window.height === resized.height;
  const [resizing] = resizeTo(image, resized, interpolation);
  const cut: Operation = { op: "crop", region: window, ...(border !== undefined && { border }) };
  if (resizing === undefined) return whole ? [] : [cut];
  if (whole) return [resizing];
  // a window that leaves the image (crop ratio above 1, borders) needs filling, which only `crop` does
  const leaves = window.width > resized.width || window.height > resized.height;
  return leaves ? [resizing, cut] : [{ ...resizing, window }];
}

/** The largest size of the image's proportions that fits into [height, width], rounded as timm does. */
function fittingSize(image: Size, [height, width]: readonly [number, number]): Size {
  const ratio = Math.max(image.height / height, image.width / width);
  return {
    height: Math.max(1, roundHalfEven(image.height / ratio)),
    width: Math.max(1, roundHalfEven(image.width / ratio)),
  };
}

/** The smallest size of the image's proportions that covers [height, width]. */
function coveringSize(image: Size, [height, width]: readonly [number, number]): Size {
  return image.width * height <= image.height * width
    ? { width, height: Math.trunc((width * image.height) / image.width) }
    : { width: Math.trunc((height * image.width) / image.height), height };
}

/** The same, rounded, as timm does for inputs that are not square (ResizeKeepRatio). torchvision knows square ones alone. */
function roundedCoveringSize(image: Size, [height, width]: readonly [number, number]): Size {
  const ratio = Math.min(image.height / height, image.width / width);
  return { height: roundHalfEven(image.height / ratio), width: roundHalfEven(image.width / ratio) };
}

/** Nothing, where the image has the size. */
function resizeTo(
  image: Size,
  { width, height }: Size,
  interpolation: Interpolation,
): Extract<Operation, { op: "resize" }>[] {
  if (width === image.width && height === image.height) return [];
  return [{ op: "resize", size: [height, width], interpolation }];
}
