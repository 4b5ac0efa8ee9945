/** Lists of images: metadata.csv and metadata.jsonl as on the Hub, usual headings, ids, and what is said of them. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { Dataset } from "../../../src/data/dataset.ts";
import { openDatasets } from "../../../src/data/open.ts";
import { DeitError } from "../../../src/errors.ts";
import { temporaryFolder, writeClasses, writeImage, writeText } from "../temporary.ts";

const names = ({ length, describe: nameOf }: Dataset): string[] =>
  Array.from({ length }, (_, index) => nameOf(index));

/** A folder with a.png, b.jpg and "c d.png" in `inside`, and a list. */
async function folder(file: string, text: string, inside = ""): Promise<string> {
  const path = await temporaryFolder();
  for (const name of ["a.png", "b.jpg", "c d.png"]) await writeImage(join(path, inside, name));
  await writeText(join(path, file), text);
  return path;
}

async function opened(dataPath: string) {
  const notes: string[] = [];
  const { train } = await openDatasets(
    { dataPath, valSplit: 0 },
    { onNote: (note) => void notes.push(note) },
  );
  return {
    rows: names(train).map((name, i) => `${name}=${train.classes[train.labels[i] ?? -1]}`),
    notes: notes.join("\n"),
  };
}

async function failure(path: string): Promise<DeitError> {
  const error = await openDatasets({ dataPath: path, valSplit: 0 }).catch((cause: unknown) => cause);
  if (error instanceof DeitError) return error;
  throw new Error(`no DeitError: ${String(error)}`);
}

const EXPECTED = ["a.png=cat", "b.jpg=dog", "c d.png=cat"];

it.each([
  "file_name,label",
  "Filename,Class",
  "image_id,label",
  "id,breed",
  "image,class_name",
  "image_path,category",
  "img_path,target",
  "image_id,diagnosis",
  "id_code,diagnosis",
])("metadata.csv with the headings %s", async (heading) => {
  const path = await folder("metadata.csv", `${heading}\na.png,cat\nb.jpg,dog\nc d.png,cat\n`);
  expect(await opened(path)).toEqual({ rows: EXPECTED, notes: "" });
});

it("metadata.jsonl; semicolons; tabs; a byte order mark", async () => {
  const lines = EXPECTED.map((row) => row.split("=")).map(([file_name, label]) =>
    JSON.stringify({ file_name, label }),
  );
  expect((await opened(await folder("metadata.jsonl", lines.join("\r\n")))).rows).toEqual(EXPECTED);
  const text = `\uFEFFfile_name;label\n${EXPECTED.map((row) => row.replace("=", ";")).join("\n")}`;
  expect((await opened(await folder("metadata.csv", text))).rows).toEqual(EXPECTED);
  const path = await folder("list.tsv", text.replaceAll(";", "\t"));
  expect((await opened(join(path, "list.tsv"))).rows).toEqual(EXPECTED);
});

it("UTF-16 and Excel's line of the delimiter; the name in any case; the path by its values", async () => {
  const rows = EXPECTED.map((row) => row.replace("=", "\t"));
  const path = await folder("Metadata.CSV", "");
  const bytes = Buffer.from(`\uFEFF${["file_name\tlabel", ...rows].join("\r\n")}`, "utf16le");
  await writeFile(join(path, "Metadata.CSV"), bytes);
  expect(await opened(path)).toEqual({ rows: EXPECTED, notes: "" });
  const excel = ["sep=;", "filepaths;class id;labels", "a.png;0;cat", "b.jpg;1;dog", "c d.png;0;cat"].join(
    "\r\n",
  );
  expect((await opened(await folder("metadata.csv", excel))).rows).toEqual(EXPECTED);
  const german = "Nr,Datei,Teil,Art\n1,a.png,train,cat\n2,b.jpg,train,dog\n3,c d.png,test,cat\n";
  expect((await failure(join(await folder("list.csv", german), "list.csv"))).message).toMatch(
    /which is the label is not clear/,
  );
  const three = await opened(join(await folder("list.csv", german.replaceAll(/^\w+,/gm, "")), "list.csv"));
  expect(three.rows).toEqual(EXPECTED.slice(0, 2));
  expect(three.notes).toMatch(/images by Datei, classes by Art/);
});

