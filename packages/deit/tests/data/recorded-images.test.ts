/** Images parted by a run's record, without any files: order of classes, names that come twice, who is missed. */
import { expect, test } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import type { RecordedImage, RecordedImages } from "../../src/data/recorded-images.ts";
import { measuredByRecord, partByRecord, partKeys } from "../../src/data/recorded-images.ts";
import { takeSubset } from "../../src/data/subset.ts";

const CLASSES = ["cat", "dog"];

function images(names: readonly string[], classes: readonly string[] = CLASSES): Dataset {
  return {
    name: "pets",
    length: names.length,
    classes,
    labels: Int32Array.from(names, (name) => classes.indexOf(name.split("/")[0] ?? "")),
    source: { kind: "folder", path: "pets" },
    decodes: false,
    read: async () => Promise.reject(new Error("no files")),
    describe: (index) => names[index] ?? "",
  };
}

const parted = (whole: Dataset, train: readonly number[], validation: readonly number[]): Parted => ({
  whole,
  train: takeSubset(whole, { rule: "indices", indices: train }),
  validation: takeSubset(whole, { rule: "indices", indices: validation }),
  automaticSplit: true,
});
type Parted = Parameters<typeof partByRecord>[0];

/** The record of a run that opened these. */
function recordOf(opened: Parted): RecordedImages {
  const keys = partKeys(opened);
  const entries = (["train", "validation"] as const).flatMap((part) =>
    keys[part].map((key, i): [string, RecordedImage] => [
      key,
      { part, label: opened[part]?.labels[i] ?? -1 },
    ]),
  );
  const { classes } = opened.whole;
  return { run: "runs/pets", classes, ownValidation: false, images: new Map(entries), samples: [] };
}

const NAMES = ["cat/1", "cat/2", "cat/3", "dog/1", "dog/2", "dog/3"];

test("the same images are left as they were opened", () => {
  const opened = parted(images(NAMES), [0, 1, 3, 4], [2, 5]);
  const found = partByRecord(opened, recordOf(opened));
  expect(found.train).toBe(opened.train);
  expect(found.validation).toBe(opened.validation);
});

test("another split is brought back to that of the record", () => {
  const recorded = recordOf(parted(images(NAMES), [0, 1, 3, 4], [2, 5]));
  const { train, validation } = partByRecord(parted(images(NAMES), [1, 2, 4, 5], [0, 3]), recorded);
  expect([...(train.indices ?? [])]).toEqual([0, 1, 3, 4]);
  expect([...(validation?.indices ?? [])]).toEqual([2, 5]);
});

test("classes in another order are refused, with the first that differs", () => {
  const recorded = recordOf(parted(images(NAMES), [0, 1, 3, 4], [2, 5]));
  const turned = parted(images(NAMES, ["dog", "cat"]), [0, 1, 3, 4], [2, 5]);
  expect(() => partByRecord(turned, recorded)).toThrow(
    /they come in another order: class 0 was cat, and is dog now/,
  );
});

test("an image that is listed twice has two keys, the same in a subset as in the whole", () => {
  const whole = images(["cat/1", "cat/1", "cat/2", "dog/1", "dog/1", "dog/2"]);
  const opened = parted(whole, [1, 2, 3, 5], [0, 4]);
  expect(partKeys(opened)).toMatchObject({
    train: ["cat/1#2", "cat/2", "dog/1", "dog/2"],
    validation: ["cat/1", "dog/1#2"],
  });
  const found = partByRecord(parted(whole, [0, 2, 3, 5], [1, 4]), recordOf(opened));
  expect([...(found.train.indices ?? [])]).toEqual([1, 2, 3, 5]);
  expect(found.changes.added.count).toBe(0);
});

test("of several runs, what all of them held out; none is an error", () => {
  const whole = images(NAMES);
  const [a, b, c] = [
    recordOf(parted(whole, [0, 1, 3, 4], [2, 5])),
    recordOf(parted(whole, [0, 1, 3, 5], [2, 4])),
    recordOf(parted(whole, [1, 2, 4, 5], [0, 3])),
  ];
  const both = measuredByRecord(whole, [a, b], { split: "val", isWhole: true });
  expect([...(both.dataset.indices ?? [])]).toEqual([2]);
  expect(() => measuredByRecord(whole, [a, c], { split: "val", isWhole: true })).toThrow(
    expect.objectContaining({ code: "run/other-images" }),
  );
  const trained = measuredByRecord(whole, [a], { split: "train", isWhole: true });
  expect([...(trained.dataset.indices ?? [])]).toEqual([0, 1, 3, 4]);
});
