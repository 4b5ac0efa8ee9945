/** A thread that decodes images of 40 million pixels, as far as the budget that it was lent is concerned. */
import { parentPort, workerData } from "node:worker_threads";
import type { PixelShare } from "../../../src/data/decoding/pixel-budget.ts";
import { inFlight, sharePixels } from "../../../src/data/decoding/pixel-budget.ts";

/** `counts`: decodes that are under way, the most of them at a time, those that are done. */
const { pixels, counts, hangs } = workerData as { pixels: PixelShare; counts: Int32Array; hangs: boolean };
sharePixels(pixels);
for (let i = 0; i < 3; i++)
  await inFlight(40e6, async () => {
    const now = hangs ? 1 : Atomics.add(counts, 0, 1) + 1;
    if (now > Atomics.load(counts, 1)) Atomics.store(counts, 1, now);
    parentPort?.postMessage("decoding");
    await new Promise((resolve) => setTimeout(resolve, hangs ? 60_000 : 20));
    Atomics.sub(counts, 0, 1);
    Atomics.add(counts, 2, 1);
  });
