/**
 * `deit bench data`: how fast images are read, decoded, transformed and batched, with no model beside: with crop and
 * flip alone, and with the whole recipe of the options.
 */
import type { Dataset } from "deit-ts";
import { createLoader, openDatasets, planBatches, workerPool, workersFor } from "deit-ts/data";
import type { BatchSettings, TrainTransformOptions, TrainingImages } from "deit-ts/data";
import { inputSizeOf } from "deit-ts/models";
import type { ImagePlan } from "deit-ts/studies";

/** Images a second of the loader, and of a core that does nothing else. */
export interface LoaderRate {
  readonly images: number;
  readonly imagesPerSecond: number;
  /** By the time that the processor's cores spent on it, all threads together. */
  readonly imagesPerCpuSecond: number;
}

export interface BenchDataReport extends LoaderRate {
  readonly dataset: string;
  readonly inputSize: number | readonly [number, number];
  readonly batchSize: number;
  readonly workers: number;
  /** With RandAugment or what stands in its place, and erasing, as the options say; the numbers above are without. */
  readonly recipe: LoaderRate;
}

export interface BenchDataOptions {
  /** The loader's part of a run's plan. */
  readonly plan: Pick<ImagePlan, "data" | "batches" | "images">;
  /** Side, or [height, width]; null: 224 for files that are decoded, else 32. */
  readonly inputSize: number | readonly [number, number] | null;
  /** Null: by the number of cores. */
  readonly workers: number | null;
  /** Timed batches; default as many as 5 seconds take. */
  readonly rounds?: number | undefined;
}

const TIMED_SECONDS = 5;

export async function benchData({
  plan: { data, batches, images },
  rounds,
  ...given
}: BenchDataOptions): Promise<BenchDataReport> {
  const { train } = await openDatasets(data);
  const inputSize = given.inputSize ?? (train.decodes ? 224 : 32);
  const size = inputSizeOf({ inputSize }, 0);
  const batchSize = Math.min(batches.batchSize, train.length);
  const { augment: _, threeAugment: __, colorJitter: ___, erasing: ____, ...plain } = images.transform;
  const workers = workersFor(train, given.workers);
  const measure = async (transform: TrainingImages["transform"]): Promise<LoaderRate> =>
    measureLoader(train, {
      transform: { ...transform, size },
      workers,
      batches: { ...batches, batchSize, accumulationSteps: 1 },
      rounds,
    });
  const rate = await measure(plain);
  const recipe = await measure(images.transform);
  return { dataset: train.name, inputSize, batchSize, workers, ...rate, recipe };
}

async function measureLoader(
  dataset: Dataset,
  {
    transform,
    workers,
    batches,
    rounds = Number.POSITIVE_INFINITY,
  }: {
    transform: TrainTransformOptions;
    workers: number;
    batches: BatchSettings;
    rounds?: number | undefined;
  },
): Promise<LoaderRate> {
  const loader = createLoader({
    dataset,
    transform,
    plan: planBatches(batches, dataset.length),
    pool: workerPool(workers),
  });
  try {
    let start = performance.now();
    let cpu = process.cpuUsage();
    let timed = -(workers + 1); // the first batches start workers and caches
    for (let epoch = 0; timed < rounds && (timed < 1 || elapsed(start) < TIMED_SECONDS); epoch++) {
      for await (const _ of loader.epoch(epoch)) {
        timed++;
        if (timed === 0) [start, cpu] = [performance.now(), process.cpuUsage()];
        if (timed >= rounds || (timed >= 1 && elapsed(start) > TIMED_SECONDS)) break;
      }
    }
    const images = timed * batches.batchSize;
    const { user, system } = process.cpuUsage(cpu);
    return {
      images,
      imagesPerSecond: images / elapsed(start),
      imagesPerCpuSecond: images / ((user + system) / 1e6),
    };
  } finally {
    await loader.close();
  }
}

function elapsed(start: number): number {
  return (performance.now() - start) / 1000;
}
