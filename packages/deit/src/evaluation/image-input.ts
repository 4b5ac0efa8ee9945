/** Images as programs hold them, read into pixels: paths, URLs, bytes of files, blobs, raw pixels. */
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { decodeImage } from "../data/decoding/decode.ts";
import { readNamedImage } from "../data/decoding/named-image.ts";
import { DataError } from "../errors.ts";

/** Pixels row by row, 3 (RGB) or 4 (RGBA, as a canvas's ImageData; alpha is dropped) bytes each. */
export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/**
 * One image: the path of a file, an address (http:, https:, data:, file:; as a string or a URL), the bytes of an image file
 * (Buffer, Uint8Array, ArrayBuffer, Blob), or raw pixels.
 */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | RawImage;

/** RGB pixels, EXIF orientation applied. @throws DataError for what is missing, damaged or no image */
export async function readImage(
  image: ImageInput,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<RgbImage> {
  if (typeof image === "string" || image instanceof URL) return readNamedImage(String(image), { signal });
  if (image instanceof Uint8Array) return decodeImage(image, "the image");
  if (image instanceof ArrayBuffer) return decodeImage(new Uint8Array(image), "the image");
  if (image instanceof Blob) return decodeImage(new Uint8Array(await image.arrayBuffer()), "the image");
  return rgbOf(image);
}

/** @throws DataError for data of another length than width × height pixels */
function rgbOf({ data, width, height }: RawImage): RgbImage {
  const pixels = width * height;
  const isSize = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!isSize || (data.length !== 3 * pixels && data.length !== 4 * pixels)) {
    throw new DataError("image", `${data.length} bytes are no image of ${width} × ${height} pixels`, {
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