it("three columns without headings are told apart by their values, or asked about", async () => {
  const numbered = "0,a.png,cat\n1,b.jpg,dog\n2,c d.png,cat";
  expect((await failure(join(await folder("list.csv", numbered), "list.csv"))).code).toBe(
    "data/unclear-columns",
  );
  const parted = "a.png,cat,train\nb.jpg,dog,train\nc d.png,cat,test";
  const found = await opened(join(await folder("list.csv", parted), "list.csv"));
  expect(found.rows).toEqual(EXPECTED.slice(0, 2));
  expect(found.notes).toMatch(/images by column 1, classes by column 2/);
});

it("says images that are listed twice, classes that are written alike, and lists that overrule folders", async () => {
  const twice = "file_name,label\na.png,cat\nb.jpg,dog\na.png,dog\nb.jpg,dog\nc d.png,Cat";
  const { notes } = await opened(await folder("metadata.csv", twice));
  expect(notes).toMatch(/lists 1 images more than once .b\.jpg./);
  expect(notes).toMatch(/lists 1 images in several classes .a\.png./);
  expect(notes).toMatch(/count as different classes: Cat and cat/);
  const path = await temporaryFolder();
  await writeClasses(path, { cat: 1, dog: 1 });
  await writeText(join(path, "metadata.csv"), "file_name,label\ncat/0.png,x\ndog/0.png,y\n");
  expect((await opened(path)).notes).toMatch(/metadata\.csv says the classes; the folders beside it do not/);
});

it("ids without an ending, and images in a folder of their own", async () => {
  const ids = "image_id,label\na,cat\nb,dog\nc d,cat\n";
  for (const inside of ["", "images", "train_images/x"]) {
    const path = await folder("labels.csv", ids, inside);
    const { rows } = await opened(join(path, "labels.csv"));
    expect(rows).toEqual(EXPECTED.map((row) => (inside === "" ? row : `${inside}/${row}`)));
    expect((await opened(path)).rows).toEqual(rows);
  }
  const path = await folder("train.csv", "image_id,label\na,cat\nb,dog\nc d,cat\n", "train");
  expect(await opened(path)).toEqual({
    rows: EXPECTED.map((row) => `train/${row}`),
    notes: expect.stringMatching(/train\.csv: 3 images are found by their names below/) as string,
  });
});

it("a name that several images have is refused", async () => {
  const path = await folder("labels.csv", "image_id,label\na,cat\nb,dog\n", "one");
  await writeImage(join(path, "two", "a.png"));
  expect(await failure(join(path, "labels.csv"))).toMatchObject({ code: "data/missing-file" });
});

it("a first line is neither taken for a heading nor for an image in silence", async () => {
  const at = async (text: string): Promise<string> => join(await folder("list.csv", text), "list.csv");
  expect((await opened(await at("a,cat\nb,dog\nc d,cat"))).rows).toEqual(EXPECTED);
  expect((await opened(await at("cat,a.png\ndog,b.jpg\ncat,c d.png"))).rows).toEqual(EXPECTED);
  const foreign = await opened(await at("bild,tier\na,cat\nb,dog\nc d,cat"));
  expect(foreign.rows).toEqual(EXPECTED);
  expect(foreign.notes).toMatch(/the first line \(bild, tier\) is used as the header/);
  expect((await failure(await at("x,cat\ny,dog"))).code).toBe("data/unclear-columns");
  expect((await failure(await at("one,two,three\na,cat,1"))).code).toBe("data/unclear-columns");
  expect((await failure(await at("file_name,p,q,r\na,cat,1,2"))).message).toMatch(
    /which is the label is not clear/,
  );
});

it("columns that are not used are named once, and a missing image with its line", async () => {
  const path = await folder("metadata.csv", "file_name,caption,label,age\na.png,x,cat,3\nb.jpg,y,dog,4\n");
  expect((await opened(path)).notes).toBe(
    `metadata.csv: images by file_name, classes by label; not used: caption, age\n${join(path, "metadata.csv")}: left out 1 not listed in metadata.csv (c d.png)`,
  );
  const missing = await failure(
    await folder("metadata.csv", "file_name,label\na.png,cat\nx.png,dog\ny.png,dog\n"),
  );
  expect(missing).toMatchObject({ code: "data/missing-file" });
  expect(missing.message).toMatch(/line 3: there is no file .*x\.png, nor 1 others \(y\.png\)/);
});

