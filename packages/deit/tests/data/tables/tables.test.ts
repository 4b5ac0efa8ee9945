/** Parquet as on the Hub, and CSV files of paths and labels: what is read, and what is said of files that are wrong. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { createLoader } from "../../../src/data/loading/loader.ts";
import { openDatasets, openEvaluation } from "../../../src/data/open.ts";
import { createPlan } from "../../../src/data/loading/epoch-plan.ts";
import { workerPool } from "../../../src/data/loading/loader-pool.ts";
import { workersFor } from "../../../src/data/loading/workers.ts";
import { DataError } from "../../../src/errors.ts";
import { generate } from "../../augmentation/generated.ts";
import { temporaryFolder } from "../temporary.ts";

const COUNT = 24;
let root = "";
let images: Uint8Array[] = [];
beforeAll(async () => {
  root = await temporaryFolder();
  images = await Promise.all(
    Array.from({ length: COUNT }, async (_, i) => {
      const { width, height, data } = generate(8 + i, 9, "noise");
      return sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer();
    }),
  );
});

type Column = Parameters<typeof parquetWriteBuffer>[0]["columnData"][number];

/** A file as `datasets` writes it: image a struct of bytes and path, label numbers named in the metadata. */
async function writeParquet(file: string, columns: Column[], names?: readonly string[]): Promise<void> {
  const info = { info: { features: { label: { names, _type: "ClassLabel" }, image: { _type: "Image" } } } };
  const buffer = parquetWriteBuffer({
    columnData: columns,
    ...(names && { kvMetadata: [{ key: "huggingface", value: JSON.stringify(info) }] }),
    rowGroupSize: 7,
  });
  await writeFile(file, new Uint8Array(buffer));
}

const bytesColumn = (name: string, from = 0, to = COUNT): Column => ({
  name,
  data: images.slice(from, to),
  type: "BYTE_ARRAY",
});
const labelColumn = (values: unknown[], name = "label"): Column => ({ name, data: values as never });
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => (from + i) % 3);

describe("parquet", () => {
  test("a folder of the Hub: parts in order, splits by name, class names from the metadata", async () => {
    const folder = join(root, "hub", "data");
    await mkdir(folder, { recursive: true });
    const names = ["cat", "dog", "owl"];
    for (const [file, from, to] of [
      ["train-00000-of-00002.parquet", 0, 10],
      ["train-00001-of-00002.parquet", 10, 18],
      ["test-00000-of-00001.parquet", 18, 24],
    ] as const) {
      await writeParquet(
        join(folder, file),
        [bytesColumn("image", from, to), labelColumn(numbers(from, to))],
        names,
      );
    }
    const { train, validation, automaticSplit } = await openDatasets({ dataPath: join(root, "hub") });
    expect([train.length, validation?.length, automaticSplit]).toEqual([18, 6, false]);
    expect(train.classes).toEqual(names);
    expect(validation?.classes).toEqual(names);
    expect([...train.labels]).toEqual(numbers(0, 18));
    for (const index of [17, 0, 9, 10]) {
      const image = await train.read(index);
      expect(image).toEqual(generate(8 + index, 9, "noise"));
    }
    expect(train.describe(11)).toBe("train-00001-of-00002.parquet row 1");
    expect(workersFor(train)).toBeGreaterThan(0);
    const notes: string[] = [];
    const model = { numClasses: 3, classes: ["cat", "owl", "dog"] };
    const onNote = (note: string): void => void notes.push(note);
    await openEvaluation({ dataPath: join(root, "hub") }, { model, onNote });
    await openEvaluation(
      { dataPath: join(root, "hub") },
      { model: { numClasses: 3, classes: names }, onNote },
    );
    expect(notes).toEqual([expect.stringMatching(/taken by index \(dog = owl, owl = dog\)$/)]);
  });

  test("workers share the encoded images and make the same batches", async () => {
    const file = join(root, "one.parquet");
    await writeParquet(file, [
      bytesColumn("img"),
      labelColumn(["b", "a", "c"].flatMap((n) => Array(8).fill(n))),
    ]);
    const { train } = await openDatasets({ dataPath: file, valSplit: 0 });
    expect(train.classes).toEqual(["a", "b", "c"]);
    const epoch = async (workers: number): Promise<number[]> => {
      const plan = createPlan({ mode: "train", length: train.length, batchSize: 8 });
      const loader = createLoader({
        dataset: train,
        transform: { mode: "train", size: [8, 8] },
        plan,
        pool: workerPool(workers),
      });
      const sums: number[] = [];
      for await (const { images } of loader.epoch(0)) sums.push(...images);
      await loader.close();
      return sums;
    };
    expect(await epoch(2)).toEqual(await epoch(0));
  });

  test("says what is wrong", async () => {
    const bad = async (name: string, columns: Column[]): Promise<unknown> => {
      await writeParquet(join(root, name), columns);
      return openDatasets({ dataPath: join(root, name), valSplit: 0 }).catch((error: unknown) => error);
    };
    await writeFile(join(root, "text.parquet"), "version https://git-lfs.github.com/spec/v1\n");
    const pointer = await openDatasets({ dataPath: join(root, "text.parquet") }).catch(
      (error: unknown) => error,
    );
    expect(pointer).toBeInstanceOf(DataError);
    expect(String(pointer)).toContain("is not a Parquet file that can be read");
    expect(String(await bad("a.parquet", [bytesColumn("photo"), labelColumn(numbers(0, COUNT))]))).toContain(
      "has no column of images: it has photo, label",
    );
    expect(String(await bad("b.parquet", [bytesColumn("image")]))).toContain("has no column of labels");
    expect(
      String(
        await bad("c.parquet", [
          { name: "image", data: numbers(0, COUNT) as never },
          labelColumn(numbers(0, COUNT)),
        ]),
      ),
    ).toContain("row 0: image holds no bytes of an image");
    expect(
      String(await openDatasets({ dataPath: join(root, "none.parquet") }).catch((e: unknown) => e)),
    ).toContain("none.parquet");
  });
});

