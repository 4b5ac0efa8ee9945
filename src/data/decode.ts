/**
 * Picture files to 8-bit RGB, as PIL's `Image.open(file).convert("RGB")` does it, bit for bit: alpha is dropped,
 * not blended; ICC profiles are ignored; CMYK is converted by its simple formula. On purpose different: the EXIF
 * orientation is applied (people's photos need it; ImageNet's reference ignores it), and 16-bit grey keeps its
 * high byte (PIL makes it white). AVIF differs with the decoder's version.
 */
import { readFile } from "node:fs/promises";
import sharp from "sharp";
import type { Picture } from "../augmentation/picture.ts";
import { DataError, firstLine } from "../errors.ts";

/** Reads a picture file. Throws DataError when it is missing, empty, no picture, damaged or cut off. */
export async function readPicture(path: string): Promise<Picture> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new DataError(path, `${path} cannot be read: ${firstLine(cause)}`, {
      hint: "Give the path of a picture file that exists and may be read.",
      cause,
    });
  }
  return decodePicture(bytes, path);
}

/** Decodes a picture; `path` is for errors only. */
export async function decodePicture(bytes: Uint8Array, path: string): Promise<Picture> {
  if (bytes.length === 0) throw new DataError(path, `${path} is empty: expected a picture`);
  try {
    const image = sharp(bytes, { failOn: "error", ignoreIcc: true, autoOrient: true });
    const { space } = await image.metadata();
    if (space === "cmyk") image.pipelineColourspace("cmyk").toColourspace("cmyk");
    else image.removeAlpha().toColourspace("srgb");
    const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    const pixels = info.channels === 3 ? data : toRgb(data, info.channels);
    return {
      width: info.width,
      height: info.height,
      data: new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length),
    };
  } catch (cause) {
    throw new DataError(path, `${path} is not a whole picture: ${firstLine(cause)}`, {
      hint: "Replace or remove the file; it may be cut off, or of another kind than its name says.",
      cause,
    });
  }
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
