/** `deit bench data`: how fast pictures are read, decoded, transformed and batched, with no model beside. */
import { createLoader } from "../data/loader.ts";
import type { DataOptions } from "../data/open.ts";
import { openDatasets } from "../data/open.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";

export interface BenchDataOptions extends DataOptions {
  readonly inputSize?: number | null;
  readonly batchSize?: number;
  readonly workers?: number | null;
  /** Timed batches; default as many as 5 seconds take. */
  readonly rounds?: number;
}

export interface BenchDataReport {
  readonly dataset: string;
  readonly inputSize: number;
  readonly batchSize: number;
  readonly workers: number;
  readonly images: number;
  readonly imagesPerSecond: number;
}

const TIMED_SECONDS = 5;

export async function benchData({
  inputSize,
  batchSize = 64,
  workers,
  rounds = Number.POSITIVE_INFINITY,
  ...data
}: BenchDataOptions): Promise<BenchDataReport> {
  const { train } = await openDatasets(data);
  const size = inputSize ?? (train.memory === undefined ? 224 : 32);
  const batch = Math.min(batchSize, train.length);
  const threads = workersFor(train, workers);
  const loader = createLoader({
    dataset: train,
    transform: { mode: "train", size: [size, size] },
    plan: createPlan({ mode: "train", length: train.length, batchSize: batch }),
    workers: threads,
  });
  try {
    let start = performance.now();
    let timed = -1; // the first batch starts workers and caches
    for (let epoch = 0; timed < rounds && (timed < 1 || elapsed(start) < TIMED_SECONDS); epoch++) {
      for await (const _ of loader.epoch(epoch)) {
        if (timed === -1) start = performance.now();
        timed++;
        if (timed >= rounds || (timed >= 1 && elapsed(start) > TIMED_SECONDS)) break;
      }
    }
    const images = timed * batch;
    const imagesPerSecond = images / elapsed(start);
    return {
      dataset: train.name,
      inputSize: size,
      batchSize: batch,
      workers: threads,
      images,
      imagesPerSecond,
    };
  } finally {
    await loader.close();
  }
}

function elapsed(start: number): number {
  return (performance.now() - start) / 1000;
}
