import { truncate } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { readPlanar } from "../../src/augmentation/rgb-image.ts";
import { CIFAR100_CLASSES, CIFAR10_CLASSES } from "../../src/data/cifar-classes.ts";
import { openCifar, packSheet, parseSheetLabels, PIXEL_BYTES } from "../../src/data/cifar.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { locateDataset } from "../../src/data/locate.ts";
import { openDatasets } from "../../src/data/open.ts";
import { pulledDataset } from "../../src/data/download/download-dataset.ts";
import { DataError } from "../../src/errors.ts";
import { generate } from "../augmentation/generated.ts";
import { writeCifar } from "./cifar-files.ts";
import { temporaryFolder, writeText } from "./temporary.ts";

const image = generate(32, 32, "noise");

describe("binary files", () => {
  it.each([
    ["cifar10", "", "cifar-10-batches-bin", 10],
    ["cifar100", "cifar-100-binary", "", 100],
  ] as const)("%s: records, fine labels, both places", async (name, inside, other, classes) => {
    for (const place of [inside, other]) {
      const folder = await temporaryFolder();
      await writeCifar(join(folder, place), name, {
        0: { label: 3, image },
        9999: { label: classes - 1, image },
      });
      expect((await locateDataset(folder)).train).toEqual({
        kind: "cifar",
        name,
        path: folder,
        split: "train",
      });
      const { train, validation, automaticSplit } = await openDatasets({ dataPath: folder, dataSet: name });
      expect([train.length, validation?.length, train.classes.length, automaticSplit]).toEqual([
        50_000,
        10_000,
        classes,
        false,
      ]);
      expect([train.labels[0], train.labels[1], validation?.labels[9999]]).toEqual([3, 0, classes - 1]);
      expect(await validation?.read(9999)).toEqual(image);
      expect((await train.read(5)).data.every((x) => x === 0)).toBe(true);
      expect(validation?.describe(12)).toBe(`${name} test 12`);
      const again = await openDataset(train.source, { memory: train.memory });
      expect(again.memory).toBe(train.memory);
    }
  });

  it("tells damaged and missing files", async () => {
    const folder = await temporaryFolder();
    await writeCifar(folder, "cifar10", { 7: { label: 12, image } });
    await expect(
      openDataset({ kind: "cifar", name: "cifar10", path: folder, split: "test" }),
    ).rejects.toThrow(/record 7 of cifar10 test has class 12/);
    await truncate(join(folder, "data_batch_3.bin"), 1000);
    await expect(
      openDataset({ kind: "cifar", name: "cifar10", path: folder, split: "train" }),
    ).rejects.toThrow(/data_batch_3\.bin has 1000 bytes: expected 30730000/);
    await expect(
      openDataset({ kind: "cifar", name: "cifar100", path: folder, split: "train" }),
    ).rejects.toThrow(DataError);
  });

  it("has the right number of names", () => {
    expect([new Set(CIFAR10_CLASSES).size, new Set(CIFAR100_CLASSES).size]).toEqual([10, 100]);
    expect([CIFAR10_CLASSES[9], CIFAR100_CLASSES[99], CIFAR100_CLASSES[50]]).toEqual([
      "truck",
      "worm",
      "mouse",
    ]);
    expect(CIFAR100_CLASSES.toSorted()).toEqual(CIFAR100_CLASSES);
  });
});

describe("PNG sheets", () => {
  const rows = 10_000;
  const labels = Array.from({ length: rows }, (_, row) => row % 10);

  it("give the same records as the binary files", async () => {
    const pixels = new Uint8Array(rows * PIXEL_BYTES);
    pixels.set(image.data, 0);
    pixels.set(image.data, 9999 * PIXEL_BYTES);
    const png = await sharp(pixels, { raw: { width: 1024, height: rows, channels: 3 } })
      .png({ compressionLevel: 1 })
      .toBuffer();
    const records = await packSheet(png, labels, "sheet.png");
    expect(records.length).toBe(rows * 3073);
    expect([records[0], records[9999 * 3073], records[3073 * 3]]).toEqual([0, 9, 3]);
    expect(readPlanar(records, { width: 32, height: 32, offset: 9999 * 3073 + 1 })).toEqual(image);

    const folder = await temporaryFolder();
    await Promise.all(
      ["test_batch", "data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"].map(
        async (name) => sharp(png).toFile(join(folder, `${name}.png`)),
      ),
    );
    await writeText(join(folder, "test_lables.json"), JSON.stringify(labels));
    await writeText(
      join(folder, "train_lables.json"),
      JSON.stringify([...labels, ...labels, ...labels, ...labels, ...labels.map(() => 7)]),
    );
    const { train, validation } = await openDatasets({ dataPath: folder });
    expect([train.labels[13], train.labels[49_999], validation?.labels[9999]]).toEqual([3, 7, 9]);
    expect(await train.read(29_999)).toEqual(image);
  });

  it("must have the right size and labels", async () => {
    const small = await sharp(new Uint8Array(300), { raw: { width: 10, height: 10, channels: 3 } })
      .png()
      .toBuffer();
    await expect(packSheet(small, labels, "sheet.png")).rejects.toThrow(
      /sheet\.png is 10×10 with 10000 labels/,
    );
    await expect(packSheet(small.subarray(0, 60), labels, "sheet.png")).rejects.toThrow(DataError);
    for (const text of ["[1, 10]", "[1, 0.5]", '["1"]', "[1, 2", ""])
      expect(() => parseSheetLabels(text, "l.json")).toThrow(/l\.json is not a list of classes/);
    const folder = await temporaryFolder();
    await writeText(join(folder, "test_batch.png"), "no image");
    const source = { kind: "cifar", name: "cifar10", path: folder, split: "test" } as const;
    await expect(openCifar(source)).rejects.toThrow(/test_lables\.json cannot be read/);
    await writeText(join(folder, "train_lables.json"), "[]");
    await expect(openCifar({ ...source, split: "train" })).rejects.toThrow(
      /data_batch_1\.png cannot be read/,
    );
  });
});

const pulled = await pulledDataset("cifar10").catch(() => undefined);
describe.skipIf(pulled === undefined)("the real CIFAR-10 (after deit data pull cifar10)", () => {
  it("is in the canonical order and has the known mean", async () => {
    const { train, validation } = await openDatasets({ dataSet: "cifar10" });
    expect([...train.labels.subarray(0, 10)]).toEqual([6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
    expect([...(validation?.labels.subarray(0, 10) ?? [])]).toEqual([3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    const sums = [0, 0, 0];
    const records = new Uint8Array(train.memory ?? new SharedArrayBuffer(0));
    for (let start = 1; start < records.length; start += 3073)
      for (let c = 0; c < 3; c++)
        for (let i = 0; i < 1024; i++) sums[c] = (sums[c] ?? 0) + (records[start + c * 1024 + i] ?? 0);
    expect(sums.map((sum) => Number((sum / 50_000 / 1024 / 255).toFixed(4)))).toEqual([
      0.4914, 0.4822, 0.4465,
    ]);
    for (const label of train.classes.keys())
      expect(train.labels.filter((x) => x === label).length).toBe(5000);
  });
});
