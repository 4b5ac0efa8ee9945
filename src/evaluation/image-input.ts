/** Images as programs hold them, read into pixels: paths, URLs, bytes of files, blobs, raw pixels. */
import { fileURLToPath } from "node:url";
import type { Picture } from "../augmentation/picture.ts";
import { decodePicture, readPicture } from "../data/decode.ts";
import { DataError, firstLine } from "../errors.ts";

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

/** Bytes beyond which a download is no image. */
const LARGEST = 2 ** 28;
const TIMEOUT_MS = 60_000;

/** RGB pixels, EXIF orientation applied. @throws DataError for what is missing, damaged or no image */
export async function readImage(
  image: ImageInput,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Picture> {
  if (typeof image === "string" || image instanceof URL) return readNamed(String(image), signal);
  if (image instanceof Uint8Array) return decodePicture(image, "the image");
  if (image instanceof ArrayBuffer) return decodePicture(new Uint8Array(image), "the image");
  if (image instanceof Blob) return decodePicture(new Uint8Array(await image.arrayBuffer()), "the image");
  return rgbOf(image);
}

async function readNamed(name: string, signal: AbortSignal | undefined): Promise<Picture> {
  if (/^file:/i.test(name)) return readPicture(fileURLToPath(name));
  if (!/^(?:https?|data):/i.test(name)) return readPicture(name);
  const shown = name.length > 200 ? `${name.slice(0, 60)}…` : name;
  return decodePicture(await download(name, { shown, signal }), shown);
}

async function download(
  url: string,
  { shown, signal }: { shown: string; signal: AbortSignal | undefined },
): Promise<Uint8Array> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new DataError(shown, `${shown} cannot be fetched: ${problem}`, {
      code: "data/image-not-fetched",
      hint: "Check the address, or download the image and give its path.",
      cause,
    });
  };
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
    if (!response.ok) return refuse(`the server answers ${response.status} ${response.statusText}`.trim());
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      parts.push(part);
      length += part.length;
      if (length > LARGEST) return refuse(`it is larger than ${LARGEST / 2 ** 20} MiB`);
    }
    return Buffer.concat(parts);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DataError) throw error;
    return refuse(timeout.aborted ? `no answer in ${TIMEOUT_MS / 1000} s` : reasonOf(error), error);
  }
}

/** fetch says "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  return firstLine(error instanceof Error && error.cause !== undefined ? error.cause : error);
}

/** @throws DataError for data of another length than width × height pixels */
function rgbOf({ data, width, height }: RawImage): Picture {
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