it("metadata.csv without classes beside folders of classes is not used", async () => {
  const path = await temporaryFolder();
  await writeClasses(path, { cat: 1, dog: 1 });
  await writeText(join(path, "metadata.csv"), "file_name,text\ncat/0.png,a cat\n");
  const found = await opened(path);
  expect(found.rows).toEqual(["cat/0.png=cat", "dog/0.png=dog"]);
  expect(found.notes).toMatch(/metadata\.csv has no column of classes and is not used/);
});

it("metadata.csv in the folders of parts; test.csv without classes is left out", async () => {
  const path = await temporaryFolder();
  for (const part of ["train", "test"]) {
    for (const name of ["a.png", "b.png"]) await writeImage(join(path, part, name));
    await writeText(join(path, part, "metadata.csv"), "file_name,label\na.png,cat\nb.png,dog\n");
  }
  const { train, validation } = await openDatasets({ dataPath: path });
  expect([train.length, validation?.length, train.classes]).toEqual([2, 2, ["cat", "dog"]]);
  const kaggle = await folder("train.csv", "image_id,label\na,cat\nb,dog\n");
  await writeText(join(kaggle, "test.csv"), "image_id\nc d\n");
  const found = await opened(kaggle);
  expect(found.rows).toEqual(["a.png=cat", "b.jpg=dog"]);
  expect(found.notes).toMatch(/test\.csv has no column of classes, and is left out/);
});

it("_classes.csv in the folders of parts: the class is the column with a 1; rows without are left out", async () => {
  const path = await temporaryFolder();
  for (const part of ["train", "valid"]) {
    for (const name of ["a.png", "b.png", "c.png"]) await writeImage(join(path, part, name));
    const rows = "filename, cat, class\na.png, 1, 0\nb.png, 0, 1\nc.png, 0, 0\n";
    await writeText(join(path, part, "_classes.csv"), rows);
  }
  const notes: string[] = [];
  const { train, validation } = await openDatasets(
    { dataPath: path },
    { onNote: (note) => void notes.push(note) },
  );
  expect([train.length, validation?.length, train.classes]).toEqual([2, 2, ["cat", "class"]]);
  expect(names(train)).toEqual(["a.png", "b.png"]);
  expect(notes.join()).toMatch(/_classes\.csv: 1 of 3 rows mark no class, and is left out/);
});

it("a column for each class in another list; rows of several classes are refused, with the first of them", async () => {
  const rows = "image,MEL,NV,split\na,1.0,0.0,train\nb,0.0,1.0,train\nc d,1.0,0.0,val\n";
  const path = await folder("truth.csv", rows);
  const { train, validation } = await openDatasets({ dataPath: join(path, "truth.csv") });
  expect([names(train), names(validation ?? train)]).toEqual([["a.png", "b.jpg"], ["c d.png"]]);
  const several = await folder("_classes.csv", "filename,cat,dog\na.png,1,0\nb.jpg,1,1\nc d.png,0,1\n");
  const error = await failure(several);
  expect(error.code).toBe("data/bad-row");
  expect(error.message).toMatch(/line 3: cat, dog are marked; 1 of 3 rows mark several classes/);
});

it("a number of a class that nobody can mean is refused before it takes memory", async () => {
  const path = await folder("labels.csv", "a.png,0\nb.jpg,500000000\n");
  expect(await failure(path)).toMatchObject({ code: "data/bad-row" });
});

const cases = new URL("../../../../../../shared/cases/metadata-csv", import.meta.url);
it.skipIf(!existsSync(cases))("metadata.csv of a case (needs ../shared/cases)", async () => {
  const { rows } = await opened(fileURLToPath(cases));
  expect([rows.length, rows[0], rows[11]]).toEqual([12, "cat_0.jpg=cat", "dog_5.jpg=dog"]);
});
