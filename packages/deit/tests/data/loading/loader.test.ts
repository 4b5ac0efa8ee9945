import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readPlanar } from "../../../src/augmentation/rgb-image.ts";
import { createTransform, type TransformOptions } from "../../../src/augmentation/transform.ts";
import { type Dataset, openDataset } from "../../../src/data/dataset.ts";
import { workerPool } from "../../../src/data/loading/loader-pool.ts";
import { type Batch, createLoader, type Loader } from "../../../src/data/loading/loader.ts";
import { createPlan, sampleRandom } from "../../../src/data/loading/epoch-plan.ts";
import { DataError } from "../../../src/errors.ts";
import { generate } from "../../augmentation/generated.ts";
import { temporaryFolder, writeClasses } from "../temporary.ts";

const TRAIN: TransformOptions = { mode: "train", size: [16, 20] };
const EVALUATION: TransformOptions = { mode: "evaluation", size: [16, 16] };

let dataset: Dataset;
beforeAll(async () => {
  const path = await temporaryFolder();
  await writeClasses(path, { ant: 13, bee: 12, cow: 12 });
  dataset = await openDataset({ kind: "folder", path });
});

async function collect(loader: Loader, epoch = 0, from = 0): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of loader.epoch(epoch, { from })) batches.push(batch);
  return batches;
}

async function withLoader<T>(
  options: Parameters<typeof createLoader>[0],
  use: (loader: Loader) => Promise<T>,
): Promise<T> {
  const loader = createLoader(options);
  try {
    return await use(loader);
  } finally {
    await loader.close();
  }
}

describe("training batches", () => {
  const planOf = (seed = 0): ReturnType<typeof createPlan> =>
    createPlan({ length: 37, batchSize: 6, mode: "train", seed, repeats: 2 });

  it("hold the planned images, transformed by their own streams", async () => {
    const plan = planOf();
    const batches = await withLoader({ dataset, transform: TRAIN, plan }, collect);
    expect(batches.map(({ step, size }) => [step, size])).toEqual(
      [0, 1, 2, 3, 4, 5].map((step) => [step, 6]),
    );
    const transform = createTransform(TRAIN);
    for (const { step, images, labels, samples } of batches) {
      expect([images.length, images.byteOffset, images.buffer.byteLength]).toEqual([
        6 * 3 * 320,
        0,
        6 * 3 * 320,
      ]);
      for (const [row, sample] of plan.at(0, step).entries()) {
        expect(samples[row]).toBe(sample.index);
        expect(labels[row]).toBe(dataset.labels[sample.index]);
        const image = await dataset.read(sample.index);
        const expected = transform.apply(
          image,
          transform.draw(sampleRandom(0, 0, sample), image.width, image.height),
        );
        expect(readPlanar(images, { width: 20, height: 16, offset: row * 960 })).toEqual(expected);
      }
    }
  });

  it("do not depend on the number of workers, nor on how far ahead they are made", async () => {
    const plan = planOf();
    const expected = await withLoader({ dataset, transform: TRAIN, plan }, async (loader) =>
      collect(loader, 3),
    );
    for (const [workers, prefetch] of [
      [1, 1],
      [2, 3],
      [3, 8],
    ] as const) {
      await withLoader(
        { dataset, transform: TRAIN, plan: planOf(), pool: workerPool(workers), prefetch },
        async (loader) => {
          expect(await collect(loader, 3)).toEqual(expected);
          expect(await collect(loader, 3, 4)).toEqual(expected.slice(4)); // resumed
          expect(await collect(loader, 4)).not.toEqual(expected);
          expect(await collect(loader, 3, 6)).toEqual([]);
        },
      );
    }
    await withLoader({ dataset, transform: TRAIN, plan: planOf(1) }, async (loader) =>
      expect(await collect(loader, 3)).not.toEqual(expected),
    );
  });

  it("may be left in the middle of an epoch, and begun again", async () => {
    await withLoader({ dataset, transform: TRAIN, plan: planOf(), pool: workerPool(2) }, async (loader) => {
      const all = await collect(loader);
      for await (const batch of loader.epoch(0)) if (batch.step === 1) break;
      expect(await collect(loader)).toEqual(all);
    });
  });
});

describe("evaluation batches", () => {
  it("keep the order; the last is padded with zeros and masked", async () => {
    for (const workers of [0, 2]) {
      const plan = createPlan({ length: 37, batchSize: 10, mode: "evaluation" });
      const batches = await withLoader(
        { dataset, transform: EVALUATION, plan, pool: workerPool(workers) },
        collect,
      );
      expect(batches.flatMap(({ labels }) => [...labels])).toEqual([...dataset.labels, -1, -1, -1]);
      const last = batches[3];
      expect(last?.size).toBe(7);
      expect([...(last?.samples ?? [])]).toEqual([30, 31, 32, 33, 34, 35, 36, 0, 0, 0]);
      expect(last?.images.subarray(7 * 768).every((x) => x === 0)).toBe(true);
      expect(last?.images.subarray(6 * 768, 7 * 768).some((x) => x > 0)).toBe(true);
    }
  });
});

