/**
 * Image files → 8-bit RGB pixels, as Node's decoder gives them: upright by EXIF, no colour management, alpha left out. The
 * browser decodes; pixels with alpha are read by WebGL, as a 2D canvas multiplies colours by it.
 */
import { DataError } from "deit-ts/web";
import type { RgbImage } from "deit-ts/web";

/** More pixels are refused before they are decoded. */
const MAX_PIXELS = 100e6;

/** Side of the small images that are shown, in pixels. */
const THUMB = 128;

export interface Decoded {
  readonly image: RgbImage;
  /** The middle square, small. */
  readonly thumb: Blob | undefined;
  /** RGBA of the middle square that the model sees, [VIEW, VIEW], where it was asked for. */
  readonly view: Uint8ClampedArray<ArrayBuffer> | undefined;
}

/** Side of an image that is looked at, in pixels. */
export const VIEW = 448;

/** @throws DataError for what the browser does not decode */
export async function decode(
  image: Blob | ImageBitmap,
  name: string,
  { thumb = false, view }: { thumb?: boolean; view?: number } = {},
): Promise<Decoded> {
  const bitmap = image instanceof ImageBitmap ? image : await bitmapOf(image, name);
  try {
    const { width, height } = bitmap;
    if (width * height > MAX_PIXELS)
      throw new DataError(name, `${name} is too large: ${width} × ${height} pixels`, {
        code: "data/image-too-large",
        hint: "Make it smaller.",
      });
    const rgba = image instanceof Blob && mayHaveAlpha(image) ? rgbaByWebgl(bitmap) : rgbaByCanvas(bitmap);
    return {
      image: { width, height, data: rgb(rgba) },
      thumb: thumb
        ? await square(bitmap, THUMB, 1).convertToBlob({ type: "image/webp", quality: 0.8 })
        : undefined,
      view:
        view === undefined
          ? undefined
          : square(bitmap, VIEW, view).getContext("2d")?.getImageData(0, 0, VIEW, VIEW).data,
    };
  } finally {
    bitmap.close();
  }
}

async function bitmapOf(blob: Blob, name: string): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(blob, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch (cause) {
    throw unreadable(name, blob.type, cause);
  }
}

/** The middle square of an image; `part`: of its shorter side. */
function square(bitmap: ImageBitmap, side: number, part: number): OffscreenCanvas {
  const from = Math.min(bitmap.width, bitmap.height) * part;
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no 2D canvas in workers");
  context.imageSmoothingQuality = "high";
  const [left, top] = [(bitmap.width - from) / 2, (bitmap.height - from) / 2];
  context.drawImage(bitmap, left, top, from, from, 0, 0, side, side);
  return canvas;
}

function unreadable(name: string, type: string, cause: unknown): DataError {
  const isHeic = /hei[cf]$/i.test(name) || /hei[cf]/.test(type);
  return new DataError(name, `${name} cannot be read as an image`, {
    code: "data/broken-image",
    hint: isHeic
      ? "This browser does not read HEIC. Save it as JPEG: phones can be set to take photos as JPEG."
      : "Is it an image? JPEG, PNG, WebP, GIF, AVIF and BMP are read.",
    cause,
  });
}

function mayHaveAlpha({ type }: Blob): boolean {
  return type !== "image/jpeg" && type !== "image/bmp";
}

function rgbaByCanvas(bitmap: ImageBitmap): Uint8ClampedArray {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser has no 2D canvas in workers");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

/** Colours as they are stored, whatever their alpha. */
function rgbaByWebgl(bitmap: ImageBitmap): Uint8Array | Uint8ClampedArray {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (gl === null || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE))
    return rgbaByCanvas(bitmap);
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER,
    gl.COLOR_ATTACHMENT0,
    gl.TEXTURE_2D,
    gl.getParameter(gl.TEXTURE_BINDING_2D) as WebGLTexture,
    0,
  );
  const data = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return data;
}

function rgb(rgba: Uint8Array | Uint8ClampedArray): Uint8Array {
  const data = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    data[to++] = rgba[from] as number;
    data[to++] = rgba[from + 1] as number;
    data[to++] = rgba[from + 2] as number;
  }
  return data;
}
