/** What contact sheets are made of: a white ground, pictures fitted into cells, text and bars as SVG over them. */
import { stat } from "node:fs/promises";
import { dirname, extname } from "node:path";
import sharp from "sharp";
import type { OverlayOptions } from "sharp";
import type { Picture } from "../augmentation/picture.ts";
import { ConfigError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";

export const QUIET = "#66717e";
const FORMATS = [".png", ".jpg", ".jpeg", ".webp"];

/** `option` is the flag that named the file. @throws ConfigError for another ending, and when its folder is not there */
export async function checkSheetFile(file: string, option: string): Promise<void> {
  if (!FORMATS.includes(extname(file).toLowerCase())) {
    throw new ConfigError(
      option,
      `--${option}: got "${file}", expected a name that ends in ${FORMATS.join(", ")}`,
      { code: "options/value" },
    );
  }
  const folder = dirname(file);
  if ((await stat(folder).catch(() => undefined))?.isDirectory() ?? false) return;
  throw new ConfigError(option, `--${option}: there is no folder ${folder}`, {
    code: "options/value",
    hint: "Make it first, or name another.",
  });
}

/** Writes a sheet of so many pixels; the ending says the format. @throws DeitError when it cannot be written */
export async function writeDrawing(
  file: string,
  { width, height, layers }: { width: number; height: number; layers: readonly OverlayOptions[] },
): Promise<void> {
  const sheet = sharp({
    create: { width, height, channels: 3, background: "#ffffff" },
    limitInputPixels: false,
  }).composite([...layers]);
  const format = extname(file).toLowerCase() === ".png" ? "png" : /webp$/i.test(file) ? "webp" : "jpeg";
  await writeFileAtomic(file, await sheet.toFormat(format).toBuffer(), { what: "the sheet" });
}

/** SVG elements as one layer. */
export function marksLayer(
  marks: readonly string[],
  { width, height, top = 0 }: { width: number; height: number; top?: number },
): OverlayOptions {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${marks.join("")}</svg>`;
  return { input: Buffer.from(drawing), left: 0, top };
}

/** Fitted into a square cell; small pictures are enlarged pixel by pixel, so that their pixels can be seen. */
export async function fitted(
  { width, height, data }: Picture,
  { left, top, side }: { left: number; top: number; side: number },
): Promise<OverlayOptions> {
  const kernel = Math.max(width, height) < side ? "nearest" : "lanczos3";
  const input = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: "contain", kernel, background: "#eef1f4" })
    .raw()
    .toBuffer();
  return { input, raw: { width: side, height: side, channels: 3 }, left, top };
}
