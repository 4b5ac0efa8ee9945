/**
 * Pillow's ImageEnhance, bit for bit: the image is blended with a degenerate of itself, or moved away from it by a
 * factor above 1. Factor 1 leaves the image as it is, 0 gives the degenerate.
 */
import { lookUp, luma, tableOf } from "./intensity.ts";
import type { RgbImage } from "./rgb-image.ts";

const { fround } = Math;

/** Image.blend of two values: float32 arithmetic, cut off and not rounded. `alpha` is a float32. */
function blend(degenerate: number, value: number, alpha: number): number {
  const blended = fround(degenerate + fround(alpha * (value - degenerate)));
  return blended <= 0 ? 0 : blended >= 255 ? 255 : blended | 0;
}

/** Saturation: the degenerate is grey. */
export function color(image: RgbImage, factor: number): RgbImage {
  const { width, height, data } = image;
  const alpha = fround(factor);
  if (alpha === 1) return image;
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const grey = luma(data, i);
    result[i] = blend(grey, data[i] as number, alpha);
    result[i + 1] = blend(grey, data[i + 1] as number, alpha);
    result[i + 2] = blend(grey, data[i + 2] as number, alpha);
  }
  return { width, height, data: result };
}

/** The degenerate is the mean grey of the image. */
export function contrast(image: RgbImage, factor: number): RgbImage {
  const { data } = image;
  let sum = 0;
  for (let i = 0; i < data.length; i += 3) sum += luma(data, i);
  return blendWithGrey(image, Math.trunc(sum / (data.length / 3) + 0.5), factor);
}

/** The degenerate is black. */
export function brightness(image: RgbImage, factor: number): RgbImage {
  return blendWithGrey(image, 0, factor);
}

function blendWithGrey(image: RgbImage, grey: number, factor: number): RgbImage {
  const alpha = fround(factor);
  if (alpha === 1) return image;
  return lookUp(
    image,
    tableOf((x) => blend(grey, x, alpha)),
  );
}

/** The degenerate is smoothed. */
export function sharpness(image: RgbImage, factor: number): RgbImage {
  const { width, height, data } = image;
  const alpha = fround(factor);
  if (alpha === 1) return image;
  const smooth = smoothed(image);
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = blend(smooth[i] as number, data[i] as number, alpha);
  return { width, height, data: result };
}

/** Sum of weighted neighbours → sum / 13, rounded. */
const THIRTEENTH = Uint8Array.from({ length: 13 * 255 + 1 }, (_, sum) => Math.round(sum / 13));

/** ImageFilter.SMOOTH: every neighbour counts 1, the pixel itself 5; the border stays, and so does what is below 3 × 3. */
function smoothed({ width, height, data }: RgbImage): Uint8Array {
  if (width < 3 || height < 3) return data;
  const result = data.slice();
  const row = width * 3;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + 3, end = (y + 1) * row - 3; i < end; i++) {
      const a = i - row;
      const b = i + row;
      const above = (data[a - 3] as number) + (data[a] as number) + (data[a + 3] as number);
      const below = (data[b - 3] as number) + (data[b] as number) + (data[b + 3] as number);
      const beside = (data[i - 3] as number) + 5 * (data[i] as number) + (data[i + 3] as number);
      result[i] = THIRTEENTH[above + beside + below] as number;
    }
  }
  return result;
}
