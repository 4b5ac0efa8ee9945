/**
 * Affine maps of an image onto one of the same size: Pillow's Image.transform(AFFINE) and Image.rotate, bit for bit.
 * The matrix leads from the result back to the image. What comes from outside is filled.
 */
import { DeitError } from "../errors.ts";
import type { RgbImage } from "./rgb-image.ts";
import type { Interpolation } from "./resize.ts";

/** [a, b, c, d, e, f]: result (x, y) shows the image at (a·x + b·y + c, d·x + e·y + f), pixel centres at ½. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

export interface AffineOptions {
  /** Nearest, bilinear or bicubic; maps have no box and no lanczos filter, in Pillow neither. */
  readonly interpolation: Interpolation;
  /** RGB of what comes from outside. */
  readonly fill: readonly [number, number, number];
}

/** Result and image have the same size. @throws DeitError for an interpolation that maps do not have */
export function affine(
  image: RgbImage,
  matrix: AffineMatrix,
  { interpolation, fill }: AffineOptions,
): RgbImage {
  const { width, height } = image;
  const result = new Uint8Array(image.data.length);
  for (let i = 0; i < result.length; i += 3) {
    result[i] = fill[0];
    result[i + 1] = fill[1];
    result[i + 2] = fill[2];
  }
  if (interpolation === "bicubic") mapBicubic(image, matrix, result);
  else if (interpolation === "bilinear") mapBilinear(image, matrix, result);
  else if (interpolation === "nearest") mapNearest(image, matrix, result);
  else
    throw new DeitError(`affine: no interpolation ${interpolation}; expected nearest, bilinear or bicubic`, {
      code: "image/argument",
    });
  return { width, height, data: result };
}

/** Counter-clockwise about the centre; quarter turns move whole pixels where the size stays. */
export function rotate(image: RgbImage, degrees: number, options: AffineOptions): RgbImage {
  const { width, height } = image;
  const rest = degrees % 360;
  const angle = rest < 0 ? rest + 360 : rest;
  const row = width * 3;
  if (angle === 0) return image;
  if (angle === 180) return movePixels(image, { start: (height - 1) * row + row - 3, right: -3, down: -row });
  if (angle === 90 && width === height) return movePixels(image, { start: row - 3, right: row, down: -3 });
  if (angle === 270 && width === height)
    return movePixels(image, { start: (height - 1) * row, right: -row, down: 3 });
  const radians = -(angle * (Math.PI / 180));
  const cos = roundTo15(Math.cos(radians));
  const sin = roundTo15(Math.sin(radians));
  const minusSin = roundTo15(-Math.sin(radians));
  const centreX = width / 2;
  const centreY = height / 2;
  const c = cos * -centreX + sin * -centreY + centreX;
  const f = minusSin * -centreX + cos * -centreY + centreY;
  return affine(image, [cos, sin, c, minusSin, cos, f], options);
}

/** Python's round(value, 15). */
function roundTo15(value: number): number {
  return Number(value.toFixed(15));
}

/** An image of the same size whose first pixel is at byte `start`; one step right or down moves so many bytes. */
function movePixels(
  { width, height, data }: RgbImage,
  { start, right, down }: { start: number; right: number; down: number },
): RgbImage {
  const result = new Uint8Array(data.length);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0, i = start + y * down; x < width; x++, i += right, o += 3) {
      result[o] = data[i] as number;
      result[o + 1] = data[i + 1] as number;
      result[o + 2] = data[i + 2] as number;
    }
  }
  return { width, height, data: result };
}

/** Below this the corners of a nearest map go into 16.16 fixed point. */
const FIXED_LIMIT = 32768;
const FIXED_ONE = 65536;

/** Pillow adds up steps here, in fixed point where it can, but for pure scaling. */
function mapNearest({ width, height, data }: RgbImage, matrix: AffineMatrix, result: Uint8Array): void {
  const [a, b, c, d, e, f] = matrix;
  const fits = (x: number, y: number): boolean =>
    Math.abs(x * a + y * b + c) < FIXED_LIMIT && Math.abs(x * d + y * e + f) < FIXED_LIMIT;
  const scales = b === 0 && d === 0;
  const fixed = !scales && fits(0, 0) && fits(width, height) && fits(0, height) && fits(width, 0);
  const unit = fixed ? FIXED_ONE : 1;
  const step = (value: number): number => (fixed ? Math.floor(value * FIXED_ONE + 0.5) : value);
  const stepA = step(a);
  const stepB = step(b);
  const stepD = step(d);
  const stepE = step(e);
  let rowX = fixed ? step(c + a * 0.5 + b * 0.5) : c + b * 0.5 + a * 0.5;
  let rowY = fixed ? step(f + d * 0.5 + e * 0.5) : f + e * 0.5 + d * 0.5;
  for (let y = 0, o = 0; y < height; y++, rowX += stepB, rowY += stepE) {
    for (let x = 0, atX = rowX, atY = rowY; x < width; x++, o += 3, atX += stepA, atY += stepD) {
      const fromX = Math.floor(atX / unit);
      const fromY = Math.floor(atY / unit);
      if (!(fromX >= 0 && fromX < width && fromY >= 0 && fromY < height)) continue;
      const i = (fromY * width + fromX) * 3;
      result[o] = data[i] as number;
      result[o + 1] = data[i + 1] as number;
      result[o + 2] = data[i + 2] as number;
    }
  }
}

