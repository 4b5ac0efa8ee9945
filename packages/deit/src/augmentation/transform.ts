/**
 * What happens to a picture between decoder and batch (DeiT §6, main.py's build_transform). A transform is a list
 * of steps. A step draws operations, each from a stream of its own so that switching one step off leaves the
 * others' draws as they were; operations are plain data and say exactly what is done, so that any training
 * picture can be made again from its draw. Work on whole batches (Mixup) and on normalised pixels is not here.
 */
import type { Random } from "../random.ts";
import { drawAutoAugment, parseAutoAugment } from "./auto-augment.ts";
import { drawColorJitter } from "./color-jitter.ts";
import type { Border } from "./crop.ts";
import { centerCrop, randomCrop, randomResizedCrop, roundHalfEven } from "./crop.ts";
import { drawErasing, type ErasingOptions, writeNoise } from "./erasing.ts";
import { applyOperation, type Draw, type Operation, sizeAfter } from "./operation.ts";
import type { Picture } from "./picture.ts";
import { drawRandAugment, parseRandAugment } from "./rand-augment.ts";
import type { Interpolation } from "./resize.ts";
import { drawThreeAugment } from "./three-augment.ts";

/** How training cuts its pictures. */
export type TrainCrop =
  /** DeiT's rule, for each picture: `padded` where it has the size already and that is at most 32, else `resized`. */
  | { readonly kind: "auto" }
  /** RandomResizedCrop; default scale 0.08…1 of the area, ratio 3/4…4/3. */
  | {
      readonly kind: "resized";
      readonly scale?: readonly [number, number];
      readonly ratio?: readonly [number, number];
    }
  /** RandomCrop of the picture padded with black; default 4 pixels. A picture of another size is resized to cover it first. */
  | { readonly kind: "padded"; readonly padding?: number }
  /** DeiT III's simple random crop: resized to cover the size, then RandomCrop of the picture padded by mirroring; default 4 pixels. */
  | { readonly kind: "simple"; readonly padding?: number }
  /** No chance: resized to cover the size, centre cropped. */
  | { readonly kind: "centre" };

export interface TrainTransformOptions {
  readonly mode: "train";
  readonly size: readonly [height: number, width: number];
  readonly crop?: TrainCrop;
  /** Probability of a horizontal flip, default 0.5; 0 switches it off. */
  readonly flip?: number;
  /** Default bicubic; random draws bicubic or bilinear for every picture (and operation), as timm. */
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
  /** Decides what is done to a picture of that size. */
  draw(random: Random, width: number, height: number): Draw;
  /** Does it, but for erasing. Pure: the same picture and draw give the same pixels. */
  apply(picture: Picture, draw: Draw): Picture;
  /** Whether pictures may be erased. */
  readonly erases: boolean;
  /** Writes the noise codes of erased pixels to the planes [3, H, W] at `offset` of `target`, which is 0 elsewhere. */
  erase(draw: Draw, target: Uint8Array, offset: number): void;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** A step decides on operations for a picture of the size that the steps before it left. */
interface Step {
  readonly name: string;
  draw(random: Random, picture: Size): Draw;
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
    apply: (picture, draw) => draw.reduce(applyOperation, picture),
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
      draw(random, picture) {
        const interpolation = interpolationBy(random.split("interpolation"));
        const kind = how.kind === "auto" ? (isSmallAlready(picture, size) ? "padded" : "resized") : how.kind;
        if (kind === "centre") return coverAndCrop(picture, { size, target: size, interpolation });
        if (kind === "resized") {
          const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3] } = how.kind === "resized" ? how : {};
          return [
            {
              op: "resize",
              size,
              interpolation,
              region: randomResizedCrop(random, picture, { scale, ratio }),
            },
          ];
        }
        const { padding = 4 } = how.kind === "padded" || how.kind === "simple" ? how : {};
        const [height, width] = size;
        if (kind === "simple") {
          const covering = coveringSize(picture, size);
          return [
            ...resizeTo(picture, covering, interpolation),
            { op: "crop", region: randomCrop(random, covering, { size, padding }), border: "reflect" },
          ];
        }
        const cover = coverAndCrop(picture, { size, target: size, interpolation });
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
    steps.push({ name: "erasing", draw: (random, picture) => drawErasing(random, picture, erasing) });
  return steps;
}

