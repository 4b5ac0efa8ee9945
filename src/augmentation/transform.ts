/**
 * What happens to a picture between decoder and batch (DeiT §6, main.py's build_transform). A transform is a list
 * of steps. A step draws operations, each from a stream of its own so that switching one step off leaves the
 * others' draws as they were; operations are plain data and say exactly what is done, so that any training
 * picture can be made again from its draw. Work on whole batches (Mixup) and on normalised pixels is not here.
 */
import type { Random } from "../random.ts";
import { centerCrop, crop, randomCrop, randomResizedCrop } from "./crop.ts";
import { flip } from "./flip.ts";
import type { Picture, Region } from "./picture.ts";
import { type Interpolation, resize } from "./resize.ts";

/** One thing done to a picture. Sizes are [height, width]. */
export type Operation =
  | { readonly op: "crop"; readonly region: Region }
  | {
      readonly op: "resize";
      readonly size: readonly [number, number];
      readonly interpolation: Interpolation;
      readonly region?: Region;
      readonly window?: Region;
    }
  | { readonly op: "flip" };

/** Everything that was decided by chance, and the rest: JSON-able. */
export type Draw = readonly Operation[];

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
  /** No chance: resized to cover the size, centre cropped. */
  | { readonly kind: "centre" };

export interface TrainTransformOptions {
  readonly mode: "train";
  readonly size: readonly [height: number, width: number];
  readonly crop?: TrainCrop;
  /** Probability of a horizontal flip, default 0.5; 0 switches it off. */
  readonly flip?: number;
  readonly interpolation?: Interpolation;
}

export interface EvaluationTransformOptions {
  readonly mode: "evaluation";
  readonly size: readonly [height: number, width: number];
  /** Side of the centre crop / side of the resized picture, default 0.875: 224 of 256. */
  readonly cropRatio?: number;
  readonly interpolation?: Interpolation;
}

/** JSON-able, so that a loader's worker can build the same transform. */
export type TransformOptions = TrainTransformOptions | EvaluationTransformOptions;

export interface Transform {
  /** [height, width] of every result. */
  readonly size: readonly [height: number, width: number];
  /** Decides what is done to a picture of that size. */
  draw(random: Random, width: number, height: number): Draw;
  /** Does it. Pure: the same picture and draw give the same pixels. */
  apply(picture: Picture, draw: Draw): Picture;
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
  };
}

/** Does one operation. */
export function applyOperation(picture: Picture, operation: Operation): Picture {
  switch (operation.op) {
    case "crop":
      return crop(picture, operation.region);
    case "resize": {
      const [height, width] = operation.size;
      return resize(picture, { ...operation, width, height });
    }
    case "flip":
      return flip(picture);
  }
}

function sizeAfter(operation: Operation, size: Size): Size {
  switch (operation.op) {
    case "crop":
      return operation.region;
    case "resize":
      return operation.window ?? { height: operation.size[0], width: operation.size[1] };
    case "flip":
      return size;
  }
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
  interpolation = "bicubic",
}: TrainTransformOptions): Step[] {
  const steps: Step[] = [
    {
      name: "crop",
      draw(random, picture) {
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
        const { padding = 4 } = how.kind === "padded" ? how : {};
        const [height, width] = size;
        const cover = coverAndCrop(picture, { size, target: size, interpolation });
        return [...cover, { op: "crop", region: randomCrop(random, { width, height }, { size, padding }) }];
      },
    },
  ];
  if (probability > 0)
    steps.push({ name: "flip", draw: (random) => (random.uniform() < probability ? [{ op: "flip" }] : []) });
  return steps;
}

function evaluationSteps({
  size,
  cropRatio = 0.875,
  interpolation = "bicubic",
}: EvaluationTransformOptions): Step[] {
  const target = [Math.floor(size[0] / cropRatio), Math.floor(size[1] / cropRatio)] as const;
  return [
    {
      name: "centre",
      draw: (_, picture) =>
        isSmallAlready(picture, size) ? [] : coverAndCrop(picture, { size, target, interpolation }),
    },
  ];
}

/**
 * torchvision's Resize and CenterCrop: the picture is resized, keeping its proportions, until it just covers `target`
 * (for squares: its shorter side becomes the target's), the longer side cut to a whole number; then `size` is cut from the middle.
 */
function coverAndCrop(
  picture: Size,
  {
    size,
    target,
    interpolation,
  }: { size: readonly [number, number]; target: readonly [number, number]; interpolation: Interpolation },
): Draw {
  const [height, width] = target;
  const byWidth = picture.width * height <= picture.height * width;
  const covering = byWidth
    ? { width, height: Math.trunc((width * picture.height) / picture.width) }
    : { width: Math.trunc((height * picture.width) / picture.height), height };
  const window = centerCrop(covering, size);
  const stays = covering.width === picture.width && covering.height === picture.height;
  const whole = window.width === covering.width && window.height === covering.height;
  const resizing = { op: "resize", size: [covering.height, covering.width], interpolation } as const;
  if (stays) return whole ? [] : [{ op: "crop", region: window }];
  if (whole) return [resizing];
  // a window that leaves the picture (crop ratio above 1) needs padding, which only `crop` does
  return window.left < 0 || window.top < 0
    ? [resizing, { op: "crop", region: window }]
    : [{ ...resizing, window }];
}
