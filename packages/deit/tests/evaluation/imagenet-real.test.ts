/** ReaL: several right answers to an image, or none. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ImageNetRealMeter, readRealLabels } from "../../src/evaluation/metrics/imagenet-real.ts";
import { labelledRows } from "../../src/evaluation/metrics/metrics.ts";
import { temporaryFolder } from "../data/temporary.ts";

test("labels are found by the number in an image's name", async () => {
  const root = await temporaryFolder();
  const file = join(root, "real.json");
  await writeFile(file, "[[5], [], [7, 900]]");
  const labels = await readRealLabels(file);
  expect(labels("n01440764/ILSVRC2012_val_00000003.JPEG")).toEqual([7, 900]);
  expect(labels("ILSVRC2012_val_00000002.JPEG")).toEqual([]);
  expect(labels("cat.jpg")).toBeUndefined();
  expect(() => labels("ILSVRC2012_val_00000004.JPEG")).toThrow(/labels of 3 images, none of ILSVRC/);
});

test("other files are refused", async () => {
  const root = await temporaryFolder();
  await expect(readRealLabels(join(root, "none.json"))).rejects.toThrow(/cannot be read/);
  for (const [name, text] of [
    ["a.json", "[[1000]]"],
    ["b.json", "{}"],
    ["c.json", "[[1"],
  ] as const) {
    await writeFile(join(root, name), text);
    await expect(readRealLabels(join(root, name))).rejects.toThrow(/is not a list of lists of class indices/);
  }
});

test("an answer is right when it is one of the labels; an image without any does not count", () => {
  const accepted = [[1, 2], [], [0], undefined];
  const meter = new ImageNetRealMeter({ labels: (image) => accepted[image] });
  const row = (...best: number[]): number[] =>
    Array.from({ length: 7 }, (_, k) => 7 - (best.indexOf(k) + 1 || 7));
  const rows = (...all: number[][]): Float32Array => Float32Array.from(all.flat());
  const batch = {
    labels: Int32Array.from([1, 0, 5, 3, -1]), // the original ones say only what is padding
    samples: Uint32Array.from([0, 1, 2, 3, 0]),
    logits: {
      class: rows(row(2), row(0), row(1, 2, 3, 0), row(3), row(1)),
      distillation: rows(row(3, 1), row(0), row(0), row(3), row(1)),
    },
  };
  for (const row of labelledRows(batch, { numClasses: 7 })) meter.add(row);
  const { images, acc1, heads } = meter.result();
  expect(images).toBe(2);
  expect(heads.class).toEqual({ acc1: 50, acc5: 100 });
  expect(heads.distillation).toEqual({ acc1: 50, acc5: 100 });
  expect(acc1).toBe(heads.joint?.acc1);
});
