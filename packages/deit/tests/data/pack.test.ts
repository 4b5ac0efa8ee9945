/** Packed datasets: read back, they hold the same images, classes and split. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDatasets } from "../../src/data/open.ts";
import { packDataset } from "../../src/data/pack.ts";
import { temporaryFolder, writeImage } from "./temporary.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  for (const part of ["train", "val"]) {
    for (const [c, name] of ["zebra", "ant", "bee"].entries()) {
      await mkdir(join(root, "split", part, name), { recursive: true });
      for (let i = 0; i < (part === "train" ? 4 : 2); i++) {
        const background = { r: 40 * i, g: 80 * c, b: part === "train" ? 0 : 200 };
        const image = sharp({ create: { width: 9 + i, height: 7, channels: 3, background } });
        await (i % 2 === 0 ? image.jpeg() : image.png()).toFile(
          join(root, "split", part, name, `${i}.${i % 2 === 0 ? "jpg" : "png"}`),
        );
      }
    }
  }
});
afterAll(() => rm(root, { recursive: true }));

async function expectSame(a: Dataset | undefined, b: Dataset | undefined): Promise<void> {
  expect(b?.length).toBe(a?.length);
  expect(b?.classes).toEqual(a?.classes);
  expect(b?.labels).toEqual(a?.labels);
  for (let i = 0; i < (a?.length ?? 0); i++) expect(await b?.read(i)).toEqual(await a?.read(i));
}

it("keeps images, classes and split, in shards of a size", async () => {
  const outputDir = join(root, "shards");
  const told: number[] = [];
  const dataPath = join(root, "split");
  const packed = await packDataset({
    dataPath,
    outputDir,
    shardBytes: 700,
    onProgress: (done) => told.push(done),
  });
  expect(packed).toMatchObject({ path: outputDir, images: 12, validationImages: 6, classes: 3 });
  const names = await readdir(outputDir);
  expect(names.filter((name) => name.startsWith("train-")).length).toBeGreaterThan(1);
  expect(names.filter((name) => !/^(?:train|validation)-\d{5}-of-\d{5}\.parquet$/.test(name))).toEqual([]);
  expect(told).toEqual(Array.from({ length: 18 }, (_, i) => i + 1));
  const [before, after] = [await openDatasets({ dataPath }), await openDatasets({ dataPath: outputDir })];
  expect(after.automaticSplit).toBe(false);
  await expectSame(before.train, after.train);
  await expectSame(before.validation, after.validation);
  // The file itself, not its pixels again.
  const ant = await readFile(join(dataPath, "train", "ant", "0.jpg"));
  expect(Buffer.from((await after.train.encoded?.(0)) ?? []).equals(ant)).toBe(true);
});

it("without a split leaves it to training, which makes the same one", async () => {
  const [dataPath, outputDir] = [join(root, "split", "train"), join(root, "unsplit")];
  await packDataset({ dataPath, outputDir });
  expect(await readdir(outputDir)).toEqual(["all-00000-of-00001.parquet"]);
  const options = { valSplit: 0.25, seed: 3 };
  const before = await openDatasets({ dataPath, ...options });
  const after = await openDatasets({ dataPath: outputDir, ...options });
  expect(after.automaticSplit).toBe(true);
  await expectSame(before.train, after.train);
  await expectSame(before.validation, after.validation);
});

it("packs what is packed already, and refuses a folder that holds something", async () => {
  const [dataPath, outputDir] = [join(root, "shards"), join(root, "again")];
  await packDataset({ dataPath, outputDir });
  await expectSame(
    (await openDatasets({ dataPath })).train,
    (await openDatasets({ dataPath: outputDir })).train,
  );
  await expect(packDataset({ dataPath, outputDir })).rejects.toThrow(ConfigError);
});

it("takes what a killed pack left for no dataset, and packs anew", async () => {
  const outputDir = join(root, "killed");
  await packDataset({ dataPath: join(root, "split"), outputDir, shardBytes: 700 });
  const whole = (await readdir(outputDir)).toSorted();
  const first = whole.find((name) => name.startsWith("train-00000")) ?? "";
  await rename(join(outputDir, first), join(outputDir, ".train-0.draft")); // the last that gets its name
  await writeFile(
    join(outputDir, ".pack.lock"),
    JSON.stringify({ pid: 2 ** 22 + 5, startTime: "1", hostname: hostname() }),
  );
  await expect(openDatasets({ dataPath: outputDir })).rejects.toThrow(/but no train-00000-of-/);
  await packDataset({ dataPath: join(root, "split"), outputDir, shardBytes: 700 });
  expect((await readdir(outputDir)).toSorted()).toEqual(whole);
  await writeFile(join(outputDir, ".train-0.draft"), "");
  await writeFile(join(outputDir, "notes.txt"), "mine");
  await expect(packDataset({ dataPath: join(root, "split"), outputDir })).rejects.toThrow(/it is not empty/);
});

it("leaves nothing behind when it is stopped or no image can be read; leaves out one that is empty, and says so", async () => {
  const controller = new AbortController();
  const stopped = join(root, "stopped");
  const onProgress = (done: number): void => {
    if (done === 5) controller.abort();
  };
  const options = { dataPath: join(root, "split"), outputDir: stopped, shardBytes: 500, onProgress };
  await expect(packDataset({ ...options, signal: controller.signal })).rejects.toThrow(
    expect.objectContaining({ name: "AbortError" }),
  );
  expect(existsSync(stopped)).toBe(false);
  const broken = join(root, "broken");
  for (const name of ["a", "b"]) {
    await mkdir(join(broken, name), { recursive: true });
    await writeFile(join(broken, name, "1.png"), "");
  }
  const outputDir = join(root, "from-broken");
  await expect(packDataset({ dataPath: broken, outputDir })).rejects.toThrow(
    "no image of broken can be read",
  );
  expect(existsSync(outputDir)).toBe(false);
  for (const name of ["a", "b"]) await writeImage(join(broken, name, "2.png"), name === "a" ? 9 : 11);
  const notes: string[] = [];
  const packed = await packDataset({ dataPath: broken, outputDir, onNote: (note) => void notes.push(note) });
  expect(packed).toMatchObject({ images: 2, validationImages: 0, classes: 2 });
  expect(notes).toEqual(
    ["a/1.png", "b/1.png"].map((name) => `${name} is empty: expected an image: left out`),
  );
  const { train } = await openDatasets({ dataPath: outputDir, valSplit: 0 });
  expect([...train.labels]).toEqual([0, 1]);
  expect(await Promise.all([0, 1].map(async (i) => (await train.read(i)).width))).toEqual([9, 11]);
});
