/** Rows as measuring leaves them, with numbers that nothing was timed for. */
import type { ThroughputResult } from "../../src/throughput/measure.ts";
import type { ThroughputRow } from "../../src/throughput/rows.ts";

/** @param own what a row's numbers are, where it matters */
export function measuredRows(
  rows: readonly ThroughputRow[],
  own: (index: number) => Partial<ThroughputResult>,
): ThroughputResult[] {
  return rows.map((row, i) => ({
    ...row,
    batchSize: 8,
    imagesPerSecond: 100 / (i + 1),
    meanImagesPerSecond: 98 / (i + 1),
    quartiles: [90, 110] as const,
    runs: 30,
    memoryMiB: 200,
    batchMemoryMiB: 300,
    acc1: null,
    acc5: null,
    images: null,
    pareto: null,
    paretoMemory: null,
    ...own(i),
  }));
}
