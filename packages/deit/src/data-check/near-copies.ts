/**
 * Whether two images are the same photo: one is looked for inside the other at every scale and place, by normalised
 * cross-correlation; details decide, since two photos of one kind of thing agree in their rough shape. Pure.
 */
import type { GreyImage } from "./sharpness.ts";

/** An image at two sizes, to be compared with others. Grey, as compression keeps that best. */
export interface Thumbnail {
  /** Shorter side `COARSE`: where one image lies in another is looked for in it. */
  readonly coarse: GreyImage;
  /** Shorter side `FINE`: what decides. */
  readonly fine: GreyImage;
}

export interface Match {
  /** Correlation of the details, 0 to 1. */
  readonly similarity: number;
  /** Part of the larger image that both show, 0 to 1. */
  readonly overlap: number;
  readonly mirrored: boolean;
}

export const COARSE = 16;
export const FINE = 48;
/** The part that both show, by side: smaller crops are not looked for. */
const SMALLEST = 0.55;
/** From one scale to the next. */
const STEP = 1.05;
/** Correlation at the coarse size below which the fine one is not computed. */
const COARSE_ENOUGH = 0.8;
/** Correlation of details from which two images are the same photo: docs/decisions/0027. */
export const SAME_PHOTO = 0.75;

/** One image as part of the other, or the other as part of the one, mirrored or not: the best of all. */
export function matchOf(a: Thumbnail, b: Thumbnail): Match {
  let best: Match = { similarity: 0, overlap: 0, mirrored: false };
  for (const mirrored of [false, true]) {
    const other = mirrored ? { coarse: mirror(b.coarse), fine: mirror(b.fine) } : b;
    for (const [whole, part] of [
      [a, other],
      [other, a],
    ] as const) {
      const found = findInside(whole, part);
      if (found !== undefined && found.similarity > best.similarity) best = { ...found, mirrored };
      if (best.similarity >= SAME_PHOTO) return best;
    }
  }
  return best;
}

/** Where `part` begins in `whole`, in pixels of the whole's thumbnail at this scale. */
interface Place {
  /** Pixels of the whole for one of the part. */
  readonly scale: number;
  readonly x: number;
  readonly y: number;
  readonly score: number;
}

function findInside(whole: Thumbnail, part: Thumbnail): Omit<Match, "mirrored"> | undefined {
  const coarse = bestPlace(whole.coarse, part.coarse, scalesFor(whole.coarse, part.coarse));
  if (coarse === undefined || coarse.score < COARSE_ENOUGH) return undefined;
  // the same place at the fine size, and those around it: the coarse scale is right to a pixel in 16 or two
  const ratio = FINE / COARSE;
  const around = [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6].map(
    (step) => coarse.scale * STEP ** (step / 3),
  );
  const near = { x: coarse.x * ratio, y: coarse.y * ratio, reach: 2 * ratio };
  const fine = bestPlace(details(whole.fine), part.fine, around, { near, prepare: details });
  if (fine === undefined) return undefined;
  const area =
    (part.fine.width * part.fine.height * fine.scale ** 2) / (whole.fine.width * whole.fine.height);
  return { similarity: fine.score, overlap: Math.min(1, area) };
}

/** From the part as large as fits into the whole down to the smallest that is looked for. */
function scalesFor(whole: GreyImage, part: GreyImage): number[] {
  const largest = Math.min(whole.width / part.width, whole.height / part.height);
  const smallest = SMALLEST * Math.min(1, largest);
  const scales: number[] = [];
  for (let scale = largest * (1 + 1e-9); scale >= smallest; scale /= STEP) scales.push(scale);
  return scales;
}

