/** Every operation on pixels is Pillow's, bit for bit, on generated and on real images. */
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { affine, rotate } from "../../src/augmentation/affine.ts";
import { gaussianBlur } from "../../src/augmentation/blur.ts";
import { brightness, color, contrast, sharpness } from "../../src/augmentation/enhance.ts";
import {
  autoContrast,
  equalize,
  grayscale,
  invert,
  posterize,
  solarize,
  solarizeAdd,
} from "../../src/augmentation/intensity.ts";
import type { RgbImage } from "../../src/augmentation/rgb-image.ts";
import { readImageFile } from "../../src/data/decoding/decode.ts";
import golden from "../golden/augmentation/operations.json" with { type: "json" };
import real from "../golden/augmentation/images.json" with { type: "json" };
import { generate, type Kind, sha } from "./generated.ts";

type Argument = number | [number, "bilinear" | "bicubic"] | null;
const fill = [124, 116, 104] as const;

function run(image: RgbImage, operation: string, argument: Argument): RgbImage {
  if (Array.isArray(argument)) {
    const [value, interpolation] = argument;
    const options = { interpolation, fill };
    switch (operation) {
      case "rotate":
        return rotate(image, value, options);
      case "shearX":
        return affine(image, [1, value, 0, 0, 1, 0], options);
      case "shearY":
        return affine(image, [1, 0, 0, value, 1, 0], options);
      case "translateX":
        return affine(image, [1, 0, value * image.width, 0, 1, 0], options);
      default:
        return affine(image, [1, 0, 0, 0, 1, value * image.height], options);
    }
  }
  const simple: Record<string, (image: RgbImage, value: number) => RgbImage> = {
    autoContrast,
    equalize,
    invert,
    grayscale,
    posterize,
    solarize,
    solarizeAdd,
    color,
    contrast,
    brightness,
    sharpness,
    gaussianBlur,
  };
  const found = simple[operation];
  if (found === undefined) throw new Error(`no operation ${operation}`);
  return found(image, argument ?? 0);
}

describe("generated images", () => {
  const cases = golden.cases as [[number, number, Kind], string, Argument, string][];
  const byOperation = Map.groupBy(cases, ([, operation]) => operation);
  it.each([...byOperation])("%s", (operation, group) => {
    for (const [[width, height, kind], , argument, expected] of group) {
      const result = run(generate(width, height, kind), operation, argument);
      expect(sha(result), `${width}×${height} ${kind}, ${JSON.stringify(argument)}`).toBe(expected);
    }
  });
});

const DATA = new URL("../../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(DATA))("real images (skipped without ../shared/data)", () => {
  const byImage = Map.groupBy(real.cases as [string, string, Argument, string][], ([image]) => image);
  it.each([...byImage])("%s", async (path, group) => {
    const image = await readImageFile(new URL(path, DATA).pathname);
    for (const [, operation, argument, expected] of group)
      expect(sha(run(image, operation, argument)), `${operation} ${JSON.stringify(argument)}`).toBe(expected);
  });
});
