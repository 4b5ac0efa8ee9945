/** How many loader threads fit a dataset, when nobody says. */
import { availableParallelism } from "node:os";
import type { Dataset, DatasetSource } from "../dataset.ts";

/** More threads than this read no faster: the disk and the model are waiting for each other by then. */
const MOST_WORKERS = 8;

/** Whether other threads can open the dataset again. */
function isInMemory(source: DatasetSource): boolean {
  return source.kind === "subset" ? isInMemory(source.of) : source.kind === "memory";
}

/** None for what is in memory, and for decoded images in memory, which this thread prepares faster than any model learns; else one per core. */
export function workersFor(
  dataset: Dataset,
  workers?: number | null,
  cores: number = availableParallelism(),
): number {
  if (isInMemory(dataset.source)) return 0;
  return workers ?? (dataset.decodes ? Math.min(MOST_WORKERS, cores) : 0);
}
