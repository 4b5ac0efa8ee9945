/**
 * Antialiased resampling, bit for bit as Pillow's `Image.resize` does it for 8-bit RGB: two passes of 22-bit
 * fixed-point filters with 8-bit pixels in between (Pillow's src/libImaging/Resample.c); nearest takes pixels as they
 * are (Geometry.c). It resamples only what it must: the source may be a region of the image, and the result a window of
 * the resized image.
 */
import { DeitError } from "../errors.ts";
import type { RgbImage, Region } from "./rgb-image.ts";
import type { Coefficients, Pass } from "./resample.ts";
import { resample } from "./resample.ts";

/** Filters: box ½, bilinear and hamming 1, bicubic 2 (a = −½) and lanczos 3 source pixels wide on each side. */
type FilterName = "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** Pillow's filters, and the nearest pixel without one. */
export type Interpolation = FilterName | "nearest";

/** Pillow's names in the order of its numbers: index 3 is BICUBIC. */
export const INTERPOLATIONS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] as const;

export interface ResizeOptions {
  readonly width: number;
  readonly height: number;
  readonly interpolation?: Interpolation;
  /** Crop to this region first: `image.crop(region).resize(…)`. Pixels outside it have no influence. */
  readonly region?: Region | undefined;
  /** Pillow's `resize(box=…)`, [left, top, right, bottom], fractions allowed: pixels beyond it count for the filter. */
  readonly box?: readonly [number, number, number, number] | undefined;
  /** Compute only this part of the result: `image.resize(…).crop(window)`. */
  readonly window?: Region | undefined;
}

/** `image` (or its `region`, or `box`) resampled to `width` × `height`, or to the `window` of that. */
export function resize(
  image: RgbImage,
  { width, height, interpolation = "bicubic", region, box, window }: ResizeOptions,
): RgbImage {
  const source = region ?? { left: 0, top: 0, width: image.width, height: image.height };
  const result = window ?? { left: 0, top: 0, width, height };
  const [left, top, right, bottom] = (box ?? [0, 0, source.width, source.height]).map(Math.fround) as [
    number,
    number,
    number,
    number,
  ];
  if (!(width >= 1 && height >= 1))
    throw new DeitError(`resize to ${width}×${height}: expected at least 1×1`, { code: "image/argument" });
  requireInside("region", source, image);
  requireInside("window", result, { width, height });
  if (left < 0 || top < 0 || right > source.width || bottom > source.height || left >= right || top >= bottom)
    throw new DeitError(
      `resize: box [${[left, top, right, bottom].join(", ")}] is not inside ${source.width}×${source.height}`,
      { code: "image/argument" },
    );

  if (interpolation === "nearest") {
    const columns = nearest(
      { size: source.width, from: left, to: right, out: width, first: result.left, count: result.width },
      source.left,
    );
    const rows = nearest(
      { size: source.height, from: top, to: bottom, out: height, first: result.top, count: result.height },
      source.top,
    );
    return gatherPixels(image, columns, rows);
  }
  const filter = FILTERS[interpolation];
  const horizontal = coefficients(
    { size: source.width, from: left, to: right, out: width, first: result.left, count: result.width },
    filter,
  );
  const vertical = coefficients(
    { size: source.height, from: top, to: bottom, out: height, first: result.top, count: result.height },
    filter,
  );

  const widthStays = width === source.width && left === 0 && right === width;
  const heightStays = height === source.height && top === 0 && bottom === height;
  // what of the source the two passes read
  const [column, columns] = widthStays ? [result.left, result.width] : extent(horizontal);
  const [row, rows] = heightStays ? [result.top, result.height] : extent(vertical);

  const read = { left: source.left + column, top: source.top + row, width: columns, height: rows };
  if (widthStays && heightStays) return copyRegion(image, read);
  const passes: Pass[] = [
    ...(widthStays ? [] : [{ axis: "rows", ...shifted(horizontal, column) } as const]),
    ...(heightStays ? [] : [{ axis: "columns", ...shifted(vertical, row) } as const]),
  ];
  // Pillow 13's order; earlier ones always began with the rows, which can differ by a level where this order applies
  const columnsFirst = source.height > height && source.height - height > 2 * (source.width - width);
  return resample(image, read, columnsFirst ? passes.toReversed() : passes);
}

