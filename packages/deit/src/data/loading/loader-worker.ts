/** The thread of a loader's worker: opens the dataset again and makes the batches it is asked for. */
import { parentPort, workerData } from "node:worker_threads";
import sharp from "sharp";
import { createTransform } from "../../augmentation/transform.ts";
import { DataError } from "../../errors.ts";
import { makeBatch } from "./batch.ts";
import { openDataset } from "../dataset.ts";
import { sharePixels } from "../decoding/pixel-budget.ts";
import type { JobMessage, ResultMessage, WorkerSetup } from "./loader-pool.ts";

// workers are the parallelism; an image is read once, so nothing is worth keeping
sharp.concurrency(1);
sharp.cache(false);

const { source, length, memory, transform: options, pixels } = workerData as WorkerSetup;
sharePixels(pixels);
const transform = createTransform(options);
const opening = openDataset(source, { memory });
opening.catch(() => undefined); // told with the first job

async function run({ id, job }: JobMessage): Promise<void> {
  try {
    const dataset = await opening;
    if (dataset.length !== length)
      throw new DataError(
        dataset.name,
        `${dataset.name} changed while it was in use: ${dataset.length} images, not ${length}`,
        { code: "data/changed-in-use" },
      );
    const made = await makeBatch(dataset, transform, job);
    const { images, erasing, labels, samples } = made;
    const buffers = [images, erasing, labels, samples].flatMap((array) => (array ? [array.buffer] : []));
    parentPort?.postMessage({ id, made } satisfies ResultMessage, buffers);
  } catch (error) {
    const data = error instanceof DataError ? { path: error.path, code: error.code } : undefined;
    const message = error instanceof Error ? error.message : String(error);
    parentPort?.postMessage({ id, failure: { data, message } } satisfies ResultMessage);
  }
}

parentPort?.on("message", (message: JobMessage) => void run(message));