/** The place of the best correlation; `scales` are the part's, in pixels of the whole. */
function bestPlace(
  whole: GreyImage,
  part: GreyImage,
  scales: readonly number[],
  {
    near,
    prepare = (image) => image,
  }: {
    near?: { readonly x: number; readonly y: number; readonly reach: number };
    /** Done to the part at each scale. */
    prepare?: (image: GreyImage) => GreyImage;
  } = {},
): Place | undefined {
  let best: Place | undefined;
  for (const scale of scales) {
    const [width, height] = [Math.round(part.width * scale), Math.round(part.height * scale)];
    const own = prepare(resized(part, Math.min(width, whole.width), Math.min(height, whole.height)));
    const [right, bottom] = [whole.width - own.width, whole.height - own.height];
    const from = (at: number): number => Math.max(0, Math.floor(at - (near?.reach ?? 0)));
    const to = (at: number, end: number): number => Math.min(end, Math.ceil(at + (near?.reach ?? 0)));
    const [left, end] = near ? [from(near.x), to(near.x, right)] : [0, right];
    const [top, last] = near ? [from(near.y), to(near.y, bottom)] : [0, bottom];
    for (let y = top; y <= last; y++) {
      for (let x = left; x <= end; x++) {
        const score = correlation(whole, own, x, y);
        if (score > (best?.score ?? -1)) best = { scale, x, y, score };
      }
    }
  }
  return best;
}

/** Pearson's correlation of `part` with the equally large part of `whole` at (x, y); 0 where either has one value only. */
function correlation(whole: GreyImage, part: GreyImage, x: number, y: number): number {
  let [a, b, aa, bb, ab] = [0, 0, 0, 0, 0];
  const { width, height } = part;
  for (let row = 0, i = 0; row < height; row++) {
    const start = (y + row) * whole.width + x;
    for (let column = 0; column < width; column++, i++) {
      const [p, q] = [whole.data[start + column] as number, part.data[i] as number];
      a += p;
      b += q;
      aa += p * p;
      bb += q * q;
      ab += p * q;
    }
  }
  const n = width * height;
  const spread = (aa - (a * a) / n) * (bb - (b * b) / n);
  return spread <= n * n ? 0 : (ab - (a * b) / n) / Math.sqrt(spread);
}

/** What is left of an image without its rough shape: the mean of its surroundings is taken away from every pixel. */
function details({ width, height, data }: GreyImage): GreyImage {
  const around = 3;
  const result = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [sum, count] = [0, 0];
      for (let v = Math.max(0, y - around); v <= Math.min(height - 1, y + around); v++) {
        for (let u = Math.max(0, x - around); u <= Math.min(width - 1, x + around); u++, count++)
          sum += data[v * width + u] as number;
      }
      result[y * width + x] = (data[y * width + x] as number) - sum / count;
    }
  }
  return { width, height, data: result };
}

/** Bilinear, between the middles of pixels: scales are near 1. */
function resized(image: GreyImage, width: number, height: number): GreyImage {
  if (width === image.width && height === image.height) return image;
  const data = new Float32Array(width * height);
  const columns = Array.from({ length: width }, (_, x) => between(x, width, image.width));
  for (let y = 0; y < height; y++) {
    const row = between(y, height, image.height);
    for (const [x, column] of columns.entries()) {
      const value = (r: number, c: number): number => image.data[r * image.width + c] as number;
      const upper = value(row.at, column.at) * (1 - column.part) + value(row.at, column.next) * column.part;
      const lower =
        value(row.next, column.at) * (1 - column.part) + value(row.next, column.next) * column.part;
      data[y * width + x] = upper * (1 - row.part) + lower * row.part;
    }
  }
  return { width, height, data };
}

function between(i: number, length: number, from: number): { at: number; next: number; part: number } {
  const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / length - 0.5));
  const at = Math.floor(place);
  return { at, next: Math.min(from - 1, at + 1), part: place - at };
}

function mirror({ width, height, data }: GreyImage): GreyImage {
  return {
    width,
    height,
    data: data.map((_, i) => data[i - (i % width) + width - 1 - (i % width)] as number),
  };
}
