/** Images as programs hold them, read into pixels: paths, URLs, bytes of files, blobs, raw pixels. */
import type { RawImage, RgbImage } from "../augmentation/rgb-image.ts";
import { rgbImage } from "../augmentation/rgb-image.ts";
import { decodeImage } from "../data/decoding/decode.ts";
import { readNamedImage } from "../data/decoding/named-image.ts";

export type { RawImage } from "../augmentation/rgb-image.ts";

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
  return rgbImage(image);
}
