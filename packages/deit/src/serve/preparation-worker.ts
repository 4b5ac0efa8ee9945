/** A thread that decodes the images of requests and makes them what a model takes. */
import { parentPort, workerData } from "node:worker_threads";
import sharp from "sharp";
import { writePlanar } from "../augmentation/rgb-image.ts";
import type { Transform } from "../augmentation/transform.ts";
import { createTransform } from "../augmentation/transform.ts";
import { decodeImage } from "../data/decoding/decode.ts";
import type { PixelShare } from "../data/decoding/pixel-budget.ts";
import { sharePixels } from "../data/decoding/pixel-budget.ts";
import { DataError } from "../errors.ts";
import { createRandom } from "../random.ts";
import type { PreparationJob, PreparationResult } from "./preparation.ts";

// Threads are the parallelism; an image is read once.
sharp.concurrency(1);
sharp.cache(false);
sharePixels(workerData as PixelShare);

const random = createRandom(0); // evaluation draws nothing
const transforms = new Map<string, Transform>();

function transformOf({ transform: options }: PreparationJob): Transform {
  const key = JSON.stringify(options);
  const known = transforms.get(key) ?? createTransform(options);
  transforms.set(key, known);
  return known;
}

async function prepare(job: PreparationJob): Promise<void> {
  const { id, bytes } = job;
  try {
    const transform = transformOf(job);
    const image = await decodeImage(bytes, "the image");
    const [height, width] = transform.size;
    const pixels = new Uint8Array(3 * height * width);
    writePlanar(transform.apply(image, transform.draw(random, image.width, image.height)), pixels);
    parentPort?.postMessage({ id, pixels } satisfies PreparationResult, [pixels.buffer]);
  } catch (error) {
    const isData = error instanceof DataError;
    const message = error instanceof Error ? error.message : String(error);
    const failure = { message, ...(isData && { code: error.code, hint: error.hint }) };
    parentPort?.postMessage({ id, failure } satisfies PreparationResult);
  }
}

parentPort?.on("message", (job: PreparationJob) => void prepare(job));
