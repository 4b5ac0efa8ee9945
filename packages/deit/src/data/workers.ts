/** How many loader threads fit a dataset, when nobody says. */
import { availableParallelism } from "node:os";
import type { Dataset } from "./dataset.ts";

/** More threads than this read no faster: the disk and the model are waiting for each other by then. */
const MOST_WORKERS = 8;

/** None for decoded images in memory, which this thread prepares faster than any model learns; else one per core. */
export function workersFor(dataset: Dataset, workers?: number | null): number {
  return workers ?? (dataset.decodes ? Math.min(MOST_WORKERS, availableParallelism()) : 0);
}
