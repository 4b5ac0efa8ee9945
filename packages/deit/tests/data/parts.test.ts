/** Which images are for training, validation and testing: by the names of folders and files, and by columns. */
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { locateDataset } from "../../src/data/locate.ts";
import { openDatasets, openEvaluation } from "../../src/data/open.ts";
import { partOf } from "../../src/data/split-names.ts";
import { DeitError } from "../../src/errors.ts";
import { runCommand } from "../cli/run-command.ts";
import { image, temporaryFolder, writeClasses, writeImage, writeText } from "./temporary.ts";

const names = ({ length, describe: nameOf }: Dataset): string[] =>
  Array.from({ length }, (_, index) => nameOf(index));

async function opened(dataPath: string, options: object = {}) {
  const notes: string[] = [];
  const { train, validation, automaticSplit } = await openDatasets(
    { dataPath, valSplit: 0.5, ...options },
    { onNote: (note) => void notes.push(note) },
  );
  return {
    train: names(train),
    validation: validation ? names(validation) : [],
    classes: train.classes,
    automaticSplit,
    notes: notes.join("\n"),
  };
}

async function failure(promise: Promise<unknown>): Promise<DeitError> {
  const error = await promise.catch((cause: unknown) => cause);
  if (error instanceof DeitError) return error;
  throw new Error(`no DeitError: ${String(error)}`);
}

it("knows the usual names of parts, and no others", () => {
  const known = {
    train: [
      "train",
      "Training",
      "TRAIN_SET",
      "training-set",
      "trn",
      "train2017",
      "train_images",
      "trainset",
      "TrainSet",
      "train_val",
    ],
    validation: ["val", "Valid", "validation_set", "dev", "val2017", "Dev Set", "Validate"],
    test: ["test", "Testing", "test_set", "tst", "eval", "test1", "testing_images", "PrivateTest"],
  };
  for (const [part, all] of Object.entries(known))
    for (const name of all) expect([name, partOf(name)]).toEqual([name, part]);
  for (const name of ["cat", "train station", "tester", "images", "labels", "", "7", "contest", "value"])
    expect([name, partOf(name)]).toEqual([name, undefined]);
});

