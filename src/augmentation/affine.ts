/**
 * Affine maps of a picture onto one of the same size: Pillow's Image.transform(AFFINE) and Image.rotate, bit for bit.
 * The matrix leads from the result back to the picture. What comes from outside is filled.
 */
import type { Picture } from "./picture.ts";
import type { Interpolation } from "./resize.ts";

/** [a, b, c, d, e, f]: result (x, y) shows the picture at (a·x + b·y + c, d·x + e·y + f), pixel centres at ½. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

export interface AffineOptions {
  readonly interpolation: Interpolation;
  /** RGB of what comes from outside. */
  readonly fill: readonly [number, number, number];
}

/** Result and picture have the same size. */
export function affine(
  picture: Picture,
  [a, b, c, d, e, f]: AffineMatrix,
  { interpolation, fill }: AffineOptions,
): Picture {
  const { width, height } = picture;
  const result = new Uint8Array(picture.data.length);
  const sample = interpolation === "bicubic" ? sampleBicubic : sampleBilinear;
  let o = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      const fromX = a * (x + 0.5) + b * (y + 0.5) + c;
      const fromY = d * (x + 0.5) + e * (y + 0.5) + f;
      if (fromX < 0 || fromX >= width || fromY < 0 || fromY >= height) {
        result[o] = fill[0];
        result[o + 1] = fill[1];
        result[o + 2] = fill[2];
      } else sample(picture, fromX - 0.5, fromY - 0.5, result, o);
    }
  }
  return { width, height, data: result };
}

/** Counter-clockwise about the centre. */
export function rotate(picture: Picture, degrees: number, options: AffineOptions): Picture {
  const angle = ((degrees % 360) + 360) % 360;
  const { width, height } = picture;
  if (angle === 0) return picture;
  if (angle === 180) return turned(picture, (x, y) => [width - 1 - x, height - 1 - y]);
  if (angle === 90 && width === height) return turned(picture, (x, y) => [width - 1 - y, x]);
  if (angle === 270 && width === height) return turned(picture, (x, y) => [y, height - 1 - x]);
  const radians = -((angle * Math.PI) / 180);
  const rounded = (value: number): number => Number(value.toFixed(15));
  const cos = rounded(Math.cos(radians));
  const sin = rounded(Math.sin(radians));
  const minusSin = rounded(-Math.sin(radians));
  const [centreX, centreY] = [width / 2, height / 2];
  const c = cos * -centreX + sin * -centreY + centreX;
  const f = minusSin * -centreX + cos * -centreY + centreY;
  return affine(picture, [cos, sin, c, minusSin, cos, f], options);
}

/** Moves whole pixels; `from` gives the place in the picture of a place in the result. */
function turned({ width, height, data }: Picture, from: (x: number, y: number) => [number, number]): Picture {
  const result = new Uint8Array(data.length);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      const [fromX, fromY] = from(x, y);
      const i = (fromY * width + fromX) * 3;
      result.set(data.subarray(i, i + 3), o);
    }
  }
  return { width, height, data: result };
}

function sampleBilinear(
  { width, height, data }: Picture,
  x: number,
  y: number,
  result: Uint8Array,
  o: number,
): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const [dx, dy] = [x - left, y - top];
  const x0 = left < 0 ? 0 : left;
  const x1 = left + 1 < width ? left + 1 : width - 1;
  const row0 = (top < 0 ? 0 : top) * width;
  const row1 = top + 1 < height ? (top + 1) * width : row0;
  for (let channel = 0; channel < 3; channel++) {
    const above = mix(
      data[(row0 + x0) * 3 + channel] as number,
      data[(row0 + x1) * 3 + channel] as number,
      dx,
    );
    const below = mix(
      data[(row1 + x0) * 3 + channel] as number,
      data[(row1 + x1) * 3 + channel] as number,
      dx,
    );
    result[o + channel] = mix(above, below, dy);
  }
}

function mix(a: number, b: number, d: number): number {
  return a + (b - a) * d;
}

/** Pillow's bicubic for maps has a = −1, where its resize has −½; the result is cut off, not rounded. */
function sampleBicubic(
  { width, height, data }: Picture,
  x: number,
  y: number,
  result: Uint8Array,
  o: number,
): void {
  const left = Math.floor(x) - 1;
  const top = Math.floor(y) - 1;
  const dx = x - left - 1;
  const dy = y - top - 1;
  const x0 = clamp(left, width) * 3;
  const x1 = clamp(left + 1, width) * 3;
  const x2 = clamp(left + 2, width) * 3;
  const x3 = clamp(left + 3, width) * 3;
  const row0 = clamp(top, height) * width * 3;
  const row1 = clamp(top + 1, height) * width * 3;
  const row2 = clamp(top + 2, height) * width * 3;
  const row3 = clamp(top + 3, height) * width * 3;
  for (let channel = 0; channel < 3; channel++) {
    const value = cubic(
      cubicAt(data, row0 + channel, x0, x1, x2, x3, dx),
      cubicAt(data, row1 + channel, x0, x1, x2, x3, dx),
      cubicAt(data, row2 + channel, x0, x1, x2, x3, dx),
      cubicAt(data, row3 + channel, x0, x1, x2, x3, dx),
      dy,
    );
    result[o + channel] = value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
  }
}

function cubicAt(
  data: Uint8Array,
  row: number,
  x0: number,
  x1: number,
  x2: number,
  x3: number,
  d: number,
): number {
  return cubic(
    data[row + x0] as number,
    data[row + x1] as number,
    data[row + x2] as number,
    data[row + x3] as number,
    d,
  );
}

function cubic(v1: number, v2: number, v3: number, v4: number, d: number): number {
  return v2 + d * (-v1 + v3 + d * (2 * (v1 - v2) + v3 - v4 + d * (-v1 + v2 - v3 + v4)));
}

function clamp(index: number, length: number): number {
  return index < 0 ? 0 : index < length ? index : length - 1;
}
