import { existsSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { takeSubset } from "../../src/data/subset.ts";
import { locateDataset } from "../../src/data/locate.ts";
import { openDatasets, openEvaluation, splitsByChance } from "../../src/data/open.ts";
import { select } from "../../src/data/subset.ts";
import { ConfigError, DataError } from "../../src/errors.ts";
import { temporaryFolder, writeClasses, writeImage, writeText } from "./temporary.ts";

async function failure(promise: Promise<unknown>): Promise<DataError> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(DataError);
  return error as DataError;
}

describe("folder of classes", () => {
  it("sorts classes and images, looks into sub-folders, leaves hidden and other files out", async () => {
    const path = await temporaryFolder();
    for (const file of [
      "dog/b.png",
      "dog/a.JPG",
      "dog/deep/er/c.webp",
      "cat/1.png",
      "Bird/x.jpeg",
      "cat/.hidden.png",
      "cat/._1.png",
    ])
      await writeImage(join(path, file.replace("JPG", "jpg")));
    await writeText(join(path, "dog", "notes.txt"), "no image");
    await writeText(join(path, ".DS_Store"), "");
    await writeImage(join(path, "__MACOSX", "1.png"));
    await writeImage(join(path, ".cache", "1.png"));
    const dataset = await openDataset({ kind: "folder", path });
    expect(dataset.classes).toEqual(["Bird", "cat", "dog"]);
    expect([...dataset.labels]).toEqual([0, 1, 2, 2, 2]);
    expect(Array.from({ length: 5 }, (_, i) => dataset.describe(i).replaceAll("\\", "/"))).toEqual([
      "Bird/x.jpeg",
      "cat/1.png",
      "dog/a.jpg",
      "dog/b.png",
      "dog/deep/er/c.webp",
    ]);
    expect(await dataset.read(1)).toMatchObject({ width: 12, height: 10 });
    expect(dataset.source).toEqual({ kind: "folder", path });
    await expect(dataset.read(5)).rejects.toThrow(RangeError);
  });

  it("follows links", async () => {
    const path = await temporaryFolder();
    const elsewhere = await temporaryFolder();
    await writeClasses(path, { a: 1 });
    await writeClasses(elsewhere, { somewhere: 2 });
    await symlink(join(elsewhere, "somewhere"), join(path, "b"));
    await symlink(join(elsewhere, "nowhere"), join(path, "dangling"));
    expect([...(await openDataset({ kind: "folder", path })).labels]).toEqual([0, 1, 1]);
  });

  it("says what is wrong with a folder", async () => {
    const path = await temporaryFolder();
    expect((await failure(openDataset({ kind: "folder", path: join(path, "none") }))).message).toMatch(
      /there is no folder .*none/,
    );
    expect((await failure(openDataset({ kind: "folder", path }))).message).toMatch(
      /is empty\nExpected a folder for each class/,
    );
    await writeImage(join(path, "1.png"));
    expect((await failure(openDataset({ kind: "folder", path }))).message).toMatch(
      /holds 1 image, but no folders of classes/,
    );
    expect((await failure(openDataset({ kind: "folder", path: join(path, "1.png") }))).message).toMatch(
      /is a file: expected a folder/,
    );
    await writeClasses(path, { cat: 2 });
    expect((await failure(openDataset({ kind: "folder", path }))).message).toMatch(/one class only \(cat\)/);
    await mkdir(join(path, "dog"));
    expect((await failure(openDataset({ kind: "folder", path }))).message).toMatch(
      /one class only \(cat, dog\): in the others are no images: /,
    );
    await writeText(join(path, "dog", "1.txt"), "");
    expect((await failure(openDataset({ kind: "folder", path }))).message).toMatch(
      /in the others are no images: only \.txt files, which are not read/,
    );
  });

  it("takes classes that are given: some may be missing, none may be new", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { cat: 2, dog: 1 });
    const dataset = await openDataset({ kind: "folder", path, classes: ["ant", "cat", "cow", "dog"] });
    expect([...dataset.labels]).toEqual([1, 1, 3]);
    expect(dataset.classes.length).toBe(4);
    expect((await failure(openDataset({ kind: "folder", path, classes: ["cat", "cow"] }))).message).toMatch(
      /that are not classes: dog/,
    );
  });
});