describe("folders of parts", () => {
  it.each([
    ["Training", "Testing", /no validation images: .*Testing is used for validation/],
    ["Train", "Test", /Test is used for validation/],
    ["training_set", "test_set", /test_set is used for validation/],
    ["train", "val", /^$/],
  ])("%s and %s are parts, no classes", async (train, held, said) => {
    const path = await temporaryFolder();
    await writeClasses(join(path, train), { bird: 2, cat: 2 });
    await writeClasses(join(path, held), { bird: 1, cat: 1 });
    const found = await opened(path);
    expect(found).toMatchObject({
      train: ["bird/0.png", "bird/1.png", "cat/0.png", "cat/1.png"],
      validation: ["bird/0.png", "cat/0.png"],
      classes: ["bird", "cat"],
      automaticSplit: false,
    });
    expect(found.notes).toMatch(said);
  });

  it("train, val and test with one more folder: test and the other are left out and named", async () => {
    const path = await temporaryFolder();
    for (const part of ["train", "val", "test", "unlabelled"])
      await writeClasses(join(path, part), { bird: part === "train" ? 3 : 1, cat: 1 });
    const found = await opened(path);
    expect([found.train.length, found.validation.length, found.classes]).toEqual([4, 2, ["bird", "cat"]]);
    expect(found.notes).toMatch(/unlabelled beside train, val, test left out/);
    expect(found.notes).toMatch(/test is left out: training never sees it/);
    expect((await locateDataset(path)).test).toEqual({ kind: "folder", path: join(path, "test") });
  });

  it("parts inside every class", async () => {
    const path = await temporaryFolder();
    for (const name of ["cat", "dog"]) {
      await writeClasses(join(path, name), { train: 2, Test: 1 });
    }
    const found = await opened(path);
    expect(found).toMatchObject({
      train: ["cat/train/0.png", "cat/train/1.png", "dog/train/0.png", "dog/train/1.png"],
      validation: ["cat/Test/0.png", "dog/Test/0.png"],
      classes: ["cat", "dog"],
    });
    expect(found.notes).toMatch(/every class has folders for parts \(Test, train\)/);
    await writeClasses(path, { owl: 2 });
    expect((await failure(openDatasets({ dataPath: path }))).code).toBe("data/unclear-split");
  });

  it("a folder that holds the dataset's folder alone, as archives have it", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "photos-master", "photos"), { cat: 2, dog: 2 });
    await writeText(join(path, "__MACOSX", "photos-master", "._1.png"), "");
    const found = await opened(path);
    expect(found.classes).toEqual(["cat", "dog"]);
    expect(found.notes).toMatch(/contains only the folder photos:/);
    const parted = await temporaryFolder();
    await writeClasses(join(parted, "data set", "Train"), { cat: 1, dog: 1 });
    await writeClasses(join(parted, "data set", "Valid"), { cat: 1, dog: 1 });
    expect((await opened(parted)).validation).toEqual(["cat/0.png", "dog/0.png"]);
  });

  it("train without validation is split; with no class beside it", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "TRAIN"), { cat: 4, dog: 4 });
    const found = await opened(path);
    expect([found.automaticSplit, found.train.length, found.validation.length]).toEqual([true, 4, 4]);
    await writeText(join(path, "notes", "read.txt"), "");
    expect((await opened(path)).notes).toMatch(/notes beside TRAIN left out/);
  });

  it("stops and asks where classes and parts cannot be determined apart", async () => {
    const folds = await temporaryFolder();
    for (const fold of ["1", "2", "3"]) await writeClasses(join(folds, fold), { cat: 1, dog: 1 });
    const error = await failure(openDatasets({ dataPath: folds }));
    expect(error.code).toBe("data/unclear-split");
    expect(error.message).toMatch(/1 and 2 hold the same folders \(cat, dog\)[^]*--data-set folder/);
    expect((await opened(folds, { dataSet: "folder" })).classes).toEqual(["1", "2", "3"]);

    const beside = await temporaryFolder();
    await writeClasses(beside, { cat: 2, dog: 2, test: 2 });
    expect(await failure(openDatasets({ dataPath: beside }))).toMatchObject({
      code: "data/unclear-split",
      hint: expect.stringMatching(/train.*--data-set folder/) as string,
    });
    expect((await opened(beside, { dataSet: "folder" })).classes).toEqual(["cat", "dog", "test"]);
    await rename(join(beside, "test"), join(beside, "exam"));
    expect((await opened(beside)).classes).toEqual(["cat", "dog", "exam"]);

    const twice = await temporaryFolder();
    for (const part of ["train", "training"]) await writeClasses(join(twice, part), { cat: 1, dog: 1 });
    expect((await failure(openDatasets({ dataPath: twice }))).code).toBe("data/unclear-split");
  });

  it("a run on folders that --data-set folder took for classes is measured as it was trained", async () => {
    const path = await temporaryFolder();
    for (const name of ["one", "two"]) await writeClasses(join(path, name), { cat: 2, dog: 2 });
    const run = join(path, "..", `${basename(path)}-run`);
    const words =
      "--data-set folder --epochs 1 --model deit_w64d4_patch4_32 --batch-size 4 --workers 0 --device cpu";
    const trained = await runCommand(["train", path, "--output-dir", run, ...words.split(" ")]);
    const measured = await runCommand(["eval", run, "--device", "cpu", "--workers", "0"]);
    await rm(run, { recursive: true, force: true });
    expect([trained.code, measured.code, measured.err.match(/^error.*/m)]).toEqual([0, 0, null]);
  });

  it.each([
    ["seg_train/seg_train", "seg_test/seg_test", "seg_pred beside seg_train, seg_test left out"],
    ["birds-Train", "birds-Valid", "seg_pred beside birds-Train, birds-Valid left out"],
    ["training flowers", "test flowers", "seg_pred beside"],
  ])("%s and %s are parts, whatever else their names say", async (train, held, said) => {
    const path = await temporaryFolder();
    await writeClasses(join(path, train), { bird: 2, cat: 2 });
    await writeClasses(join(path, held), { bird: 1, cat: 1 });
    await writeImage(join(path, "seg_pred", "seg_pred", "1.png"));
    const found = await opened(path);
    expect([found.train.length, found.validation.length, found.classes]).toEqual([4, 2, ["bird", "cat"]]);
    expect(found.notes).toContain(said);
  });

  it("stops where would-be classes hold the same folders, however deep", async () => {
    const path = await temporaryFolder();
    for (const domain of ["amazon", "webcam"])
      await writeClasses(join(path, domain, "images"), { cup: 1, pen: 1 });
    expect(await failure(openDatasets({ dataPath: path }))).toMatchObject({ code: "data/unclear-split" });
    const breeds = await temporaryFolder(); // one folder in every class, with the images: no parts
    for (const name of ["cat", "dog"]) await writeClasses(join(breeds, name), { images: 1 });
    expect((await opened(breeds)).classes).toEqual(["cat", "dog"]);
  });

  it.each(["test", "test/test", "test/unknown"])(
    "images without classes in %s are left out, and said",
    async (test) => {
      const path = await temporaryFolder();
      await writeClasses(join(path, "train"), { cat: 2, dog: 2 });
      await writeImage(join(path, test, "1.png"));
      const found = await opened(path);
      expect([found.automaticSplit, found.train.length, found.validation.length]).toEqual([true, 2, 2]);
      expect(found.notes).toMatch(/test has images without classes, and is left out/);
      const classes = await temporaryFolder(); // one class is tested: it is a class
      await writeClasses(join(classes, "train"), { cat: 2, dog: 2 });
      await writeClasses(join(classes, "test"), { cat: 1 });
      expect((await opened(classes)).validation).toEqual(["cat/0.png"]);
    },
  );

  it("classes with folders of different names inside stay classes", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "cat"), { persian: 1, siamese: 1 });
    await writeClasses(join(path, "dog"), { poodle: 1, other: 1 });
    expect((await opened(path)).classes).toEqual(["cat", "dog"]);
  });
});

