/**
 * Batches of a dataset, in order, made ahead of their use in worker threads (or in this one). The pictures in them
 * depend on dataset, transform and plan alone: the number of workers, and where an epoch is begun, change nothing.
 */
import { createTransform, type TransformOptions } from "../augmentation/transform.ts";
import { DataError } from "../errors.ts";
import { type BatchJob, type MadeBatch, makeBatch } from "./batch.ts";
import type { Dataset } from "./dataset.ts";
import { createWorkerPool } from "./loader-pool.ts";
import type { Plan } from "./plan.ts";

export interface Batch {
  readonly step: number;
  /** Rows that hold samples; the rest is padding. */
  readonly size: number;
  /** [B, 3, H, W], raw 0…255; zeros in padding and for unreadable pictures. */
  readonly images: Uint8Array<ArrayBuffer>;
  /** [B, 3, H, W], noise codes of erased pixels (Transform.erase), when the transform erases. */
  readonly erasing?: Uint8Array<ArrayBuffer>;
  /** [B], −1 in padding and for unreadable pictures. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** [B], dataset index of each row's picture (0 in padding). */
  readonly samples: Uint32Array<ArrayBuffer>;
}

export interface Loader {
  readonly batchSize: number;
  /** Batches of an epoch. */
  readonly steps: number;
  /** The batches of an epoch, from step `from` on. Throws DataError when too many pictures are broken. */
  epoch(epoch: number, options?: { from?: number }): AsyncIterable<Batch>;
  /** Ends the workers. */
  close(): Promise<void>;
  /** A line for each broken picture met so far. */
  readonly warnings: readonly string[];
  /** The same by dataset index; those of a batch are in it when the batch is handed out. */
  readonly broken: ReadonlyMap<number, string>;
}

export interface LoaderOptions {
  readonly dataset: Dataset;
  readonly transform: TransformOptions;
  /** From `createPlan`: it holds batch size, mode, seed and repeats. */
  readonly plan: Plan;
  /** Threads; 0 makes the batches in this one. */
  readonly workers?: number;
  /** Batches made ahead; default one for each worker and one more. */
  readonly prefetch?: number;
  /** Different broken pictures to put up with; default a hundredth of the dataset, but at least 10. */
  readonly maxBroken?: number;
}

/** What makes batches: this thread or a pool of others. */
interface Maker {
  make(job: BatchJob): Promise<MadeBatch>;
  close(): Promise<void>;
}

export function createLoader({
  dataset,
  transform,
  plan,
  workers = 0,
  prefetch = workers + 1,
  maxBroken = Math.max(10, Math.floor(dataset.length / 100)),
}: LoaderOptions): Loader {
  const { batchSize, steps, seed, mode } = plan;
  let maker: Maker | undefined;
  const broken = new Map<number, string>();

  const report = (made: MadeBatch): void => {
    for (const { index, message } of made.broken) broken.set(index, message);
    if (broken.size <= maxBroken) return;
    const named = [...broken.values()].slice(0, 3).join("\n");
    throw new DataError(
      dataset.name,
      `${broken.size} pictures of ${dataset.name} cannot be read, more than ${maxBroken}:\n${named}`,
      {
        hint: "Repair or remove them.",
      },
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
      maker ??=
        workers > 0 ? createWorkerPool(dataset, transform, workers) : createInline(dataset, transform);
      const { make } = maker;
      const ahead: Promise<MadeBatch>[] = [];
      let begun = from;
      const begin = (): void => {
        while (begun < steps && ahead.length < prefetch) {
          const made = make({ epoch, seed, mode, samples: plan.at(epoch, begun++), rows: batchSize });
          made.catch(() => undefined); // reported when its turn comes
          ahead.push(made);
        }
      };
      for (let step = from; step < steps; step++) {
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

function createInline(dataset: Dataset, options: TransformOptions): Maker {
  const transform = createTransform(options);
  return { make: async (job) => makeBatch(dataset, transform, job), close: async () => undefined };
}