/** RandAugment or AutoAugment by name. @throws ConfigError for a policy that is none */
function policyOf(policy: string, interpolationBy: (random: Random) => Interpolation): Step["draw"] {
  if (/^rand(-|$)/.test(policy)) {
    const options = parseRandAugment(policy);
    return (random, picture) =>
      drawRandAugment(options, { random, ...picture, interpolation: () => interpolationBy(random) });
  }
  const options = parseAutoAugment(policy);
  return (random, picture) =>
    drawAutoAugment(options, { random, ...picture, interpolation: () => interpolationBy(random) });
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
      draw(_, picture) {
        if (smallWhole && isSmallAlready(picture, size)) return [];
        return resizeAndCrop(picture, {
          resized: resizedTo(picture, resizedSize),
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
  Record<ResizeMode, (picture: Size, target: readonly [height: number, width: number]) => Size>
> = {
  "shorter-side": (picture, target) =>
    target[0] === target[1] ? coveringSize(picture, target) : roundedCoveringSize(picture, target),
  squash: (_, [height, width]) => ({ height, width }),
  "longer-side": fittingSize,
  none: (picture) => picture,
};

/** torchvision's Resize and CenterCrop: resized until it just covers `target`, the longer side cut to a whole number; `size` cut from the middle. */
function coverAndCrop(
  picture: Size,
  { target, ...options }: { target: readonly [number, number] } & Omit<CropOptions, "resized">,
): Draw {
  return resizeAndCrop(picture, { ...options, resized: coveringSize(picture, target) });
}

interface CropOptions {
  readonly resized: Size;
  readonly size: readonly [number, number];
  readonly interpolation: Interpolation;
  readonly border?: Border | undefined;
}

function resizeAndCrop(picture: Size, { resized, size, interpolation, border }: CropOptions): Draw {
  const window = centerCrop(resized, size);
  const whole = window.width === resized.width && window.height === resized.height;
  const [resizing] = resizeTo(picture, resized, interpolation);
  const cut: Operation = { op: "crop", region: window, ...(border !== undefined && { border }) };
  if (resizing === undefined) return whole ? [] : [cut];
  if (whole) return [resizing];
  // a window that leaves the image (crop ratio above 1, borders) needs filling, which only `crop` does
  const leaves = window.width > resized.width || window.height > resized.height;
  return leaves ? [resizing, cut] : [{ ...resizing, window }];
}

/** The largest size of the image's proportions that fits into [height, width], rounded as timm does. */
function fittingSize(picture: Size, [height, width]: readonly [number, number]): Size {
  const ratio = Math.max(picture.height / height, picture.width / width);
  return {
    height: Math.max(1, roundHalfEven(picture.height / ratio)),
    width: Math.max(1, roundHalfEven(picture.width / ratio)),
  };
}

/** The smallest size of the picture's proportions that covers [height, width]. */
function coveringSize(picture: Size, [height, width]: readonly [number, number]): Size {
  return picture.width * height <= picture.height * width
    ? { width, height: Math.trunc((width * picture.height) / picture.width) }
    : { width: Math.trunc((height * picture.width) / picture.height), height };
}

/** The same, rounded, as timm does for inputs that are not square (ResizeKeepRatio). torchvision knows square ones alone. */
function roundedCoveringSize(image: Size, [height, width]: readonly [number, number]): Size {
  const ratio = Math.min(image.height / height, image.width / width);
  return { height: roundHalfEven(image.height / ratio), width: roundHalfEven(image.width / ratio) };
}

/** Nothing, where the picture has the size. */
function resizeTo(
  picture: Size,
  { width, height }: Size,
  interpolation: Interpolation,
): Extract<Operation, { op: "resize" }>[] {
  if (width === picture.width && height === picture.height) return [];
  return [{ op: "resize", size: [height, width], interpolation }];
}