describe("columns of parts", () => {
  async function list(rows: readonly string[], file = "all.csv"): Promise<string> {
    const path = await temporaryFolder();
    for (const i of [0, 1, 2, 3, 4, 5]) await writeImage(join(path, `${i}.png`), 8 + i);
    await writeText(join(path, file), rows.join("\n"));
    return join(path, file);
  }
  const rows = (heading: string, parts: readonly string[]): string[] => [
    heading,
    ...parts.map((part, i) => `${i}.png,${i % 2 === 0 ? "cat" : "dog"},${part}`),
  ];

  it.each(["split", "Set", "subset", "partition", "PHASE", "data set", "mode", "official_split"])(
    "%s is heeded",
    async (column) => {
      const found = await opened(
        await list(rows(`file_name,label,${column}`, ["train", "Train", "val", "VALID", "test", "test"])),
      );
      expect(found).toMatchObject({ train: ["0.png", "1.png"], validation: ["2.png", "3.png"] });
      expect(found.notes).toBe(
        "all.csv names parts: train 2, validation 2, test 2 (left out: training never sees it)",
      );
    },
  );

  it.each([
    ["is_valid", ["False", "False", "True", "True", "False", "False"], ["2.png", "3.png"]],
    ["is_test", ["0", "0", "1", "0", "1", "1"], ["2.png", "4.png", "5.png"]],
    ["is_train", ["yes", "yes", "no", "yes", "yes", "yes"], ["2.png"]],
    ["fold", ["0", "1", "2", "0", "1", "2"], ["0.png", "3.png"]],
    ["fold", ["train", "train", "val", "train", "train", "test"], ["2.png"]],
    ["split", ["0", "1", "2", "3", "0", "1"], ["0.png", "4.png"]],
    ["k_fold", ["fold1", "fold2", "fold1", "fold2", "fold2", "fold2"], ["0.png", "2.png"]],
    [
      "Usage",
      ["Training", "Training", "PublicTest", "Training", "PrivateTest", "Training"],
      ["2.png", "4.png"],
    ],
    ["Split", ["tr", "tr", "va", "tr", "te", "te"], ["2.png"]],
    ["test", ["False", "False", "False", "False", "True", "False"], ["4.png"]],
    ["split", ["trainval", "train_val", "trainval", "trainval", "test", "trainval"], ["4.png"]],
  ] as const)("%s of %j", async (column, values, held) => {
    const found = await opened(await list(rows(`file,class,${column}`, values)));
    expect(found.validation).toEqual(held);
    expect(found.train).not.toEqual(expect.arrayContaining([...held]));
  });

  it("test rows serve for validation where there are no others, and are said", async () => {
    const found = await opened(
      await list(rows("file,label,split", ["train", "train", "train", "train", "test", "test"])),
    );
    expect(found.validation).toEqual(["4.png", "5.png"]);
    expect(found.notes).toMatch(/train 4, test 2 \(used for validation/);
  });

  it("rows of no part are left out; a column of other values is not used; both are said once", async () => {
    const some = await opened(
      await list(rows("file,label,split", ["train", "train", "val", "", "?", "val"])),
    );
    expect(some).toMatchObject({ train: ["0.png", "1.png"], validation: ["2.png", "5.png"] });
    expect(some.notes).toMatch(/2 rows of .*all\.csv are left out: column split has nothing, "\?" there/);
    const other = await opened(await list(rows("file,label,set", ["a", "b", "a", "b", "a", "b"])));
    expect(other.automaticSplit).toBe(true);
    expect(other.notes).toBe("all.csv: images by file, classes by label; not used: set");
  });

  it("columns called train and val that say yes and no", async () => {
    const found = await opened(
      await list(rows("file,label,train,val", ["1,0", "1,0", "0,1", "1,0", "0,0", "0,0"])),
    );
    expect(found).toMatchObject({ train: ["0.png", "1.png", "3.png"], validation: ["2.png"] });
    expect(found.notes).toMatch(/train 3, validation 1, test 2 .left out/);
  });

  it("asks what numbers of parts mean", async () => {
    const path = await list(rows("file,label,split", ["0", "0", "0", "0", "1", "2"]));
    expect((await failure(openDatasets({ dataPath: path }))).code).toBe("data/unclear-split");
  });

  it("metadata.jsonl and labels.csv have such columns, too", async () => {
    const lines = ["train", "train", "test", "test"].map((split, i) =>
      JSON.stringify({ file_name: `${i}.png`, label: i % 2, split }),
    );
    const json = await opened(join(await list(lines, "metadata.jsonl"), ".."));
    expect(json).toMatchObject({
      train: ["0.png", "1.png"],
      validation: ["2.png", "3.png"],
      classes: ["0", "1"],
    });
    const csv = rows("file,label,is_valid", ["0", "0", "1", "1"]).map((row) =>
      row.replace("cat", "0").replace("dog", "1"),
    );
    const labels = await opened(join(await list(csv, "labels.csv"), ".."));
    expect(labels).toMatchObject({ train: ["0.png", "1.png"], validation: ["2.png", "3.png"] });
  });

  it("the folders of the paths say the parts where nothing else does", async () => {
    const path = await temporaryFolder();
    for (const part of ["train", "test"]) await writeClasses(join(path, part), { a: 2, b: 2 });
    const files = ["train/a/0.png,a", "train/b/0.png,b", "test/a/0.png,a", "test/b/1.png,b"];
    await writeText(join(path, "list.csv"), ["path,label", ...files].join("\n"));
    const found = await opened(join(path, "list.csv"));
    expect(found.train).toEqual(["train/a/0.png", "train/b/0.png"]);
    expect(found.validation).toEqual(["test/a/0.png", "test/b/1.png"]);

    for (const part of ["train", "test", "more"])
      await writeClasses(join(path, "data", part), { a: 2, b: 2 });
    const deep = ["train/a/0.png,a", "test/b/1.png,b", "train/b/0.png,b", "more/a/0.png,a"];
    await writeText(join(path, "deep.csv"), ["path,label", ...deep.map((row) => `data/${row}`)].join("\n"));
    const below = await opened(join(path, "deep.csv"));
    expect(below.train).toEqual(["data/train/a/0.png", "data/train/b/0.png"]);
    expect(below.validation).toEqual(["data/test/b/1.png"]);
    expect(below.notes).toMatch(/folders of the paths .train, test. determine.*; 1 in more are left out/);
  });

  it("Parquet: a column, and the usual file names", async () => {
    const path = await temporaryFolder();
    const bytes = await Promise.all([8, 9, 10, 11].map(async (width) => image(width, 8).png().toBuffer()));
    const columnData = [
      { name: "image", data: bytes, type: "BYTE_ARRAY" as const },
      { name: "label", data: ["b", "a", "a", "b"] },
      { name: "split", data: ["train", "test", "train", "val"] },
      { name: "author", data: ["x", "y", "z", "x"] },
    ];
    await writeText(join(path, "x"), "");
    const { writeFile } = await import("node:fs/promises");
    await writeFile(join(path, "one.parquet"), new Uint8Array(parquetWriteBuffer({ columnData })));
    for (const dataPath of [join(path, "one.parquet"), path]) {
      const { train, validation } = await openDatasets({ dataPath });
      expect([names(train), validation && names(validation)]).toEqual([
        ["one.parquet row 0", "one.parquet row 2"],
        ["one.parquet row 3"],
      ]);
      expect([[...train.labels], [...(validation?.labels ?? [])]]).toEqual([[1, 0], [1]]);
      expect([(await train.read(1)).width, (await validation?.read(0))?.width]).toEqual([10, 11]);
      expect(train.notes?.join()).toMatch(/columns not used: author/);
    }
    expect((await openEvaluation({ dataPath: path })).length).toBe(1);
    const usage = columnData.map((column) =>
      column.name === "split" ? { ...column, name: "usage" } : column,
    );
    await writeFile(join(path, "one.parquet"), new Uint8Array(parquetWriteBuffer({ columnData: usage })));
    expect((await openDatasets({ dataPath: path })).validation?.length).toBe(1);
    for (const part of ["train", "test"]) {
      const few = columnData.filter(({ name }) => name !== "split");
      await writeFile(
        join(path, `birds_${part}.parquet`),
        new Uint8Array(parquetWriteBuffer({ columnData: few })),
      );
    }
    const { train, validation } = await openDatasets({ dataPath: path });
    expect([train.length, validation?.length]).toEqual([4, 4]); // birds_test is not trained on
  });
});

const cases = new URL("../../../../../shared/cases/", import.meta.url);
describe.skipIf(!existsSync(cases))("cases (need ../shared/cases)", () => {
  it("Training/ and Testing/; a column of parts", async () => {
    const folders = await opened(fileURLToPath(new URL("training-testing", cases)));
    expect([folders.classes, folders.train.length, folders.validation.length]).toEqual([
      ["bird", "cat", "dog"],
      24,
      12,
    ]);
    const column = await opened(fileURLToPath(new URL("split-column/all.csv", cases)));
    expect([column.train.length, column.validation.length]).toEqual([15, 3]);
  });
});
