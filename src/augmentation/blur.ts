/**
 * Gaussian blur as Pillow's ImageFilter.GaussianBlur has it, bit for bit: three passes of a box whose width need not
 * be whole (Gwosdek et al. 2011), along the rows and then along the columns, in 24-bit fixed point.
 */
import type { Picture } from "./picture.ts";

const PASSES = 3;
const ONE = 1 << 24;

/** `radius` is the standard deviation in pixels. */
export function gaussianBlur(picture: Picture, radius: number): Picture {
  if (radius === 0) return picture;
  const box = boxRadius(Math.fround(radius));
  const { width, height } = picture;
  const data = picture.data.slice();
  const line = new Uint8Array(Math.max(width, height));
  for (let y = 0; y < height; y++)
    for (let channel = 0; channel < 3; channel++)
      blurLine(data, { start: y * width * 3 + channel, stride: 3, length: width }, box, line);
  for (let x = 0; x < width; x++)
    for (let channel = 0; channel < 3; channel++)
      blurLine(data, { start: x * 3 + channel, stride: width * 3, length: height }, box, line);
  return { width, height, data };
}

/** Radius of the boxes, whole part and rest, whose repetition has that standard deviation. */
function boxRadius(sigma: number): number {
  const { fround } = Math;
  const variance = fround(fround(sigma * sigma) / PASSES);
  const length = fround(Math.sqrt(12 * variance + 1));
  const whole = fround(Math.floor((length - 1) / 2));
  const over = fround(
    fround(2 * whole + 1) * fround(fround(whole * fround(whole + 1)) - fround(3 * variance)),
  );
  const under = fround(6 * fround(variance - fround(fround(whole + 1) * fround(whole + 1))));
  return fround(whole + fround(over / under));
}

/** The three passes over one line of values, in place. */
function blurLine(
  data: Uint8Array,
  { start, stride, length }: { start: number; stride: number; length: number },
  box: number,
  line: Uint8Array,
): void {
  const radius = Math.trunc(box);
  const { fround } = Math;
  const weight = Math.trunc(fround(ONE / fround(fround(box * 2) + 1)));
  const edgeWeight = Math.trunc((ONE - (radius * 2 + 1) * weight) / 2);
  const last = length - 1;
  for (let pass = 0; pass < PASSES; pass++) {
    for (let i = 0, from = start; i < length; i++, from += stride) line[i] = data[from] as number;
    const at = (i: number): number => line[i < 0 ? 0 : i > last ? last : i] as number;
    let sum = 0;
    for (let i = -radius - 1; i < radius; i++) sum += at(i);
    for (let i = 0, to = start; i < length; i++, to += stride) {
      sum += at(i + radius) - at(i - radius - 1);
      const bulk = sum * weight + (at(i - radius - 1) + at(i + radius + 1)) * edgeWeight;
      data[to] = Math.floor((bulk + ONE / 2) / ONE);
    }
  }
}
