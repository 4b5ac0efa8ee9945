/**
 * A map of patches over a whole image: smoothly enlarged to the region that the model saw, coloured, and mixed with the
 * image, which is dimmed where it was not seen. Pixels in, pixels out.
 */
import { COLOUR_TABLE } from "deit-ts/charts";
import { crop, resize, resizeMatrix } from "deit-ts/data";
import type { RgbImage } from "deit-ts/data";
import type { CropBox } from "./crop-box.ts";

/** What is drawn black and what is drawn lightest. */
export interface MapRange {
  readonly low: number;
  readonly high: number;
}

/** Part of a map's cells that may be lighter than the lightest: single hot patches would leave the rest black. */
const CLIPPED = 0.01;

/** From the smallest cell of the maps to their largest but the topmost hundredth, so that they can be compared. */
export function rangeOf(maps: readonly Float32Array[]): MapRange {
  const sorted = Float32Array.from(maps.flatMap((map) => [...map])).toSorted();
  const high = sorted[Math.max(0, Math.ceil(sorted.length * (1 - CLIPPED)) - 1)] ?? 1;
  const low = sorted[0] ?? 0;
  return high > low ? { low, high } : { low, high: low + Math.max(Math.abs(low), 1e-12) };
}

/** map: [rows, columns] → [height, width] by Pillow's bicubic filter. */
export function enlarge(
  map: Float32Array,
  [rows, columns]: readonly [number, number],
  [height, width]: readonly [number, number],
): Float32Array {
  const [down, across] = [taps(rows, height), taps(columns, width)];
  const wide = new Float32Array(rows * width);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [from, weight] of across[x] ?? []) sum += weight * (map[y * columns + from] as number);
      wide[y * width + x] = sum;
    }
  }
  const result = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    for (const [from, weight] of down[y] ?? []) {
      for (let x = 0; x < width; x++)
        result[y * width + x] =
          (result[y * width + x] as number) + weight * (wide[from * width + x] as number);
    }
  }
  return result;
}

/** Of each new place: the old places that it is made of, and their weights. */
function taps(from: number, to: number): (readonly [number, number])[][] {
  const matrix = resizeMatrix(from, to);
  return Array.from({ length: to }, (_, i) =>
    [...matrix.subarray(i * from, (i + 1) * from).entries()].filter(([, weight]) => weight !== 0),
  );
}

export interface OverlayOptions {
  readonly seen: CropBox;
  readonly grid: readonly [number, number];
  readonly range: MapRange;
}

/** How much of the map's colour there is where it is black and where it is lightest. */
const ALPHA = { least: 0.5, most: 0.8 } as const;
/** Light of the image below the map and outside of what was seen: grey, so that every colour is the map's. */
const [INSIDE, OUTSIDE] = [0.85, 0.38];
/** The line around what was seen: one for so many pixels of the shorter side, and how white it is. */
const LINE = { per: 400, white: 0.55 } as const;

/** The image in grey under the map's colours, of its own size. */
export function overlay(
  pixels: RgbImage,
  map: Float32Array,
  { seen, grid, range }: OverlayOptions,
): RgbImage {
  const { width, height } = pixels;
  const [left, top] = [Math.round(seen.left), Math.round(seen.top)];
  const right = Math.max(left + 1, Math.round(seen.left + seen.width));
  const bottom = Math.max(top + 1, Math.round(seen.top + seen.height));
  const values = enlarge(map, grid, [bottom - top, right - left]);
  const data = new Uint8Array(pixels.data.length);
  const scale = 255 / (range.high - range.low);
  for (let y = 0, i = 0; y < height; y++) {
    const row = (y - top) * (right - left) - left;
    const inRows = y >= top && y < bottom;
    for (let x = 0; x < width; x++, i += 3) {
      if (!inRows || x < left || x >= right) {
        data.fill(light(pixels.data, i) * OUTSIDE, i, i + 3);
        continue;
      }
      const level = Math.min(255, Math.max(0, Math.round(((values[row + x] as number) - range.low) * scale)));
      const under = light(pixels.data, i) * INSIDE;
      const alpha = ALPHA.least + ((ALPHA.most - ALPHA.least) * level) / 255;
      for (let c = 0; c < 3; c++) {
        data[i + c] = under + ((COLOUR_TABLE[3 * level + c] as number) - under) * alpha;
      }
    }
  }
  outline({ width, height, data }, { left, top, right, bottom });
  return { width, height, data };
}

/** Luma of the pixel that starts at i, 0 to 255 (ITU-R BT.601). */
function light(data: Uint8Array, i: number): number {
  return 0.299 * (data[i] as number) + 0.587 * (data[i + 1] as number) + 0.114 * (data[i + 2] as number);
}

/** A thin light line just outside of what was seen. */
function outline(
  { width, height, data }: RgbImage,
  { left, top, right, bottom }: { left: number; top: number; right: number; bottom: number },
): void {
  const thick = Math.max(1, Math.round(Math.min(width, height) / LINE.per));
  const lighten = (x0: number, y0: number, x1: number, y1: number): void => {
    for (let y = Math.max(y0, 0); y < Math.min(y1, height); y++) {
      for (
        let i = 3 * (y * width + Math.max(x0, 0)), end = 3 * (y * width + Math.min(x1, width));
        i < end;
        i++
      )
        data[i] = (data[i] as number) + (255 - (data[i] as number)) * LINE.white;
    }
  };
  lighten(left - thick, top - thick, right + thick, top);
  lighten(left - thick, bottom, right + thick, bottom + thick);
  lighten(left - thick, top, left, bottom);
  lighten(right, top, right + thick, bottom);
}

/** What of the image was seen, and nothing else. */
export function seenPart(
  pixels: RgbImage,
  seen: CropBox,
): { readonly pixels: RgbImage; readonly seen: CropBox } {
  const left = Math.min(Math.max(0, Math.round(seen.left)), pixels.width - 1);
  const top = Math.min(Math.max(0, Math.round(seen.top)), pixels.height - 1);
  const width = Math.max(1, Math.min(Math.round(seen.left + seen.width), pixels.width) - left);
  const height = Math.max(1, Math.min(Math.round(seen.top + seen.height), pixels.height) - top);
  return {
    pixels: crop(pixels, { left, top, width, height }),
    seen: { ...seen, left: seen.left - left, top: seen.top - top },
  };
}

/** The image in at most that size, and the region in its pixels. */
export function reduced(
  pixels: RgbImage,
  seen: CropBox,
  most: { readonly width: number; readonly height: number },
): { readonly pixels: RgbImage; readonly seen: CropBox } {
  const factor = Math.min(1, most.width / pixels.width, most.height / pixels.height);
  if (factor === 1) return { pixels, seen };
  const width = Math.max(1, Math.round(pixels.width * factor));
  const height = Math.max(1, Math.round(pixels.height * factor));
  const [across, down] = [width / pixels.width, height / pixels.height];
  return {
    pixels: resize(pixels, { width, height, interpolation: "lanczos" }),
    seen: {
      left: seen.left * across,
      top: seen.top * down,
      width: seen.width * across,
      height: seen.height * down,
    },
  };
}