describe("broken images", () => {
  async function brokenDataset(broken: readonly number[], count = 15): Promise<Dataset> {
    const path = await temporaryFolder();
    await writeClasses(path, { a: count, b: count });
    const found = await openDataset({ kind: "folder", path });
    for (const index of broken) await writeFile(join(path, found.describe(index)), "no image");
    return found;
  }

  it("are masked in evaluation, and named", async () => {
    const found = await brokenDataset([3, 20]);
    const plan = createPlan({ length: 30, batchSize: 8, mode: "evaluation" });
    for (const workers of [0, 2]) {
      await withLoader(
        { dataset: found, transform: EVALUATION, plan, pool: workerPool(workers) },
        async (loader) => {
          const batches = await collect(loader);
          expect(batches.flatMap(({ labels }) => [...labels]).slice(0, 30)).toEqual(
            [...found.labels].map((label, index) => (index === 3 || index === 20 ? -1 : label)),
          );
          expect(batches[0]?.images.subarray(3 * 768, 4 * 768).every((x) => x === 0)).toBe(true);
          await collect(loader, 1);
          expect(loader.warnings.length).toBe(2); // each once
          expect(loader.warnings[0]).toMatch(/a.11\.png is not a whole image/);
        },
      );
    }
  });

  it("are replaced in training, the same by any number of workers", async () => {
    const found = await brokenDataset([3, 20]);
    const plan = createPlan({ length: 30, batchSize: 6, mode: "train" });
    const all = await Promise.all(
      [0, 1, 3].map(async (workers) =>
        withLoader({ dataset: found, transform: TRAIN, plan, pool: workerPool(workers) }, async (loader) => {
          const batches = await collect(loader);
          expect(loader.warnings.length).toBe(2);
          return batches;
        }),
      ),
    );
    for (const batches of all) expect(batches).toEqual(all[0]);
    for (const { labels, samples, images } of all[0] ?? []) {
      for (let row = 0; row < 6; row++) {
        expect([3, 20]).not.toContain(samples[row]);
        expect(labels[row]).toBe(found.labels[samples[row] ?? 0]);
        expect(images.subarray(row * 960, (row + 1) * 960).some((x) => x > 0)).toBe(true);
      }
    }
  });

  it("stop the run when there are too many", async () => {
    const found = await brokenDataset([1, 2, 3, 4]);
    const plan = createPlan({ length: 30, batchSize: 5, mode: "evaluation" });
    for (const workers of [0, 2])
      await withLoader(
        { dataset: found, transform: EVALUATION, plan, pool: workerPool(workers), maxBroken: 3 },
        async (loader) => {
          await expect(collect(loader)).rejects.toMatchObject({
            code: "data/broken-images",
            message: expect.stringMatching(/4 images of .* cannot be read, more than 3:\n.*1\.png/),
          });
        },
      );
    const nothing = await brokenDataset(Array.from({ length: 30 }, (_, i) => i));
    for (const workers of [0, 1])
      await withLoader(
        {
          dataset: nothing,
          transform: TRAIN,
          plan: createPlan({ length: 30, batchSize: 5, mode: "train" }),
          pool: workerPool(workers),
        },
        async (loader) => {
          await expect(collect(loader)).rejects.toThrow(DataError);
        },
      );
  });
});

describe("workers", () => {
  it("tell when the dataset cannot be opened, or is not the same any more", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { a: 4, b: 4 });
    const found = await openDataset({ kind: "folder", path });
    const plan = createPlan({ length: 8, batchSize: 4, mode: "train" });
    await rm(join(path, "a", "0.png"));
    await withLoader({ dataset: found, transform: TRAIN, plan, pool: workerPool(1) }, async (loader) => {
      await expect(collect(loader)).rejects.toMatchObject({
        code: "data/changed-in-use",
        message: expect.stringMatching(/changed while it was in use: 7 images, not 8/),
      });
    });
    await rm(path, { recursive: true });
    await withLoader({ dataset: found, transform: TRAIN, plan, pool: workerPool(2) }, async (loader) => {
      await expect(collect(loader)).rejects.toThrow(/there is no folder/);
      await expect(collect(loader)).rejects.toThrow(DataError);
    });
  });

  it("can be closed while batches are under way, and twice", async () => {
    const loader = createLoader({
      dataset,
      transform: TRAIN,
      plan: createPlan({ length: 37, batchSize: 6, mode: "train" }),
      pool: workerPool(2),
    });
    const iterator = loader.epoch(0)[Symbol.asyncIterator]();
    await iterator.next();
    await loader.close();
    await loader.close();
    await expect(
      (async () => {
        while (!(await iterator.next()).done);
      })(),
    ).rejects.toMatchObject({ code: "data/loader-closed" });
  });

  it("share pixels that are in memory", async () => {
    const folder = await temporaryFolder();
    const { writeCifar } = await import("../cifar-files.ts");
    await writeCifar(folder, "cifar10", { 0: { label: 6, image: generate(32, 32, "noise") } });
    const cifar = await openDataset({ kind: "cifar", name: "cifar10", path: folder, split: "test" });
    await rm(folder, { recursive: true }); // workers cannot read it again
    const plan = createPlan({ length: 10_000, batchSize: 256, mode: "evaluation" });
    await withLoader(
      { dataset: cifar, transform: { mode: "evaluation", size: [32, 32] }, plan, pool: workerPool(2) },
      async (loader) => {
        for await (const { labels, images } of loader.epoch(0)) {
          expect(labels[0]).toBe(6);
          expect(readPlanar(images, { width: 32, height: 32 })).toEqual(generate(32, 32, "noise"));
          break;
        }
      },
    );
  });
});