/** The source pixel of each output of an axis. Pillow adds up the steps, and so must this. */
function nearest({ size, from, to, out, first, count }: Axis, offset: number): Int32Array {
  const scale = Math.fround(to - from) / out;
  const positions = new Int32Array(count);
  let position = from + scale * 0.5;
  for (let i = 0; i < first + count; i++, position += scale)
    if (i >= first) positions[i - first] = offset + Math.min(Math.trunc(position), size - 1);
  return positions;
}

function gatherPixels(image: RgbImage, columns: Int32Array, rows: Int32Array): RgbImage {
  const data = new Uint8Array(columns.length * rows.length * 3);
  let o = 0;
  for (const y of rows) {
    for (const x of columns) {
      const i = (y * image.width + x) * 3;
      data[o++] = image.data[i] as number;
      data[o++] = image.data[i + 1] as number;
      data[o++] = image.data[i + 2] as number;
    }
  }
  return { width: columns.length, height: rows.length, data };
}

/** A copy of a region that lies inside the image. */
export function copyRegion(image: RgbImage, { left, top, width, height }: Region): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data };
}

function requireInside(
  what: string,
  { left, top, width, height }: Region,
  outer: { width: number; height: number },
): void {
  if (
    left < 0 ||
    top < 0 ||
    width < 1 ||
    height < 1 ||
    left + width > outer.width ||
    top + height > outer.height
  )
    throw new DeitError(
      `resize: ${what} ${width}×${height} at (${left}, ${top}) is not inside ${outer.width}×${outer.height}`,
      { code: "image/argument" },
    );
}

/** 32 − 8 bits of pixel − 2 bits of headroom for filters with negative lobes. */
const PRECISION = 22;

interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

const FILTERS: Record<FilterName, Filter> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) },
  hamming: { support: 1, weight: (x) => hamming(Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x), -0.5) },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function cubic(x: number, a: number): number {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** Pillow's constants are float32. */
function hamming(x: number): number {
  if (x === 0 || x >= 1) return x === 0 ? 1 : 0;
  return sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI));
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** The same filter as a matrix [to, from], rows adding up to 1: for pixels that are not bytes. */
export function resizeMatrix(from: number, to: number, interpolation: FilterName = "bicubic"): Float32Array {
  const axis = { size: from, from: 0, to: from, out: to, first: 0, count: to };
  const { starts, counts, weights, stride } = coefficients(axis, FILTERS[interpolation]);
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    for (let j = 0; j < (counts[i] ?? 0); j++)
      matrix[i * from + (starts[i] ?? 0) + j] = (weights[i * stride + j] ?? 0) / (1 << PRECISION);
  }
  return matrix;
}

/** The first input that an axis reads, and how many from there. */
function extent({ starts, counts }: Coefficients): [number, number] {
  const first = starts[0] ?? 0;
  return [first, (starts[starts.length - 1] ?? 0) + (counts[counts.length - 1] ?? 0) - first];
}

/** The same for an input that begins `by` pixels later. */
function shifted(axis: Coefficients, by: number): Coefficients {
  return by === 0 ? axis : { ...axis, starts: axis.starts.map((start) => start - by) };
}

interface Axis {
  readonly size: number;
  readonly from: number;
  readonly to: number;
  readonly out: number;
  readonly first: number;
  readonly count: number;
}

function coefficients({ size, from, to, out, first, count }: Axis, filter: Filter): Coefficients {
  const scale = Math.fround(to - from) / out;
  const filterScale = Math.max(scale, 1); // shrinking widens the filter: that is the antialiasing
  const support = filter.support * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * stride);
  const exact = new Float64Array(stride);
  for (let i = 0; i < count; i++) {
    const centre = from + (first + i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const length = Math.min(Math.trunc(centre + support + 0.5), size) - start;
    let total = 0;
    for (let j = 0; j < length; j++) {
      const weight = filter.weight((j + start - centre + 0.5) * (1 / filterScale));
      exact[j] = weight;
      total += weight;
    }
    for (let j = 0; j < length; j++) {
      const weight = (total === 0 ? (exact[j] ?? 0) : (exact[j] ?? 0) / total) * (1 << PRECISION);
      weights[i * stride + j] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    starts[i] = start;
    counts[i] = length;
  }
  return { starts, counts, weights, stride };
}
