/**
 * The two passes of an antialiased resize, in WebAssembly with 128-bit SIMD: the kernels of assembly/resample.ts, in one
 * memory for each thread. The sums are those of Pillow's 32-bit arithmetic, bit for bit. Runs in Node and browsers.
 */
import { RESAMPLE_WASM } from "./resample-wasm.ts";
import type { RgbImage, Region } from "./rgb-image.ts";

/** One axis: output i is the sum over j < counts[i] of weights[i · stride + j] × input[starts[i] + j], weights × 2²². */
export interface Coefficients {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
}

/** `rows`: along each row, so that the width changes. `columns`: along each column. */
export interface Pass extends Coefficients {
  readonly axis: "rows" | "columns";
}

/** source, bytes of its rows, [height or bytes], starts, outputs, weights (high and low halves), taps, target. */
type Kernel = (
  source: number,
  stride: number,
  length: number,
  starts: number,
  outputs: number,
  high: number,
  low: number,
  taps: number,
  target: number,
) => void;

/** Weights are high · 2¹¹ + low, so that products of 16-bit numbers are exact. */
const LOW_BITS = 11;
/** The kernels take so many taps at a time; those that are missing have weight 0. */
const TAPS = { rows: 4, columns: 2 } as const;
/** Vectors are read and written whole: so many bytes beyond the end of an image, which weigh nothing. */
const SLACK = 64;
const PAGE = 2 ** 16;
/** A memory that one huge image made larger than this is given back after it. */
const KEPT_BYTES = 2 ** 26;

let instance: { memory: WebAssembly.Memory; kernels: Record<Pass["axis"], Kernel> } | undefined;

function load(): NonNullable<typeof instance> {
  if (instance !== undefined) return instance;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(RESAMPLE_WASM), { env: { memory } });
  instance = { memory, kernels: exports as unknown as Record<Pass["axis"], Kernel> };
  return instance;
}

/** `region` of the image after one or two passes over it; their starts are counted from the region's corner. */
export function resample(image: RgbImage, region: Region, passes: readonly Pass[]): RgbImage {
  const { memory, kernels } = load();
  const sizes = [{ width: region.width, height: region.height }];
  for (const { axis, starts } of passes) {
    const { width, height } = sizes.at(-1) ?? region;
    sizes.push(axis === "rows" ? { width: starts.length, height } : { width, height: starts.length });
  }
  // [image, image after the first pass, …], then starts and weights of each pass
  let end = 0;
  const place = (bytes: number): number => {
    const at = end;
    end += Math.ceil((bytes + SLACK) / 16) * 16;
    return at;
  };
  // a row more, as the kernel for columns reads rows in pairs
  const images = sizes.map(({ width, height }) => place(3 * width * (height + 1)));
  const axes = passes.map((pass) => {
    const taps = Math.ceil(pass.stride / TAPS[pass.axis]) * TAPS[pass.axis];
    const outputs = pass.starts.length;
    return {
      pass,
      taps,
      outputs,
      starts: place(4 * outputs),
      high: place(2 * taps * outputs),
      low: place(2 * taps * outputs),
    };
  });
  const missing = end - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  copyIn(image, region, new Uint8Array(memory.buffer, images[0]));
  for (const [i, { pass, taps, outputs, starts, high, low }] of axes.entries()) {
    new Int32Array(memory.buffer, starts, outputs).set(pass.starts);
    splitWeights(pass, taps, {
      high: new Int16Array(memory.buffer, high, taps * outputs),
      low: new Int16Array(memory.buffer, low, taps * outputs),
    });
    const { width, height } = sizes[i] ?? region;
    const length = pass.axis === "rows" ? height : 3 * width;
    kernels[pass.axis](
      images[i] ?? 0,
      3 * width,
      length,
      starts,
      outputs,
      high,
      low,
      taps,
      images[i + 1] ?? 0,
    );
  }
  const { width, height } = sizes.at(-1) ?? region;
  const data = new Uint8Array(memory.buffer, images.at(-1), 3 * width * height).slice();
  if (memory.buffer.byteLength > KEPT_BYTES) instance = undefined;
  return { width, height, data };
}

function copyIn(
  { data, width: columns }: RgbImage,
  { left, top, width, height }: Region,
  target: Uint8Array,
): void {
  if (width === columns) {
    target.set(data.subarray(3 * width * top, 3 * width * (top + height)));
    return;
  }
  for (let y = 0; y < height; y++) {
    const start = 3 * ((top + y) * columns + left);
    target.set(data.subarray(start, start + 3 * width), 3 * width * y);
  }
}

function splitWeights(
  { counts, weights, stride }: Coefficients,
  taps: number,
  { high, low }: { high: Int16Array; low: Int16Array },
): void {
  high.fill(0);
  low.fill(0);
  const half = 1 << (LOW_BITS - 1);
  for (let i = 0; i < counts.length; i++) {
    const from = i * stride;
    const to = i * taps;
    for (let j = 0; j < (counts[i] as number); j++) {
      const weight = weights[from + j] as number;
      const top = (weight + half) >> LOW_BITS;
      high[to + j] = top;
      low[to + j] = weight - (top << LOW_BITS);
    }
  }
}
