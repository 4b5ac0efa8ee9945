/** One look at every image of a dataset: what can be said of each by itself, and what is needed to compare it with others. */
import { resize } from "../augmentation/resize.ts";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import type { Dataset } from "../data/dataset.ts";
import type { BrokenImage, ReadImage } from "../data/read-each.ts";
import { readEach } from "../data/read-each.ts";
import { COARSE, FINE } from "./near-copies.ts";
import type { Thumbnail } from "./near-copies.ts";
import type { GreyImage } from "./sharpness.ts";
import { blurOf } from "./sharpness.ts";

export interface Looked {
  readonly width: number;
  readonly height: number;
  /** SHA-256 of the file; undefined where images are not files. */
  readonly hash: string | undefined;
  /** As `blurOf`, at the size that a model sees. */
  readonly blur: number | undefined;
  /** Standard deviation of the grey values, 0 to 127. */
  readonly contrast: number;
  readonly thumbnail: Thumbnail;
}

/** Shorter side at which sharpness is judged: about what a model sees. Smaller images are judged as they are. */
const JUDGED = 224;

/** Looks at the images of a dataset at these places, in their order. */
export async function lookAt(
  dataset: Dataset,
  indices: readonly number[],
  hooks: { onImage?: () => void; signal?: AbortSignal | undefined } = {},
): Promise<(Looked | BrokenImage)[]> {
  return readEach(dataset, indices, lookAtOne, hooks);
}

function lookAtOne({ image, hash }: ReadImage): Looked {
  const judged = greyOf(image, JUDGED);
  return {
    width: image.width,
    height: image.height,
    hash,
    blur: blurOf(judged),
    contrast: deviation(judged.data),
    thumbnail: { coarse: greyOf(image, COARSE), fine: greyOf(image, FINE) },
  };
}

/** Grey values with a shorter side of at most `side` pixels, for `COARSE` and `FINE` of exactly that. */
function greyOf(image: RgbImage, side: number): GreyImage {
  const shorter = Math.min(image.width, image.height);
  const scale = side === JUDGED ? Math.min(1, side / shorter) : side / shorter;
  // a panorama is not compared beyond a square of 4: its thumbnail would be as large as it
  const length = (own: number): number => Math.max(1, Math.min(4 * side, Math.round(own * scale)));
  const [width, height] = [length(image.width), length(image.height)];
  const small = resize(image, { width, height, interpolation: "bilinear" });
  const data = new Float32Array(width * height);
  for (let i = 0, p = 0; i < data.length; i++, p += 3)
    data[i] =
      0.299 * (small.data[p] as number) +
      0.587 * (small.data[p + 1] as number) +
      0.114 * (small.data[p + 2] as number);
  return { width, height, data };
}

function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
