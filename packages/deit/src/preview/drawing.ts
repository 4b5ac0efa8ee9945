/** What contact sheets are made of: pages with images inside, or one image of a white ground with images fitted into cells. */
import { stat } from "node:fs/promises";
import { dirname, extname } from "node:path";
import sharp from "sharp";
import type { OverlayOptions } from "sharp";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { ConfigError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { colour } from "../figures/colours.ts";
import type { Html } from "../figures/html.ts";
import { hasFonts, marksLayer as drawMarks } from "../figures/layer.ts";
import { embeddedImage, htmlDocument } from "../figures/page.ts";

export const QUIET = colour("muted");
const PAGE = ".html";
/** Images up to this side are shown pixel by pixel. */
const SMALL = 64;
const FORMATS = [PAGE, ".png", ".jpg", ".jpeg", ".webp"];

/**
 * `option` is the flag that named the file.
 * @throws ConfigError for another ending, when its folder is not there, and for an image on a machine without fonts
 */
export async function checkSheetFile(file: string, option: string): Promise<void> {
  if (!FORMATS.includes(extname(file).toLowerCase())) {
    throw new ConfigError(
      option,
      `--${option}: got "${file}", expected a name that ends in ${FORMATS.join(", ")}`,
      { code: "options/value" },
    );
  }
  if (!isPage(file) && !(await hasFonts()))
    throw new ConfigError(
      option,
      `--${option}: ${file} needs a font for its captions, and none is installed`,
      {
        code: "options/no-fonts",
        hint: "Name a file that ends in .html, or install a font (Debian: fonts-dejavu-core).",
      },
    );
  const folder = dirname(file);
  if ((await stat(folder).catch(() => undefined))?.isDirectory() ?? false) return;
  throw new ConfigError(option, `--${option}: there is no folder ${folder}`, {
    code: "options/value",
    hint: "Create it first, or choose another.",
  });
}

export function isPage(file: string): boolean {
  return extname(file).toLowerCase() === PAGE;
}

/** Writes a sheet as a page. @throws DeitError when it cannot be written */
export async function writePage(file: string, title: string, body: Html): Promise<void> {
  await writeFileAtomic(file, htmlDocument(title, body), { what: "the sheet" });
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
  marks: readonly Html[],
  { top = 0, ...size }: { width: number; height: number; top?: number },
): OverlayOptions {
  return { input: drawMarks(marks, size), left: 0, top };
}

/** Fitted into a square cell; small images are enlarged pixel by pixel, so that their pixels can be seen. */
export async function fitted(
  { width, height, data }: RgbImage,
  { left, top, side }: { left: number; top: number; side: number },
): Promise<OverlayOptions> {
  const kernel = Math.max(width, height) < side ? "nearest" : "lanczos3";
  const input = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: "contain", kernel, background: "#eef1f4" })
    .raw()
    .toBuffer();
  return { input, raw: { width: side, height: side, channels: 3 }, left, top };
}

/** An image of at most `side` pixels for a page; one of few pixels is kept, and shown, pixel by pixel. */
export async function pageImage(
  { width, height, data }: RgbImage,
  { side, alt }: { side: number; alt: string },
): Promise<Html> {
  const small = Math.max(width, height) <= SMALL;
  const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: "inside", withoutEnlargement: true })
    .webp(small ? { lossless: true } : { quality: 82 })
    .toBuffer();
  return embeddedImage(bytes, "webp", { alt, pixels: small });
}
