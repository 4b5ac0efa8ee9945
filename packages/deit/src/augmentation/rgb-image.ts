/**
 * An image as the transforms see it: 8-bit RGB, interleaved. Decoding files is src/data's work; tensors begin
 * with the program, which gets the planar bytes that `writePlanar` makes and normalises them itself.
 */
import { DataError } from "../errors.ts";

/** RGB, row-major, 3 bytes a pixel: the red of (row y, column x) is `data[(y * width + x) * 3]`. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A rectangle in whole pixels. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Writes the image as planes [3, height, width] to `target` at `offset`: one row of a batch [B, 3, H, W]. */
export function writePlanar({ width, height, data }: RgbImage, target: Uint8Array, offset = 0): void {
  const plane = width * height;
  let red = offset;
  let green = offset + plane;
  let blue = offset + 2 * plane;
  for (let i = 0, end = plane * 3; i < end; i += 3) {
    target[red++] = data[i] as number;
    target[green++] = data[i + 1] as number;
    target[blue++] = data[i + 2] as number;
  }
}

/** The image whose planes [3, height, width] stand in `source` at `offset`. */
export function readPlanar(
  source: Uint8Array,
  { width, height, offset = 0 }: { width: number; height: number; offset?: number },
): RgbImage {
  const plane = width * height;
  const data = new Uint8Array(plane * 3);
  for (let i = 0, o = 0, red = offset; i < plane; i++, o += 3, red++) {
    data[o] = source[red] as number;
    data[o + 1] = source[red + plane] as number;
    data[o + 2] = source[red + 2 * plane] as number;
  }
  return { width, height, data };
}

/** The mirror image: left becomes right. */
export function flip({ width, height, data }: RgbImage): RgbImage {
  const result = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0, o = ((y + 1) * width - 1) * 3; x < width; x++, i += 3, o -= 3) {
      result[o] = data[i] as number;
      result[o + 1] = data[i + 1] as number;
      result[o + 2] = data[i + 2] as number;
    }
  }
  return { width, height, data: result };
}

/** Pixels row by row, 3 (RGB) or 4 (RGBA, as a canvas's ImageData; alpha is dropped) bytes each. */
export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Raw pixels as RGB. @throws DataError for data of another length than width × height pixels */
export function rgbImage({ data, width, height }: RawImage): RgbImage {
  const pixels = width * height;
  const isSize = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!isSize || (data.length !== 3 * pixels && data.length !== 4 * pixels)) {
    throw new DataError("image", `${data.length} bytes are not an image of ${width} × ${height} pixels`, {
      code: "data/image-size",
      hint: "Expected { data, width, height } with 3 (RGB) or 4 (RGBA) bytes for each pixel, row by row.",
    });
  }
  if (data.length === 3 * pixels)
    return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
  const rgb = new Uint8Array(3 * pixels);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from] as number;
    rgb[to + 1] = data[from + 1] as number;
    rgb[to + 2] = data[from + 2] as number;
  }
  return { width, height, data: rgb };
}
