/**
 * One thing done to an image, as plain data: everything that chance decided is in it, so that JSON tells exactly how a
 * training image was made, and the same image and operations give the same pixels.
 */
import { affine, rotate } from "./affine.ts";
import { gaussianBlur } from "./blur.ts";
import type { Border } from "./crop.ts";
import { crop } from "./crop.ts";
import { brightness, color, contrast, sharpness } from "./enhance.ts";
import { autoContrast, equalize, grayscale, invert, posterize, solarize, solarizeAdd } from "./intensity.ts";
import type { RgbImage, Region } from "./rgb-image.ts";
import { flip } from "./rgb-image.ts";
import { type Interpolation, resize } from "./resize.ts";

/** Sizes are [height, width]. */
export type Operation =
  | {
      readonly op: "crop";
      readonly region: Region;
      /** What stands outside the image, default black. */
      readonly border?: Border;
    }
  | {
      readonly op: "resize";
      readonly size: readonly [number, number];
      readonly interpolation: Interpolation;
      readonly region?: Region;
      readonly window?: Region;
    }
  | { readonly op: "flip" }
  | { readonly op: "autoContrast" | "equalize" | "invert" | "grayscale" }
  | { readonly op: "posterize"; readonly bits: number }
  | { readonly op: "solarize"; readonly threshold: number }
  | { readonly op: "solarizeAdd"; readonly amount: number }
  | { readonly op: "color" | "contrast" | "brightness" | "sharpness"; readonly factor: number }
  | { readonly op: "rotate"; readonly degrees: number; readonly interpolation: Interpolation }
  | { readonly op: "shearX" | "shearY"; readonly factor: number; readonly interpolation: Interpolation }
  | {
      readonly op: "translateX" | "translateY";
      readonly pixels: number;
      readonly interpolation: Interpolation;
    }
  | { readonly op: "blur"; readonly radius: number }
  /** Done to the normalised pixels, see erasing.ts: `applyOperation` leaves the image as it is. */
  | {
      readonly op: "erase";
      readonly regions: readonly Region[];
      readonly mode: ErasingMode;
      /** Seed of the noise. */
      readonly noise: number;
    };

/** What erased pixels get: noise for each, one random colour, or the mean. */
export type ErasingMode = "pixel" | "rand" | "const";

/** Everything that was decided by chance, and the rest: JSON-able. */
export type Draw = readonly Operation[];

/** ImageNet's mean, which stands where a map shows what is outside the image. */
const FILL = [124, 116, 104] as const;

/** Does one operation; pure. */
export function applyOperation(image: RgbImage, operation: Operation): RgbImage {
  switch (operation.op) {
    case "crop":
      return crop(image, operation.region, operation.border);
    case "resize": {
      const [height, width] = operation.size;
      return resize(image, { ...operation, width, height });
    }
    case "flip":
      return flip(image);
    case "autoContrast":
      return autoContrast(image);
    case "equalize":
      return equalize(image);
    case "invert":
      return invert(image);
    case "grayscale":
      return grayscale(image);
    case "posterize":
      return posterize(image, operation.bits);
    case "solarize":
      return solarize(image, operation.threshold);
    case "solarizeAdd":
      return solarizeAdd(image, operation.amount);
    case "color":
      return color(image, operation.factor);
    case "contrast":
      return contrast(image, operation.factor);
    case "brightness":
      return brightness(image, operation.factor);
    case "sharpness":
      return sharpness(image, operation.factor);
    case "rotate":
      return rotate(image, operation.degrees, { ...operation, fill: FILL });
    case "shearX":
      return affine(image, [1, operation.factor, 0, 0, 1, 0], { ...operation, fill: FILL });
    case "shearY":
      return affine(image, [1, 0, 0, operation.factor, 1, 0], { ...operation, fill: FILL });
    case "translateX":
      return affine(image, [1, 0, operation.pixels, 0, 1, 0], { ...operation, fill: FILL });
    case "translateY":
      return affine(image, [1, 0, 0, 0, 1, operation.pixels], { ...operation, fill: FILL });
    case "blur":
      return gaussianBlur(image, operation.radius);
    case "erase":
      return image;
  }
}

/** Size of the image after an operation. */
export function sizeAfter(
  operation: Operation,
  size: { readonly width: number; readonly height: number },
): { readonly width: number; readonly height: number } {
  if (operation.op === "crop") return operation.region;
  if (operation.op === "resize")
    return operation.window ?? { height: operation.size[0], width: operation.size[1] };
  return size;
}

/** An operation in a few words: `rotate −27°`, `posterize to 1 bit`. */
export function describeOperation(operation: Operation): string {
  const short = (value: number): string => String(Number(value.toPrecision(3))).replace("-", "−");
  switch (operation.op) {
    case "crop":
      return `crop ${operation.region.width}×${operation.region.height} at ${short(operation.region.left)}, ${short(operation.region.top)}`;
    case "resize": {
      const { region, size } = operation;
      return region
        ? `crop ${region.width}×${region.height} at ${region.left}, ${region.top}`
        : `resize to ${size[1]}×${size[0]}`;
    }
    case "autoContrast":
      return "auto-contrast";
    case "posterize":
      return `posterize to ${operation.bits} ${operation.bits === 1 ? "bit" : "bits"}`;
    case "solarize":
      return `solarize from ${operation.threshold}`;
    case "solarizeAdd":
      return `solarize-add ${operation.amount}`;
    case "color":
    case "contrast":
    case "brightness":
    case "sharpness":
      return `${operation.op} ×${short(operation.factor)}`;
    case "rotate":
      return `rotate ${short(operation.degrees)}°`;
    case "shearX":
    case "shearY":
      return `shear ${operation.op.at(-1)?.toLowerCase()} ${short(operation.factor)}`;
    case "translateX":
    case "translateY":
      return `translate ${operation.op.at(-1)?.toLowerCase()} ${short(operation.pixels)}`;
    case "blur":
      return `blur ${short(operation.radius)}`;
    case "erase":
      return `erase ${operation.regions.map(({ width, height }) => `${width}×${height}`).join(", ")}`;
    default:
      return operation.op;
  }
}
