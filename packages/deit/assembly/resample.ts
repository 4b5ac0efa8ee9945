/**
 * AssemblyScript, compiled by `npm run wasm`: the two passes of Pillow's 8-bit resampling in 128-bit SIMD. Weights are 22-bit
 * fixed point, split into hi · 2¹¹ + lo, so that products of 16-bit lanes are exact; sums are those of 32-bit arithmetic.
 */
// @ts-nocheck
const SHIFT: i32 = 22;
const HALF: i32 = 1 << 21;

/**
 * Along rows: output pixel x of each row is the sum of weights × `taps` RGB pixels from starts[x] on. `taps` is a multiple of
 * 4; hi and lo hold `taps` i16 for each output. Reads up to 16 bytes beyond the last pixel, writes one beyond.
 */
export function rows(
  source: usize,
  sourceStride: i32,
  height: i32,
  starts: usize,
  width: i32,
  hi: usize,
  lo: usize,
  taps: i32,
  target: usize,
): void {
  const half = i32x4.splat(HALF);
  const first = i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
  const second = i8x16(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  let o = target;
  for (let y = 0; y < height; y++) {
    const row = source + <usize>y * sourceStride;
    let w: usize = 0;
    for (let x = 0; x < width; x++) {
      let p = row + <usize>load<i32>(starts + ((<usize>x) << 2)) * 3;
      let sumHi = i32x4.splat(0);
      let sumLo = half;
      for (const end = w + ((<usize>taps) << 1); w < end; w += 8, p += 12) {
        const pixels = v128.load(p);
        const a = i8x16.swizzle(pixels, first);
        const b = i8x16.swizzle(pixels, second);
        sumHi = i32x4.add(sumHi, i32x4.dot_i16x8_s(a, v128.load_splat<i32>(hi + w)));
        sumLo = i32x4.add(sumLo, i32x4.dot_i16x8_s(a, v128.load_splat<i32>(lo + w)));
        sumHi = i32x4.add(sumHi, i32x4.dot_i16x8_s(b, v128.load_splat<i32>(hi + w + 4)));
        sumLo = i32x4.add(sumLo, i32x4.dot_i16x8_s(b, v128.load_splat<i32>(lo + w + 4)));
      }
      const sum = i32x4.shr_s(i32x4.add(i32x4.shl(sumHi, 11), sumLo), SHIFT);
      const words = i16x8.narrow_i32x4_s(sum, sum);
      const bytes = i8x16.narrow_i16x8_u(words, words);
      v128.store_lane<i32>(o, bytes, 0);
      o += 3;
    }
  }
}

/**
 * Along columns: row y of the result, `bytes` long, is the sum of weights × `taps` rows from starts[y] on. `taps` is even.
 * Reads and writes up to 15 bytes beyond the last row.
 */
export function columns(
  source: usize,
  sourceStride: i32,
  bytes: i32,
  starts: usize,
  height: i32,
  hi: usize,
  lo: usize,
  taps: i32,
  target: usize,
): void {
  const half = i32x4.splat(HALF);
  const zero = i32x4.splat(0);
  for (let y = 0; y < height; y++) {
    const top = source + <usize>load<i32>(starts + ((<usize>y) << 2)) * sourceStride;
    const firstHi = hi + ((<usize>y * taps) << 1);
    const firstLo = lo + ((<usize>y * taps) << 1);
    const out = target + <usize>y * bytes;
    for (let x = 0; x < bytes; x += 16) {
      let h0 = zero,
        h1 = zero,
        h2 = zero,
        h3 = zero;
      let l0 = half,
        l1 = half,
        l2 = half,
        l3 = half;
      let p = top + x;
      for (let t = 0; t < taps; t += 2) {
        const a = v128.load(p);
        const b = v128.load(p + sourceStride);
        p += 2 * sourceStride;
        const low = i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const high = i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        const weightHi = v128.load_splat<i32>(firstHi + ((<usize>t) << 1));
        const weightLo = v128.load_splat<i32>(firstLo + ((<usize>t) << 1));
        const q0 = i16x8.extend_low_i8x16_u(low);
        const q1 = i16x8.extend_high_i8x16_u(low);
        const q2 = i16x8.extend_low_i8x16_u(high);
        const q3 = i16x8.extend_high_i8x16_u(high);
        h0 = i32x4.add(h0, i32x4.dot_i16x8_s(q0, weightHi));
        h1 = i32x4.add(h1, i32x4.dot_i16x8_s(q1, weightHi));
        h2 = i32x4.add(h2, i32x4.dot_i16x8_s(q2, weightHi));
        h3 = i32x4.add(h3, i32x4.dot_i16x8_s(q3, weightHi));
        l0 = i32x4.add(l0, i32x4.dot_i16x8_s(q0, weightLo));
        l1 = i32x4.add(l1, i32x4.dot_i16x8_s(q1, weightLo));
        l2 = i32x4.add(l2, i32x4.dot_i16x8_s(q2, weightLo));
        l3 = i32x4.add(l3, i32x4.dot_i16x8_s(q3, weightLo));
      }
      h0 = i32x4.shr_s(i32x4.add(i32x4.shl(h0, 11), l0), SHIFT);
      h1 = i32x4.shr_s(i32x4.add(i32x4.shl(h1, 11), l1), SHIFT);
      h2 = i32x4.shr_s(i32x4.add(i32x4.shl(h2, 11), l2), SHIFT);
      h3 = i32x4.shr_s(i32x4.add(i32x4.shl(h3, 11), l3), SHIFT);
      v128.store(out + x, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(h0, h1), i16x8.narrow_i32x4_s(h2, h3)));
    }
  }
}
