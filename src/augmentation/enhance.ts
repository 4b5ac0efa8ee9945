/**
 * Pillow's ImageEnhance, bit for bit: the picture is blended with a degenerate of itself, or moved away from it by a
 * factor above 1. Factor 1 leaves the picture as it is, 0 gives the degenerate.
 */
import { luma } from "./intensity.ts";
import type { Picture } from "./picture.ts";

/** Image.blend(degenerate, picture, factor): float32 arithmetic, cut off and not rounded. */
function blend(picture: Picture, factor: number, degenerateAt: (i: number) => number): Picture {
  const { width, height, data } = picture;
  if (factor === 1) return picture;
  const alpha = Math.fround(factor);
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const from = degenerateAt(i);
    const value = Math.fround(from + Math.fround(alpha * ((data[i] as number) - from)));
    result[i] = value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
  }
  return { width, height, data: result };
}

/** Saturation: the degenerate is grey. */
export function color(picture: Picture, factor: number): Picture {
  const { data } = picture;
  let grey = 0;
  return blend(picture, factor, (i) => {
    if (i % 3 === 0) grey = luma(data, i);
    return grey;
  });
}

/** The degenerate is the mean grey of the picture. */
export function contrast(picture: Picture, factor: number): Picture {
  const { data } = picture;
  let sum = 0;
  for (let i = 0; i < data.length; i += 3) sum += luma(data, i);
  const mean = Math.trunc(sum / (data.length / 3) + 0.5);
  return blend(picture, factor, () => mean);
}

/** The degenerate is black. */
export function brightness(picture: Picture, factor: number): Picture {
  return blend(picture, factor, () => 0);
}

/** The degenerate is smoothed. */
export function sharpness(picture: Picture, factor: number): Picture {
  if (factor === 1) return picture;
  const smooth = smoothed(picture).data;
  return blend(picture, factor, (i) => smooth[i] as number);
}

/** ImageFilter.SMOOTH: every neighbour counts 1, the pixel itself 5; the border stays. */
function smoothed(picture: Picture): Picture {
  const { width, height, data } = picture;
  const result = data.slice();
  if (width < 3 || height < 3) return picture;
  const row = width * 3;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + 3, end = (y + 1) * row - 3; i < end; i++) {
      const above = (data[i - row - 3] as number) + (data[i - row] as number) + (data[i - row + 3] as number);
      const below = (data[i + row - 3] as number) + (data[i + row] as number) + (data[i + row + 3] as number);
      const sum = above + below + (data[i - 3] as number) + 5 * (data[i] as number) + (data[i + 3] as number);
      result[i] = Math.floor((2 * sum + 13) / 26); // sum / 13, rounded
    }
  }
  return { width, height, data: result };
}