describe("labels.csv", () => {
  async function write(
    csv: string,
    files: readonly string[] = ["images/a.png", "images/b, c.png"],
  ): Promise<string> {
    const path = await temporaryFolder();
    for (const file of files) await writeImage(join(path, file));
    await writeText(join(path, "labels.csv"), csv);
    return path;
  }

  it("keeps the order of its lines; images/ or not, with a heading or not", async () => {
    const path = await write('file,class_index\r\n"b, c.png",3\r\na.png,0\r\n\r\n');
    const dataset = await openDataset({ kind: "labels-csv", path });
    expect([...dataset.labels]).toEqual([3, 0]);
    expect(dataset.classes).toEqual(["0", "1", "2", "3"]);
    expect(dataset.describe(0)).toBe("b, c.png");
    expect(await dataset.read(1)).toMatchObject({ width: 12 });
    const flat = await write("a.png,1", ["a.png"]);
    await writeText(join(flat, "classes.json"), '["cat", "dog"]');
    expect(await openDataset({ kind: "labels-csv", path: flat })).toMatchObject({
      length: 1,
      classes: ["cat", "dog"],
    });
  });

  it("says how many images beside it are not listed", async () => {
    const path = await write("a.png,0\nmore/d.png,1\n", [
      "images/a.png",
      "images/b.png",
      "images/more/c.png",
      "images/more/d.png",
      "elsewhere.png",
    ]);
    await writeText(join(path, "images", "notes.txt"), "no image");
    const notes: string[] = [];
    const onNote = (note: string): void => void notes.push(note);
    const said = [`${path}: left out 2 not listed in labels.csv (b.png, more/c.png)`];
    expect((await openEvaluation({ dataPath: path }, { onNote })).length).toBe(2);
    expect(notes.splice(0)).toEqual(said);
    expect((await openDatasets({ dataPath: path, valSplit: 0 }, { onNote })).train.length).toBe(2);
    expect(notes.splice(0)).toEqual(said);
    const onlyListed = await write("a.png,0\n./b, c.png,1");
    await openEvaluation({ dataPath: onlyListed }, { onNote });
    await openEvaluation({ dataPath: relative(process.cwd(), onlyListed) }, { onNote });
    expect(notes).toEqual([]);
  });

  it("says where the names of its numbers are not the model's", async () => {
    const path = await write("a.png,0\nb.png,1", ["a.png", "b.png"]);
    await writeText(join(path, "classes.json"), '["cat", "golden retriever"]');
    const notes: string[] = [];
    const note = async (classes: readonly string[]): Promise<string[]> => {
      const model = { numClasses: classes.length, classes };
      const dataset = await openEvaluation(
        { dataPath: path },
        { model, onNote: (text) => void notes.push(text) },
      );
      expect([...dataset.labels]).toEqual([0, 1]);
      return notes.splice(0);
    };
    expect(await note(["cat", "Golden_Retriever"])).toEqual([]);
    expect(await note(["cat", "golden retriever", "zebra"])).toEqual([]);
    expect(await note(["n02123045", "n02099601"])).toEqual([]);
    expect(await note(["golden retriever", "cat"])).toEqual([
      "the images' classes have other names than the model's: they are taken by index (cat = golden retriever, golden retriever = cat)",
    ]);
  });

  it("names the line or the files that are wrong", async () => {
    const open = async (csv: string, classes?: string[]): Promise<string> =>
      (
        await failure(
          openDataset({ kind: "labels-csv", path: await write(csv), ...(classes && { classes }) }),
        )
      ).message;
    expect(await open("a.png,0\nb, c.png;1")).toMatch(
      /line 2: class "c\.png;1", expected a number: file,class_index/,
    );
    expect(await open("a.png,0\nz.png,1")).toMatch(/line 2: there is no file .*z\.png/);
    expect(await open("a.png,2", ["x", "y"])).toMatch(/line 1: class 2, but there are 2 classes/);
    expect(await open("file,class_index\n")).toMatch(/lists no images/);
  });
});