describe("csv", () => {
  const write = async (name: string, text: string): Promise<string> => {
    const folder = join(root, "csv");
    await mkdir(join(folder, "images, old"), { recursive: true });
    for (const i of [0, 1, 2, 3]) await writeFile(join(folder, "images, old", `${i}.png`), images[i] ?? "");
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const said = async (name: string, text: string): Promise<string> =>
    String(
      await openDatasets({ dataPath: await write(name, text), valSplit: 0 }).catch((error: unknown) => error),
    );

  test("columns by name, quoted paths, class names", async () => {
    const rows = ["dog", "cat", "dog", "owl"].map((label, i) => `${i},${label},"images, old/${i}.png"`);
    const path = await write("photos.csv", `\uFEFFid,Label,File\r\n${rows.join("\r\n")}\r\n\r\n`);
    const { train } = await openDatasets({ dataPath: path, valSplit: 0 });
    expect(train.classes).toEqual(["cat", "dog", "owl"]);
    expect([...train.labels]).toEqual([1, 0, 1, 2]);
    expect((await train.read(3)).width).toBe(11);
  });

  test("no heading: path, then label; numbers are names in their order", async () => {
    const path = await write("plain.csv", '"images, old/0.png",10\n"images, old/1.png",9\n');
    const { train } = await openDatasets({ dataPath: path, valSplit: 0 });
    expect(train.classes).toEqual(["9", "10"]);
    expect([...train.labels]).toEqual([1, 0]);
  });

  test("train.csv with val.csv: one set of classes", async () => {
    await write("train.csv", '"images, old/0.png",a\n"images, old/1.png",b\n');
    await write("val.csv", '"images, old/2.png",b\n');
    const { train, validation } = await openDatasets({ dataPath: join(root, "csv") });
    expect([train.length, validation?.length, [...(validation?.labels ?? [])]]).toEqual([2, 1, [1]]);
  });

  test("says which line is wrong", async () => {
    expect(await said("a.csv", "path,label\nnowhere.png,cat\nx,dog\n")).toContain("line 2: there is no file");
    expect(await said("b.csv", 'path,label\n"images, old/0.png",\n')).toContain(
      "line 2: expected a path and a label",
    );
    expect(await said("c.csv", "a,b,c\n1,2,3\n")).toContain("which are path and label is not clear");
    expect(await said("d.csv", "path,label\n")).toContain("lists no images");
    expect(await said("e.csv", '"images, old/0.png",a\n"images, old/1.png",a\n')).toContain(
      "one class only (a)",
    );
    expect(await said("f.csv", 'a,"b\n')).toContain("is not a CSV file");
  });
});