/** Between 2 × 2 pixels in float64; cut off, not rounded. */
function mapBilinear({ width, height, data }: RgbImage, matrix: AffineMatrix, result: Uint8Array): void {
  const [a, b, c, d, e, f] = matrix;
  const bytes = width * 3;
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      const fromX = a * (x + 0.5) + b * (y + 0.5) + c;
      const fromY = d * (x + 0.5) + e * (y + 0.5) + f;
      if (!(fromX >= 0 && fromX < width && fromY >= 0 && fromY < height)) continue;
      const left = Math.floor(fromX - 0.5);
      const top = Math.floor(fromY - 0.5);
      const dx = fromX - 0.5 - left;
      const dy = fromY - 0.5 - top;
      const x0 = left < 0 ? 0 : left * 3;
      const x1 = left + 1 < width ? left * 3 + 3 : x0;
      const row0 = top < 0 ? 0 : top * bytes;
      const row1 = top + 1 < height ? (top + 1) * bytes : row0;
      for (let channel = 0; channel < 3; channel++) {
        const i = row0 + channel;
        const j = row1 + channel;
        const above = mix(data[i + x0] as number, data[i + x1] as number, dx);
        const below = mix(data[j + x0] as number, data[j + x1] as number, dx);
        result[o + channel] = mix(above, below, dy) | 0;
      }
    }
  }
}

function mix(a: number, b: number, d: number): number {
  return a + (b - a) * d;
}

/**
 * Between 4 × 4 pixels in float64; cut off, not rounded. Pillow's bicubic for maps has a = −1, where its resize has
 * −½. Where the place is on a row or column of pixel centres (shears, translations) the others count exactly 0.
 */
function mapBicubic({ width, height, data }: RgbImage, matrix: AffineMatrix, result: Uint8Array): void {
  const [a, b, c, d, e, f] = matrix;
  const bytes = width * 3;
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      const fromX = a * (x + 0.5) + b * (y + 0.5) + c;
      const fromY = d * (x + 0.5) + e * (y + 0.5) + f;
      if (!(fromX >= 0 && fromX < width && fromY >= 0 && fromY < height)) continue;
      const left = Math.floor(fromX - 0.5);
      const top = Math.floor(fromY - 0.5);
      const dx = fromX - 0.5 - left;
      const dy = fromY - 0.5 - top;
      const x0 = clamp(left - 1, width) * 3;
      const x1 = clamp(left, width) * 3;
      const x2 = clamp(left + 1, width) * 3;
      const x3 = clamp(left + 2, width) * 3;
      const row0 = clamp(top - 1, height) * bytes;
      const row1 = clamp(top, height) * bytes;
      const row2 = clamp(top + 1, height) * bytes;
      const row3 = clamp(top + 2, height) * bytes;
      for (let channel = 0; channel < 3; channel++) {
        const i = row1 + channel;
        let value: number;
        if (dy === 0) value = cubicOfBytes(data, i + x0, i + x1, i + x2, i + x3, dx);
        else if (dx === 0) {
          const j = x1 + channel;
          value = cubicOfBytes(data, row0 + j, row1 + j, row2 + j, row3 + j, dy);
        } else {
          const h = row0 + channel;
          const j = row2 + channel;
          const k = row3 + channel;
          value = cubic(
            cubicOfBytes(data, h + x0, h + x1, h + x2, h + x3, dx),
            cubicOfBytes(data, i + x0, i + x1, i + x2, i + x3, dx),
            cubicOfBytes(data, j + x0, j + x1, j + x2, j + x3, dx),
            cubicOfBytes(data, k + x0, k + x1, k + x2, k + x3, dx),
            dy,
          );
        }
        result[o + channel] = value <= 0 ? 0 : value >= 255 ? 255 : value | 0;
      }
    }
  }
}

/** `cubic` of four bytes; what is in brackets is whole. */
function cubicOfBytes(data: Uint8Array, i1: number, i2: number, i3: number, i4: number, d: number): number {
  const v1 = data[i1] as number;
  const v2 = data[i2] as number;
  const v3 = data[i3] as number;
  const v4 = data[i4] as number;
  return v2 + d * (v3 - v1 + d * (2 * (v1 - v2) + v3 - v4 + d * (v2 - v1 + v4 - v3)));
}

function cubic(v1: number, v2: number, v3: number, v4: number, d: number): number {
  return v2 + d * (-v1 + v3 + d * (2 * (v1 - v2) + v3 - v4 + d * (-v1 + v2 - v3 + v4)));
}

function clamp(index: number, length: number): number {
  return index < 0 ? 0 : index < length ? index : length - 1;
}
