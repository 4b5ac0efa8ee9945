/**
 * Image files to 8-bit RGB, as PIL's `Image.open(file).convert("RGB")` does it, bit for bit: alpha is dropped,
 * not blended; ICC profiles are ignored; CMYK is converted by its simple formula. On purpose different: the EXIF
 * orientation is applied (people's photos need it; ImageNet's reference ignores it), and 16-bit grey keeps its
 * high byte (PIL makes it white). AVIF and HEIC differ with the decoder's version.
 */
import { readFile, stat } from "node:fs/promises";
import sharp from "sharp";
import type { RgbImage } from "../../augmentation/rgb-image.ts";
import { DataError, firstLine } from "../../errors.ts";
import { bmpHeader, decodeBmp } from "./bmp.ts";
import { decodeGif } from "./gif.ts";
import { decodeHeic, HEIC_PACKAGE, readsHeic } from "./heic.ts";
import { inFlight } from "./pixel-budget.ts";

/** Reads an image file. Throws DataError when it is missing, empty, no image, too large, damaged or cut off. */
export async function readImageFile(path: string): Promise<RgbImage> {
  return decodeImage(await readImageBytes(path), path);
}

/** Largest file that is read: what an image of {@link MAX_PIXELS} has uncompressed, at three bytes a pixel. */
const MAX_BYTES = 2 ** 29;

/** The bytes of an image file, which may be none. Throws DataError when it is missing, a device, or too large. */
export async function readImageBytes(path: string): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (found.isCharacterDevice() || found.isBlockDevice())
      throw new DataError(path, `${path} is a device: expected an image file`, { code: "data/unreadable" });
    if (found.size > MAX_BYTES)
      throw new DataError(
        path,
        `${path} has ${Math.round(found.size / 2 ** 20)} MiB: expected an image of at most ${MAX_BYTES / 2 ** 20}`,
        { code: "data/broken-image" },
      );
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(path, `${path} cannot be read: ${firstLine(cause)}`, {
      code: "data/unreadable",
      hint: "Give the path of an image file that exists and may be read.",
      cause,
    });
  }
}

/** Pixels of the largest image that is decoded: as many as PIL decodes. */
export const MAX_PIXELS = 178_956_970;

/** Decodes an image; `path` is for errors only. */
export async function decodeImage(bytes: Uint8Array, path: string): Promise<RgbImage> {
  if (bytes.length === 0)
    throw new DataError(path, `${path} is empty: expected an image`, { code: "data/broken-image" });
  try {
    return await decoderOf(bytes, path)();
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(path, `${path} is not a whole image: ${reasonOf(cause)}`, {
      code: "data/broken-image",
      hint: "Replace or remove the file; it may be cut off, or of another type than its extension.",
      cause,
    });
  }
}

/** libvips' words, but for what users often have: a web page or a text under an image's name. */
function reasonOf(cause: unknown): string {
  const reason = firstLine(cause);
  if (/unsupported image format/.test(reason)) return "its content is not in a supported image format";
  // two that fail at once share the place of their reasons, and one may find it empty
  return /^(?:Unknown error)?$/.test(reason) ? "it is damaged, or cut off" : reason;
}

/** By what the file begins with, whatever it is called. */
function decoderOf(bytes: Uint8Array, path: string): () => Promise<RgbImage> {
  const check = (width: number, height: number): void => checkSize(width, height, path);
  const begins = (text: string): boolean =>
    Buffer.from(bytes.subarray(0, text.length)).equals(Buffer.from(text));
  if (begins("GIF87a") || begins("GIF89a")) {
    const [width, height] = [shortAt(bytes, 6), shortAt(bytes, 8)];
    return async () => sized(width, height, check, () => decodeGif(bytes, check));
  }
  if (begins("BM")) {
    return async () => {
      const { width, height } = bmpHeader(bytes);
      return sized(width, height, check, () => decodeBmp(bytes));
    };
  }
  if (!isHeic(bytes)) return async () => decodeWithSharp(bytes, check);
  if (readsHeic) return async () => decodeHeic(bytes, check);
  throw new DataError(path, `${path} is a HEIC image, which needs the package ${HEIC_PACKAGE}`, {
    code: "data/heic",
    hint: `Install it (npm install ${HEIC_PACKAGE}), or convert the image to JPEG.`,
  });
}

/** Brands of files whose images are coded with HEVC. */
const BRANDS = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx"]);

/** Whether the bytes begin as HEIC does, whatever the file's name says: a box "ftyp" with one of the brands. */
export function isHeic(bytes: Uint8Array): boolean {
  const text = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 16 || text(4) !== "ftyp") return false;
  const end = Math.min(((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0), 128, bytes.length);
  for (let at = 8; at + 4 <= end; at += at === 8 ? 8 : 4) if (BRANDS.has(text(at))) return true;
  return false;
}

async function sized(
  width: number,
  height: number,
  check: (width: number, height: number) => void,
  decode: () => RgbImage | Promise<RgbImage>,
): Promise<RgbImage> {
  check(width, height);
  return inFlight(width * height, decode);
}

function checkSize(width: number, height: number, path: string): void {
  if (width * height <= MAX_PIXELS) return;
  const millions = (pixels: number): string => `${Math.floor(pixels / 1e6)} million`;
  throw new DataError(
    path,
    `${path} is too large: ${width} × ${height} are ${millions(width * height)} pixels, expected at most ${millions(MAX_PIXELS)}`,
    { code: "data/image-too-large", hint: "Make it smaller, or remove it." },
  );
}

async function decodeWithSharp(
  bytes: Uint8Array,
  check: (width: number, height: number) => void,
): Promise<RgbImage> {
  const image = sharp(bytes, { failOn: "error", ignoreIcc: true, autoOrient: true, limitInputPixels: false });
  const { space, width, height } = await image.metadata();
  return sized(width, height, check, async () => {
    if (space === "cmyk") image.pipelineColourspace("cmyk").toColourspace("cmyk");
    else image.removeAlpha().toColourspace("srgb");
    const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    const pixels = info.channels === 3 ? data : toRgb(data, info.channels);
    return {
      width: info.width,
      height: info.height,
      data: new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length),
    };
  });
}

function shortAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

/** Four channels are CMYK, by PIL's formula; one or two are grey (and alpha). */
function toRgb(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0, p = 0, o = 0; i < pixels; i++, p += channels, o += 3) {
    for (let c = 0; c < 3; c++) {
      if (channels < 3) {
        rgb[o + c] = data[p] as number;
        continue;
      }
      const light = 255 - (data[p + 3] as number);
      const product = (data[p + c] as number) * light + 128;
      rgb[o + c] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return rgb;
}
