/**
 * HEIC, as phones write it, through libheif-js where that is installed: it is LGPL, so an optional peer and never bundled.
 * Rotation is applied, as EXIF orientation is elsewhere.
 */
import { createRequire } from "node:module";
import type { RgbImage } from "../../augmentation/rgb-image.ts";

export const HEIC_PACKAGE = "libheif-js";

const require = createRequire(import.meta.url);

/** Whether HEIC can be read here. */
export const readsHeic: boolean = isInstalled();

function isInstalled(): boolean {
  try {
    require.resolve(`${HEIC_PACKAGE}/wasm-bundle`);
    return true;
  } catch {
    return false;
  }
}

/** What of libheif-js is used; handles are numbers, errors objects with a code above 0. */
interface Heif {
  heif_context_alloc(): number;
  heif_context_free(context: number): void;
  heif_context_read_from_memory(context: number, bytes: Uint8Array): Failure;
  heif_js_context_get_primary_image_handle(context: number): number | Failure;
  heif_image_handle_get_width(handle: number): number;
  heif_image_handle_get_height(handle: number): number;
  heif_image_handle_release(handle: number): void;
  heif_image_release(image: number): void;
  heif_js_decode_image2(handle: number, colorspace: unknown, chroma: unknown): DecodedHeif | Failure;
  readonly heif_colorspace: { readonly heif_colorspace_RGB: unknown };
  readonly heif_chroma: { readonly heif_chroma_interleaved_RGB: unknown };
}

interface Failure {
  readonly code: number | { readonly value: number };
  readonly message?: string;
}

interface DecodedHeif {
  readonly image: number;
  readonly channels: readonly {
    readonly data: Uint8Array;
    readonly width: number;
    readonly height: number;
    readonly stride: number;
  }[];
}

/**
 * @param check throws when there are too many pixels, before they are decoded
 * @throws Error for a file that is cut off or damaged
 */
export function decodeHeic(bytes: Uint8Array, check: (width: number, height: number) => void): RgbImage {
  const heif = require(`${HEIC_PACKAGE}/wasm-bundle`) as Heif;
  const context = heif.heif_context_alloc();
  try {
    failOn(heif.heif_context_read_from_memory(context, bytes));
    const handle = heif.heif_js_context_get_primary_image_handle(context);
    failOn(handle);
    const own = handle as number;
    try {
      check(heif.heif_image_handle_get_width(own), heif.heif_image_handle_get_height(own));
      const { heif_colorspace: spaces, heif_chroma: chromas } = heif;
      const decoded = heif.heif_js_decode_image2(
        own,
        spaces.heif_colorspace_RGB,
        chromas.heif_chroma_interleaved_RGB,
      );
      failOn(decoded);
      return packed(decoded as DecodedHeif, (image) => heif.heif_image_release(image));
    } finally {
      heif.heif_image_handle_release(own);
    }
  } finally {
    heif.heif_context_free(context);
  }
}

function failOn(result: unknown): void {
  if (typeof result !== "object" || result === null || !("code" in result)) return;
  const { code, message } = result as Failure;
  const value = typeof code === "object" ? code.value : code;
  if (value !== 0) throw new Error(message ?? `HEIC error ${value}`);
}

/** Rows without what lies between them. */
function packed({ image, channels: [channel] }: DecodedHeif, release: (image: number) => void): RgbImage {
  try {
    if (channel === undefined) throw new Error("HEIC without pixels");
    const { width, height, stride, data } = channel;
    const rgb = new Uint8Array(3 * width * height);
    for (let y = 0; y < height; y++)
      rgb.set(data.subarray(y * stride, y * stride + 3 * width), 3 * width * y);
    return { width, height, data: rgb };
  } finally {
    release(image);
  }
}