describe("subsets", () => {
  const labels = Int32Array.from({ length: 300 }, (_, i) => (i < 200 ? 0 : i < 290 ? 1 : 2));
  const count = (indices: Uint32Array): number[] =>
    [0, 1, 2].map((label) => indices.filter((i) => labels[i] === label).length);

  it("splits every class, without overlap, the same for the same seed", () => {
    const split = (part: "train" | "validation", seed = 1): Uint32Array =>
      select(labels, { rule: "split", part, fraction: 0.1, seed });
    expect(count(split("validation"))).toEqual([20, 9, 1]);
    expect(count(split("train"))).toEqual([180, 81, 9]);
    expect([...split("train"), ...split("validation")].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 300 }, (_, i) => i),
    );
    expect(split("validation", 2)).not.toEqual(split("validation"));
    expect(split("validation")).toEqual(split("validation"));
    expect(split("train")).toEqual(split("train").toSorted());
  });

  it("holds back an image of every class that has two, and leaves one to train on", () => {
    const few = Int32Array.of(0, 1, 1, 2, 2, 2);
    expect(select(few, { rule: "split", part: "validation", fraction: 0.01, seed: 0 }).length).toBe(2);
    expect(
      new Set([...select(few, { rule: "split", part: "train", fraction: 0.99, seed: 0 })].map((i) => few[i])),
    ).toEqual(new Set([0, 1, 2]));
  });

  it("samples in proportion, exactly as many as asked", () => {
    expect(count(select(labels, { rule: "sample", count: 30, seed: 0 }))).toEqual([20, 9, 1]);
    for (const wanted of [1, 2, 7, 100, 299, 300])
      expect(select(labels, { rule: "sample", count: wanted, seed: 0 }).length).toBe(wanted);
    expect(select(labels, { rule: "sample", count: 999, seed: 0 }).length).toBe(300);
  });

  it("opens again from its source, nested too", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { a: 6, b: 6 });
    const whole = await openDataset({ kind: "folder", path });
    const part = takeSubset(takeSubset(whole, { rule: "sample", count: 6, seed: 3 }), {
      rule: "indices",
      indices: [5, 0],
    });
    const again = await openDataset(JSON.parse(JSON.stringify(part.source)) as typeof part.source);
    expect(again.describe(0)).toBe(part.describe(0));
    expect(again.labels).toEqual(part.labels);
    expect([...part.labels]).toEqual([1, 0]);
    expect(await again.read(1)).toEqual(await part.read(1));
    expect(() => takeSubset(whole, { rule: "indices", indices: [12] })).toThrow(/image 12 of 12/);
  });
});

