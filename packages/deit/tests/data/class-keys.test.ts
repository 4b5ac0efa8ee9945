/** Folders for models that know other names, ids or numbers: ImageNet's layouts. */
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { classKeys } from "../../src/data/class-keys.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { imageNetClasses } from "../../src/data/imagenet-classes.ts";
import { openEvaluation } from "../../src/data/open.ts";
import { writePhotos } from "../training/photos.ts";
import { temporaryFolder } from "./temporary.ts";

const IMAGENET = { numClasses: 1000, classes: undefined };
const AT = { path: "images" };

test("ImageNet's classes are in the order of their ids, as sorted folders are", () => {
  const wnids = imageNetClasses().map(({ wnid }) => wnid);
  expect(wnids).toHaveLength(1000);
  expect(wnids).toEqual(wnids.toSorted((a, b) => (a < b ? -1 : 1)));
  expect([0, 281, 999].map((i) => imageNetClasses()[i])).toEqual([
    { wnid: "n01440764", name: "tench, Tinca tinca" },
    { wnid: "n02123045", name: "tabby, tabby cat" },
    { wnid: "n15075141", name: "toilet tissue, toilet paper, bathroom tissue" },
  ]);
});

describe("classKeys", () => {
  test("some of ImageNet's ids are what they are in the whole", () => {
    const keys = classKeys(["n02123045", "n15075141"], IMAGENET, AT);
    expect([keys?.keys[281], keys?.classes[281]]).toEqual(["n02123045", "tabby, tabby cat"]);
    const named = {
      numClasses: 1000,
      classes: imageNetClasses().map(({ name }) => name.split(",")[0] ?? ""),
    };
    expect(classKeys(["n02123045"], named, AT)?.classes[281]).toBe("tabby");
  });

  test("numbers are indices, whatever the alphabet says, and that is told", () => {
    const folders = ["0", "1", "10", "100", "11", "2"];
    const found = classKeys(folders, IMAGENET, AT);
    expect([found?.keys[10], found?.keys[2], found?.keys[3]]).toEqual(["10", "2", "3"]);
    expect(found?.note).toMatch(/numbers as names.*ImageNet-V2/);
    expect(classKeys(["000", "007"], IMAGENET, AT)?.keys[7]).toBe("007");
    expect(classKeys(["0", "1", "2"], { numClasses: 3, classes: undefined }, AT)?.note).toBeUndefined();
  });

  test("names are matched spelling aside", () => {
    const model = { numClasses: 3, classes: ["Golden Retriever", "cat", "zebra"] };
    expect(classKeys(["cat", "golden_retriever"], model, AT)).toEqual({
      keys: ["golden_retriever", "cat", "zebra"],
      classes: model.classes,
    });
  });

  test("as many folders as classes are the classes; fewer without names are refused", () => {
    expect(classKeys(["a", "b"], { numClasses: 2, classes: undefined }, AT)).toBeUndefined();
    expect(() => classKeys(["a", "b"], { numClasses: 3, classes: undefined }, AT)).toThrow(
      /images has 2 classes, the model 3, and the model does not name its classes/,
    );
  });
});

describe("openEvaluation for a model", () => {
  let root = "";
  beforeAll(async () => {
    root = await temporaryFolder();
    const photos = await writePhotos(join(root, "photos"), { perClass: 1 });
    for (const name of ["v2/0", "v2/9", "v2/10", "ids/val/n15075141", "ids/val/n02123045"]) {
      await mkdir(join(root, name), { recursive: true });
      await copyFile(join(photos, "disc/0.png"), join(root, name, "a.png"));
    }
  });

  test("ImageNet-V2's folders are sorted by number", async () => {
    const notes: string[] = [];
    const onNote = (note: string): void => void notes.push(note);
    const dataset = await openEvaluation({ dataPath: join(root, "v2") }, { model: IMAGENET, onNote });
    expect([...dataset.labels]).toEqual([0, 9, 10]);
    expect(dataset.classes[9]).toBe("ostrich, Struthio camelus");
    expect(notes).toHaveLength(1);
    // a loader's worker opens it again from plain data
    const again = await openDataset(structuredClone(dataset.source));
    expect([[...again.labels], again.classes]).toEqual([[0, 9, 10], dataset.classes]);
  });

  test("a part of ImageNet's validation folder has the labels of the whole", async () => {
    const dataset = await openEvaluation({ dataPath: join(root, "ids") }, { model: IMAGENET });
    expect([...dataset.labels]).toEqual([281, 999]);
  });

  test("a folder that is not a class of the model is still refused by name", async () => {
    const model = { numClasses: 2, classes: ["disc", "ring"] };
    await expect(openEvaluation({ dataPath: join(root, "photos") }, { model })).rejects.toThrow(
      /folders that are not classes: stripes/,
    );
  });
});
