/** The SIMD kernels against the plain sums that they stand for, on sizes and weights that Pillow's goldens do not reach. */
import { expect, test } from "vitest";
import type { Coefficients } from "../../src/augmentation/resample.ts";
import { resample } from "../../src/augmentation/resample.ts";
import { createRandom } from "../../src/random.ts";

/** One axis as a loop: the sum of weights × pixels from 2²¹ on in 32 bits, shifted by 22, clamped to a byte. */
function plainSum(
  read: (tap: number) => number,
  i: number,
  { counts, weights, stride }: Coefficients,
): number {
  let sum = 1 << 21;
  for (let j = 0; j < (counts[i] ?? 0); j++)
    sum = (sum + Math.imul(read(j), weights[i * stride + j] ?? 0)) | 0;
  return Math.min(255, Math.max(0, sum >> 22));
}

const random = createRandom(7);

/** Weights of any sign whose sums stay within 32 bits, as a filter's do. */
function axis(size: number, outputs: number, stride: number): Coefficients {
  const starts = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Int32Array(outputs * stride);
  for (let i = 0; i < outputs; i++) {
    counts[i] = 1 + random.integer(Math.min(stride, size));
    starts[i] = random.integer(size - (counts[i] ?? 0) + 1);
    for (let j = 0; j < (counts[i] ?? 0); j++)
      weights[i * stride + j] = random.integer(2 ** 23) - 2 ** 22 + (j === 0 ? 2 ** 21 : 0);
  }
  return { starts, counts, weights, stride };
}

test.each([
  [1, 1, 1, 1],
  [5, 3, 2, 3],
  [17, 33, 40, 3],
  [64, 9, 31, 8],
  [3, 128, 7, 2],
])("an image of %d × %d, to %d outputs of up to %d taps", (width, height, outputs, stride) => {
  const data = Uint8Array.from({ length: 3 * width * height }, () => random.integer(256));
  const image = { width, height, data };
  const whole = { left: 0, top: 0, width, height };

  const along = axis(width, outputs, stride);
  const rows = resample(image, whole, [{ axis: "rows", ...along }]);
  expect([rows.width, rows.height]).toEqual([outputs, height]);
  const expectedRows = Uint8Array.from({ length: 3 * outputs * height }, (_, index) => {
    const [y, x, c] = [Math.floor(index / (3 * outputs)), Math.floor(index / 3) % outputs, index % 3];
    return plainSum((j) => data[3 * (y * width + (along.starts[x] ?? 0) + j) + c] ?? 0, x, along);
  });
  expect(rows.data).toEqual(expectedRows);

  const down = axis(height, outputs, stride);
  const columns = resample(image, whole, [{ axis: "columns", ...down }]);
  const expectedColumns = Uint8Array.from({ length: 3 * width * outputs }, (_, index) => {
    const [y, rest] = [Math.floor(index / (3 * width)), index % (3 * width)];
    return plainSum((j) => data[3 * width * ((down.starts[y] ?? 0) + j) + rest] ?? 0, y, down);
  });
  expect(columns.data).toEqual(expectedColumns);
});

test("an image larger than the memory that is kept leaves the next one as it is", () => {
  const small = { width: 4, height: 4, data: Uint8Array.from({ length: 48 }, (_, i) => 5 * i) };
  const half: Coefficients = {
    starts: Int32Array.of(0, 2),
    counts: Int32Array.of(2, 2),
    weights: new Int32Array(4).fill(2 ** 21),
    stride: 2,
  };
  const shrink = (image: typeof small): Uint8Array =>
    resample(image, { left: 0, top: 0, width: image.width, height: image.height }, [
      { axis: "rows", ...half },
      { axis: "columns", ...half },
    ]).data;
  const before = shrink(small);
  const large = { width: 8000, height: 3000, data: new Uint8Array(3 * 8000 * 3000).fill(9) };
  expect(shrink(large)).toEqual(new Uint8Array(12).fill(9));
  expect(shrink(small)).toEqual(before);
});
