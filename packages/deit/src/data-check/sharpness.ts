/**
 * How blurred an image is, without another one to compare it with: blurring again changes a sharp image much and a blurred
 * one little (Crété-Roffet et al., The Blur Effect, 2007). Of the sharpest part, as a photo with a blurred background is
 * a good one. Pure.
 */

/** One channel, row-major. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** Parts along each side. */
const PARTS = 4;
/** Taps of the blur, on each side of the middle. */
const REACH = 4;
/** Mean difference between neighbours below which a part has nothing to be sharp: noise, sky. */
const TEXTURE = 1;

/** 0 (sharp) to 1 (blurred, or without any texture) of the sharpest part; undefined for an image that is too small to say. */
export function blurOf(image: GreyImage): number | undefined {
  if (Math.min(image.width, image.height) < 2 * REACH * PARTS) return undefined;
  const across = variations(image, 1, image.width);
  const down = variations(image, image.width, image.height);
  let sharpest = 1;
  for (let row = 0; row < PARTS; row++) {
    for (let column = 0; column < PARTS; column++) {
      const part = { image, row, column };
      const blurs = [across, down].flatMap((each) => blurIn(part, each) ?? []);
      if (blurs.length === 0) continue;
      sharpest = Math.min(sharpest, Math.max(...blurs)); // blurred in one direction is blurred: motion
    }
  }
  return sharpest;
}

interface Variations {
  /** |difference to the neighbour before|, by pixel. */
  readonly before: Float32Array;
  /** What of it is lost by blurring along the same line. */
  readonly lost: Float32Array;
}

/** Along lines of `length` pixels, `step` apart in memory. */
function variations({ width, height, data }: GreyImage, step: number, length: number): Variations {
  const before = new Float32Array(data.length);
  const lost = new Float32Array(data.length);
  const lines = step === 1 ? height : width;
  const blurred = new Float32Array(length);
  for (let line = 0; line < lines; line++) {
    const start = step === 1 ? line * width : line;
    const at = (i: number): number => data[start + Math.min(length - 1, Math.max(0, i)) * step] as number;
    let sum = 0;
    for (let i = -REACH; i <= REACH; i++) sum += at(i);
    for (let i = 0; i < length; i++) {
      blurred[i] = sum / (2 * REACH + 1);
      sum += at(i + REACH + 1) - at(i - REACH);
    }
    for (let i = 1; i < length; i++) {
      const own = Math.abs(at(i) - at(i - 1));
      const after = Math.abs((blurred[i] as number) - (blurred[i - 1] as number));
      before[start + i * step] = own;
      lost[start + i * step] = Math.max(0, own - after);
    }
  }
  return { before, lost };
}

function blurIn(
  { image: { width, height }, row, column }: { image: GreyImage; row: number; column: number },
  { before, lost }: Variations,
): number | undefined {
  const edge = (part: number, side: number): number => Math.floor((part * side) / PARTS);
  const [top, bottom] = [edge(row, height), edge(row + 1, height)];
  const [left, right] = [edge(column, width), edge(column + 1, width)];
  let [all, gone] = [0, 0];
  for (let y = top; y < bottom; y++) {
    for (let i = y * width + left; i < y * width + right; i++) {
      all += before[i] as number;
      gone += lost[i] as number;
    }
  }
  const pixels = (bottom - top) * (right - left);
  if (all / pixels < TEXTURE) return undefined;
  return (all - gone) / all;
}
