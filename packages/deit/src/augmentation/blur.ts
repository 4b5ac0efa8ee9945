/**
 * Gaussian blur as Pillow's ImageFilter.GaussianBlur has it, bit for bit: three passes of a box whose width need not
 * be whole (Gwosdek et al. 2011), along the rows and then along the columns, in 24-bit fixed point.
 */
import { DeitError } from "../errors.ts";
import type { RgbImage } from "./rgb-image.ts";

const PASSES = 3;
const ONE = 1 << 24;
const HALF = 1 << 23;

/** `radius` is the standard deviation in pixels. */
export function gaussianBlur(image: RgbImage, radius: number): RgbImage {
  if (!(radius >= 0))
    throw new DeitError(`gaussianBlur: expected a radius of at least 0, got ${radius}`, {
      code: "image/argument",
    });
  if (radius === 0) return image;
  const { width, height } = image;
  const box = boxOf(Math.fround(radius));
  const data = image.data.slice();
  const room = (Math.max(width, height) + 2 * (box.radius + 1)) * 3;
  const lines: Lines = [new Uint8Array(room), new Uint8Array(room)];
  for (let y = 0; y < height; y++)
    blurLine(data, { start: y * width * 3, stride: 3, length: width }, box, lines);
  for (let x = 0; x < width; x++)
    blurLine(data, { start: x * 3, stride: width * 3, length: height }, box, lines);
  return { width, height, data };
}

/** Pixels up to `radius` away count `weight`, those one further `edgeWeight`, in 2⁻²⁴. */
interface Box {
  readonly radius: number;
  readonly weight: number;
  readonly edgeWeight: number;
}

/** The box whose repetition has that standard deviation; float32 as in the reference. */
function boxOf(sigma: number): Box {
  const { fround } = Math;
  const variance = fround(fround(sigma * sigma) / PASSES);
  const length = fround(Math.sqrt(12 * variance + 1));
  const whole = fround(Math.floor((length - 1) / 2));
  const over = fround(
    fround(2 * whole + 1) * fround(fround(whole * fround(whole + 1)) - fround(3 * variance)),
  );
  const under = fround(6 * fround(variance - fround(fround(whole + 1) * fround(whole + 1))));
  const exact = fround(whole + fround(over / under));
  const radius = Math.trunc(exact);
  const weight = Math.trunc(fround(ONE / fround(fround(exact * 2) + 1)));
  return { radius, weight, edgeWeight: (ONE - Math.imul(radius * 2 + 1, weight)) >>> 1 };
}

/** Two lines of pixels with room for the border's on both sides. */
type Lines = readonly [Uint8Array, Uint8Array];

/** The three passes over one line of pixels, in place. */
function blurLine(
  data: Uint8Array,
  { start, stride, length }: { start: number; stride: number; length: number },
  box: Box,
  lines: Lines,
): void {
  let [line, next] = lines;
  const first = (box.radius + 1) * 3;
  for (let i = 0, from = start, to = first; i < length; i++, from += stride, to += 3) {
    line[to] = data[from] as number;
    line[to + 1] = data[from + 1] as number;
    line[to + 2] = data[from + 2] as number;
  }
  for (let pass = 0; pass < PASSES; pass++) {
    extendBorder(line, first, first + length * 3);
    boxBlur(line, next, length, box);
    [line, next] = [next, line];
  }
  for (let i = 0, from = first, to = start; i < length; i++, from += 3, to += stride) {
    data[to] = line[from] as number;
    data[to + 1] = line[from + 1] as number;
    data[to + 2] = line[from + 2] as number;
  }
}

/** Repeats the pixels at `first` and before `end` on the `first` bytes of either side. */
function extendBorder(line: Uint8Array, first: number, end: number): void {
  for (let before = first - 1, after = end; before >= 0; before--, after++) {
    line[before] = line[before + 3] as number;
    line[after] = line[after - 3] as number;
  }
}

/** One pass over a line with its border, pixel by pixel with running sums; modulo 2³², as in the reference. */
function boxBlur(
  line: Uint8Array,
  result: Uint8Array,
  length: number,
  { radius, weight, edgeWeight }: Box,
): void {
  let red = 0;
  let green = 0;
  let blue = 0;
  const border = (radius + 1) * 3;
  for (let i = 0, end = border + (radius - 1) * 3; i <= end; i += 3) {
    red += line[i] as number;
    green += line[i + 1] as number;
    blue += line[i + 2] as number;
  }
  // the sum goes from the pixel after `left` to the one before `right`
  for (let i = 0, left = 0, o = border, right = 2 * border; i < length; i++, left += 3, o += 3, right += 3) {
    red += (line[right - 3] as number) - (line[left] as number);
    green += (line[right - 2] as number) - (line[left + 1] as number);
    blue += (line[right - 1] as number) - (line[left + 2] as number);
    const redEdge = (line[left] as number) + (line[right] as number);
    const greenEdge = (line[left + 1] as number) + (line[right + 1] as number);
    const blueEdge = (line[left + 2] as number) + (line[right + 2] as number);
    result[o] = (Math.imul(red, weight) + Math.imul(redEdge, edgeWeight) + HALF) >>> 24;
    result[o + 1] = (Math.imul(green, weight) + Math.imul(greenEdge, edgeWeight) + HALF) >>> 24;
    result[o + 2] = (Math.imul(blue, weight) + Math.imul(blueEdge, edgeWeight) + HALF) >>> 24;
  }
}