describe("finding the parts", () => {
  it("recognises train/ and val/, and matches their classes by name", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "train"), { ant: 3, bee: 3, cow: 3 });
    await writeClasses(join(path, "val"), { bee: 1, cow: 2 });
    const { train, validation, automaticSplit } = await openDatasets({ dataPath: path });
    expect(automaticSplit).toBe(false);
    expect(train.length).toBe(9);
    expect([...(validation?.labels ?? [])]).toEqual([1, 2, 2]);
    expect([...(await openEvaluation({ dataPath: path })).labels]).toEqual([1, 2, 2]);
    expect((await openEvaluation({ dataPath: path, split: "train" })).length).toBe(9);
    expect([...(await openEvaluation({ dataPath: path, classes: ["cow", "bee", "ant"] })).labels]).toEqual([
      0, 0, 1,
    ]);
    await writeClasses(join(path, "val"), { dog: 1 });
    expect((await failure(openDatasets({ dataPath: path }))).message).toMatch(/that are not classes: dog/);
  });

  it("splits a folder for evaluation as for training, whatever the model's numbers of the classes", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { ant: 6, bee: 6, cow: 6 });
    await writeText(
      join(path, "list.csv"),
      ["ant", "bee", "cow"]
        .flatMap((name) => [0, 1, 2, 3, 4, 5].map((i) => `${name}/${i}.png,${name}\n`))
        .join(""),
    );
    const names = ({ length, describe }: Dataset): string[] =>
      Array.from({ length }, (_, index) => describe(index)).toSorted();
    for (const dataPath of [path, join(path, "list.csv")]) {
      const options = { dataPath, valSplit: 0.5, seed: 1 };
      const { train, validation } = await openDatasets(options);
      if (validation === undefined) throw new Error("there is no validation part");
      for (const classes of [
        undefined,
        ["ant", "bee", "cow"],
        ["cow", "ant", "bee"],
        ["x", "cow", "bee", "ant"],
      ]) {
        const measured = await openEvaluation({ ...options, classes });
        expect(names(measured)).toEqual(names(validation));
        expect(names(await openEvaluation({ ...options, classes, split: "train" }))).toEqual(names(train));
        for (const [index, label] of measured.labels.entries())
          expect(measured.describe(index)).toMatch(new RegExp(`^${measured.classes[label]}/`));
        // a loader's worker opens it again from plain data
        const again = await openDataset(structuredClone(measured.source));
        expect([...again.labels]).toEqual([...measured.labels]);
      }
    }
  });

  it("splits train/ alone as training does", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "train"), { ant: 4, bee: 4 });
    const options = { dataPath: path, valSplit: 0.25, seed: 2 };
    const { validation } = await openDatasets(options);
    const measured = await openEvaluation(options);
    expect([measured.length, measured.describe(0)]).toEqual([2, validation?.describe(0)]);
    expect((await openEvaluation({ ...options, split: "train" })).length).toBe(6);
    expect((await openEvaluation({ dataPath: path, split: "train" })).length).toBe(8);
    expect((await failure(openEvaluation({ dataPath: path }))).message).toMatch(/has no val\/ folder/);
  });

  it.each(["validation", "VALID", "dev_set", "val2017"])("recognises %s/", async (name) => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "train"), { a: 1, b: 1 });
    await writeClasses(join(path, name), { a: 1, b: 1 });
    expect(await locateDataset(path)).toEqual({
      train: { kind: "folder", path: join(path, "train") },
      validation: { kind: "folder", path: join(path, name) },
    });
  });

  it("takes train/ for a class when other classes stand beside it", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { train: 2, tractor: 2 });
    expect(await locateDataset(path)).toEqual({ all: { kind: "folder", path } });
  });

  it("splits a plain folder, and evaluates on its held-out part or on the whole", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { a: 10, b: 10 });
    const { train, validation, automaticSplit } = await openDatasets({
      dataPath: path,
      valSplit: 0.2,
      seed: 4,
    });
    expect([automaticSplit, train.length, validation?.length]).toEqual([true, 16, 4]);
    expect((await openEvaluation({ dataPath: path, valSplit: 0.2, seed: 4 })).source).toEqual(
      validation?.source,
    );
    expect((await openEvaluation({ dataPath: path })).length).toBe(20);
    expect((await openDatasets({ dataPath: path, valSplit: 0 })).validation).toBeUndefined();
    expect([...(await openDatasets({ dataPath: path, numTrain: 6 })).train.labels]).toEqual([
      0, 0, 0, 1, 1, 1,
    ]);
  });

  it("splits training images as training did: with holdOut, or where nothing else is there", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "train"), { a: 10, b: 10 });
    const alone = { dataPath: path, valSplit: 0.2, seed: 4 };
    const held = { ...alone, holdOut: true };
    expect(await splitsByChance(alone)).toBe(true);
    const measured = (await openDatasets(alone)).validation;
    expect(measured?.length).toBe(4);
    expect((await openEvaluation(alone)).source).toEqual(measured?.source);
    expect((await openEvaluation({ ...alone, split: "train" })).length).toBe(16);
    await writeClasses(join(path, "val"), { a: 1, b: 2 });
    expect([await splitsByChance(alone), await splitsByChance(held)]).toEqual([false, true]);
    expect((await openEvaluation(alone)).length).toBe(3);
    expect((await openEvaluation(held)).source).toEqual((await openDatasets(held)).validation?.source);
    expect((await openEvaluation({ ...held, split: "train" })).length).toBe(16);
  });

  it("says what is missing", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "val"), { a: 1, b: 1 });
    expect((await failure(openDatasets({ dataPath: path }))).message).toMatch(/has validation images only/);
    expect((await openEvaluation({ dataPath: path })).length).toBe(2);
    expect((await failure(openEvaluation({ dataPath: path, split: "train" }))).message).toMatch(
      /has no train\/ folder/,
    );
    expect((await failure(openDatasets({ dataPath: path, dataSet: "cifar10" }))).message).toMatch(
      /does not hold cifar10/,
    );
    await expect(openDatasets({})).rejects.toThrow(ConfigError);
  });
});

const data = new URL("../../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(data))("real datasets (needs ../shared/data)", () => {
  it("finds their images", async () => {
    const open = async (name: string): Promise<number[]> => {
      const { train, validation } = await openDatasets({ dataPath: fileURLToPath(new URL(name, data)) });
      return [train.length, validation?.length ?? 0, train.classes.length];
    };
    expect(await open("flowers_40")).toEqual([800, 560, 40]);
    expect(await open("imagenette_1500")).toEqual([1000, 500, 10]);
    const validation = await openEvaluation({ dataPath: fileURLToPath(new URL("imagenet_val_650", data)) });
    expect(validation).toMatchObject({ length: 650 });
    expect([validation.labels[0], validation.labels[1]]).toEqual([300, 625]);
  });
});
