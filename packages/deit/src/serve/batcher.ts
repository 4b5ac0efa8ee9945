/**
 * Dynamic batching: images that come while the model computes are computed together afterwards. Nobody waits for a batch to
 * fill: an idle model takes what there is.
 */

export interface BatcherOptions {
  /** Numbers of images that the model has a program for, ascending. */
  readonly sizes: readonly number[];
  /** Bytes of an image. */
  readonly rowBytes: number;
  /** Numbers of the first `images` rows of `pixels` [size, rowBytes], a row each. */
  run(
    pixels: Uint8Array,
    batch: { readonly size: number; readonly images: number },
  ): Promise<readonly Float32Array[]>;
  onBatch?(batch: { readonly images: number; readonly seconds: number }): void;
}

export interface Batcher {
  /** The model's numbers for an image. @throws what `run` throws; what `signal` says when nobody waits any more */
  ask(pixels: Uint8Array, signal: AbortSignal): Promise<Float32Array>;
  readonly waiting: number;
}

interface Waiting {
  readonly pixels: Uint8Array;
  readonly resolve: (row: Float32Array) => void;
  readonly reject: (error: unknown) => void;
}

/** Rows of a batch that must hold images; the others are computed for nothing. */
const FILLED = 0.75;

export function createBatcher({ sizes, rowBytes, run, onBatch }: BatcherOptions): Batcher {
  const most = sizes.at(-1) ?? 1;
  const waiting: Waiting[] = [];
  let running = 0;

  function next(): void {
    // One full batch more is handed over while another is computed: the model does not wait for this thread.
    while (waiting.length > 0 && (running === 0 || (running === 1 && waiting.length >= most))) {
      const size = batchSize(sizes, waiting.length);
      void compute(waiting.splice(0, size), size);
    }
  }

  async function compute(batch: readonly Waiting[], size: number): Promise<void> {
    running++;
    const start = performance.now();
    try {
      const pixels = new Uint8Array(size * rowBytes);
      for (const [row, image] of batch.entries()) pixels.set(image.pixels, row * rowBytes);
      const rows = await run(pixels, { size, images: batch.length });
      onBatch?.({ images: batch.length, seconds: (performance.now() - start) / 1000 });
      for (const [row, { resolve, reject }] of batch.entries()) {
        const own = rows[row];
        if (own === undefined)
          reject(new Error(`the model returned ${rows.length} of ${batch.length} images`));
        else resolve(own);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      running--;
      next();
    }
  }

  return {
    get waiting() {
      return waiting.length;
    },
    async ask(pixels, signal) {
      return new Promise((resolve, reject) => {
        const one: Waiting = { pixels, resolve, reject };
        const leave = (): void => {
          const at = waiting.indexOf(one);
          if (at >= 0) waiting.splice(at, 1);
          reject(signal.reason);
        };
        if (signal.aborted) return leave();
        signal.addEventListener("abort", leave, { once: true });
        waiting.push(one);
        next();
      });
    },
  };
}

/** Programs for batches of 1, 4, 16, … and `most` images: each holds the weights, so they are few. */
export function batchSizes(most: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size < most; size *= 4) sizes.push(size);
  return [...sizes, most];
}

/** The largest size that `images` fill, or nearly do; the smallest where they fill none. */
export function batchSize(sizes: readonly number[], images: number): number {
  return sizes.findLast((size) => images >= FILLED * size) ?? sizes[0] ?? 1;
}
