/**
 * Batches of a dataset, in order, made ahead of their use by a pool of workers (or in this thread). The images in them
 * depend on dataset, transform and plan alone: the number of workers, and where an epoch is begun, change nothing.
 */
import { createTransform, type TransformOptions } from "../../augmentation/transform.ts";
import { DataError } from "../../errors.ts";
import { type BatchJob, type ImageTransform, type MadeBatch, makeBatch } from "./batch.ts";
import type { Dataset } from "../dataset.ts";
import type { Plan } from "./epoch-plan.ts";

export interface Batch {
  readonly step: number;
  /** Rows that hold samples; the rest is padding. */
  readonly size: number;
  /** [B, 3, H, W], raw 0…255; zeros in padding and for unreadable images. */
  readonly images: Uint8Array<ArrayBuffer>;
  /** [B, 3, H, W], noise codes of erased pixels (Transform.erase), when the transform erases. */
  readonly erasing?: Uint8Array<ArrayBuffer>;
  /** [B], −1 in padding and for unreadable images. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** [B], dataset index of each row's image (0 in padding). */
  readonly samples: Uint32Array<ArrayBuffer>;
}

export interface Loader {
  readonly batchSize: number;
  /** Batches of an epoch, those of all processes together. */
  readonly steps: number;
  /** This process's batches of an epoch, from step `from` on. Throws DataError when too many images are broken. */
  epoch(epoch: number, options?: { from?: number }): AsyncIterable<Batch>;
  /** Ends the workers. */
  close(): Promise<void>;
  /** A line for each broken image met so far. */
  readonly warnings: readonly string[];
  /** The same by dataset index; those of a batch are in it when the batch is handed out. */
  readonly broken: ReadonlyMap<number, string>;
}

export interface LoaderOptions {
  readonly dataset: Dataset;
  readonly transform: TransformOptions;
  /** From `createPlan`: it holds batch size, mode, seed and repeats. */
  readonly plan: Plan;
  /** What is done to an image before the transform; batches are then made in this thread. */
  readonly first?: ImageTransform | undefined;
  /** What makes the batches: `workerPool` in Node. Default: this thread. */
  readonly pool?: BatchPool | undefined;
  /** Batches made ahead; default one for each worker and one more. */
  readonly prefetch?: number;
  /** Different broken images to put up with; default a hundredth of the dataset, but at least 10. */
  readonly maxBroken?: number;
}

/** Workers that make the batches of a loader: threads in Node, web workers in a browser. */
export interface BatchPool {
  readonly workers: number;
  /** Starts the workers for a dataset; called at the first batch, and again after a close. */
  open(dataset: Dataset, transform: TransformOptions): BatchMaker;
}

/** What makes batches: this thread or a pool's workers. */
export interface BatchMaker {
  make(job: BatchJob): Promise<MadeBatch>;
  close(): Promise<void>;
}

export function createLoader({
  dataset,
  transform,
  plan,
  first,
  pool: given,
  prefetch = (given?.workers ?? 0) + 1,
  maxBroken = Math.max(10, Math.floor(dataset.length / 100)),
}: LoaderOptions): Loader {
  const { batchSize, steps, seed, mode } = plan;
  const pool = first === undefined ? given : undefined; // a function cannot go to another thread
  let maker: BatchMaker | undefined;
  const broken = new Map<number, string>();

  const report = (made: MadeBatch): void => {
    for (const { index, message } of made.broken) broken.set(index, message);
    if (broken.size <= maxBroken) return;
    const named = [...broken.values()].slice(0, 3).join("\n");
    throw new DataError(
      dataset.name,
      `${broken.size} images of ${dataset.name} cannot be read, more than ${maxBroken}:\n${named}`,
      { code: "data/broken-images", hint: "Repair or remove them." },
    );
  };

  return {
    batchSize,
    steps,
    get warnings() {
      return [...broken.values()];
    },
    broken,
    async *epoch(epoch, { from = 0 } = {}) {
      maker ??= pool ? pool.open(dataset, transform) : createInline(dataset, transform, first);
      const { make } = maker;
      const ahead: Promise<MadeBatch>[] = [];
      const own = Array.from({ length: Math.max(0, steps - from) }, (_, i) => from + i).filter(plan.isOwn);
      let begun = 0;
      const begin = (): void => {
        while (begun < own.length && ahead.length < prefetch) {
          const samples = plan.at(epoch, own[begun++] ?? 0);
          const made = make({ epoch, seed, mode, samples, rows: batchSize });
          made.catch(() => undefined); // reported when its turn comes
          ahead.push(made);
        }
      };
      for (const step of own) {
        begin();
        const made = await ahead.shift();
        if (made === undefined) return;
        begin(); // the next one is made while this one is used
        report(made);
        const { broken: _, ...batch } = made;
        yield { step, size: plan.at(epoch, step).length, ...batch };
      }
    },
    async close() {
      await maker?.close();
      maker = undefined;
    },
  };
}

function createInline(
  dataset: Dataset,
  options: TransformOptions,
  first: ImageTransform | undefined,
): BatchMaker {
  const transform = createTransform(options);
  return { make: async (job) => makeBatch(dataset, transform, job, first), close: async () => undefined };
}
