/** Which images are computed together, and that none is lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { batchSize, batchSizes, createBatcher } from "../../src/serve/batcher.ts";

const never = new AbortController().signal;
const image = (value: number): Uint8Array => Uint8Array.of(value, value);

/** A model that answers each image with its first byte, when it is let. */
function slowModel(): {
  batches: { size: number; images: number }[];
  finish: () => void;
  run: Parameters<typeof createBatcher>[0]["run"];
} {
  const batches: { size: number; images: number }[] = [];
  const open: (() => void)[] = [];
  return {
    batches,
    finish: () => open.shift()?.(),
    async run(pixels, batch) {
      batches.push({ ...batch });
      expect(pixels).toHaveLength(2 * batch.size);
      await new Promise<void>((resolve) => open.push(resolve));
      return Array.from({ length: batch.images }, (_, row) => Float32Array.of(pixels[2 * row] ?? -1));
    },
  };
}

test("few sizes, up to the largest", () => {
  expect(batchSizes(16)).toEqual([1, 4, 16]);
  expect(batchSizes(1)).toEqual([1]);
  expect(batchSizes(6)).toEqual([1, 4, 6]);
});

test("a size that is filled, or nearly", () => {
  const chosen = [1, 2, 3, 4, 11, 12, 15, 16, 99].map((count) => batchSize([1, 4, 16], count));
  expect(chosen).toEqual([1, 1, 4, 4, 4, 16, 16, 16, 16]);
  expect(batchSize([8], 1)).toBe(8);
});

describe("a batcher", () => {
  test("computes at once what comes to an idle model, and together what comes meanwhile", async () => {
    const { batches, finish, run } = slowModel();
    const { ask } = createBatcher({ sizes: [1, 4, 16], rowBytes: 2, run });
    const answers = [ask(image(7), never), ...[1, 2, 3].map(async (value) => ask(image(value), never))];
    expect(batches).toEqual([{ size: 1, images: 1 }]);
    finish();
    expect(await answers[0]).toEqual(Float32Array.of(7));
    await sleep(0);
    expect(batches.slice(1)).toEqual([{ size: 4, images: 3 }]);
    finish();
    expect((await Promise.all(answers)).map(([value]) => value)).toEqual([7, 1, 2, 3]);
  });
  test("hands over one full batch ahead, no more", () => {
    const { batches, run } = slowModel();
    const batcher = createBatcher({ sizes: [1, 4], rowBytes: 2, run });
    for (let i = 0; i < 20; i++) void batcher.ask(image(i), never);
    expect(batches).toEqual([
      { size: 1, images: 1 },
      { size: 4, images: 4 },
    ]);
    expect(batcher.waiting).toBe(15);
  });
  test("leaves out whom nobody waits for", async () => {
    const { batches, finish, run } = slowModel();
    const batcher = createBatcher({ sizes: [1, 4], rowBytes: 2, run });
    const gone = new AbortController();
    const first = batcher.ask(image(1), never);
    const second = batcher.ask(image(2), gone.signal);
    const third = batcher.ask(image(3), never);
    gone.abort(new Error("gone"));
    await expect(second).rejects.toThrow("gone");
    finish();
    await first;
    await sleep(0);
    finish();
    expect(await third).toEqual(Float32Array.of(3));
    expect(batches).toHaveLength(2);
  });
  test("tells all of a batch that failed, and goes on", async () => {
    let fails = true;
    const batcher = createBatcher({
      sizes: [1],
      rowBytes: 2,
      run: async (pixels) => {
        if (fails) throw new Error("no device");
        return [Float32Array.from(pixels)];
      },
    });
    await expect(batcher.ask(image(1), never)).rejects.toThrow("no device");
    fails = false;
    expect(await batcher.ask(image(4), never)).toEqual(Float32Array.of(4, 4));
  });
});
