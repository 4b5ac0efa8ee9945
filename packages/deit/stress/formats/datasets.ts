/** Lists, tables, archives and binary files of images. */
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { parquetWriteBuffer } from "hyparquet-writer";
import { join } from "node:path";
import { readArchive } from "../../src/data/download/archive.ts";
import { openCifar } from "../../src/data/cifar.ts";
import { checkImages } from "../../src/data/check-images.ts";
import { openDatasets } from "../../src/data/open.ts";
import { pullRecipe, pulledDataset } from "../../src/data/download/download-dataset.ts";
import { DeitError } from "../../src/errors.ts";
import type { Damage } from "./damage.ts";
import { damagedBytes, damagedHead, damagedJsonFile, damagedJsonLines } from "./damage.ts";
import { drawn } from "./images.ts";
import type { Specimen } from "./specimen.ts";

const ROWS = [0, 1, 2, 3, 4, 5].map((i) => ({
  file: `${i}.png`,
  label: i % 2 === 0 ? "cat" : "dog",
  split: i < 4 ? "train" : "val",
}));

/** Opens a list, a table or a folder and reads all its images, as training and `deit data info` do. */
const openAll =
  (name: string) =>
  async (folder: string): Promise<void> => {
    const opened = await openDatasets({ dataPath: join(folder, name), valSplit: 0.5 }, { onNote: () => {} });
    for (const dataset of [opened.train, opened.validation])
      for (let i = 0; i < (dataset?.length ?? 0); i++)
        await dataset?.read(i).catch((error: unknown) => {
          if (!(error instanceof DeitError)) throw error;
        });
    await checkImages({ train: opened.train, validation: opened.validation });
  };

export async function datasets(): Promise<Specimen[]> {
  const image = new Uint8Array(await drawn().png().toBuffer());
  const beside = Object.fromEntries(ROWS.map(({ file }) => [file, image]));
  const info = { info: { features: { label: { names: ["cat", "dog"], _type: "ClassLabel" } } } };
  const table = (compressed: boolean): Uint8Array =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "image", data: ROWS.map(() => image), type: "BYTE_ARRAY" },
          { name: "label", data: ROWS.map((_, i) => i % 2), type: "INT32" },
          { name: "split", data: ROWS.map(({ split }) => split) },
        ],
        kvMetadata: [{ key: "huggingface", value: JSON.stringify(info) }],
        rowGroupSize: 4,
        codec: compressed ? "SNAPPY" : "UNCOMPRESSED",
      }),
    );
  const lines = ROWS.map(({ file, ...row }) => `${JSON.stringify({ file_name: file, ...row })}\n`).join("");
  const list = (separator: string): Uint8Array =>
    Buffer.from(
      `file_name,label,split,note\n${ROWS.map(({ file, label, split }) => `"${file}",${label},${split},x\n`).join("")}`.replaceAll(
        ",",
        separator,
      ),
    );
  const indices = Buffer.from(ROWS.map(({ file }, i) => `${file},${i % 3}\n`).join(""));
  return [
    {
      kind: "csv",
      file: "list.csv",
      bytes: list(","),
      beside,
      damage: damagedBytes,
      read: openAll("list.csv"),
    },
    {
      kind: "tsv",
      file: "list.tsv",
      bytes: list("\t"),
      beside,
      damage: damagedBytes,
      read: openAll("list.tsv"),
    },
    {
      kind: "labels.csv",
      file: "labels.csv",
      bytes: indices,
      beside,
      damage: damagedBytes,
      read: openAll(""),
    },
    {
      kind: "classes.json",
      file: "classes.json",
      bytes: Buffer.from(JSON.stringify(["cat", "dog", "bird"])),
      beside: { ...beside, "labels.csv": indices },
      damage: damagedJsonFile,
      read: openAll(""),
    },
    {
      kind: "jsonl",
      file: "metadata.jsonl",
      bytes: Buffer.from(lines),
      beside,
      damage: damagedJsonLines,
      read: openAll(""),
    },
    {
      kind: "parquet",
      file: "t.parquet",
      bytes: table(false),
      beside: {},
      damage: damagedBytes,
      read: openAll("t.parquet"),
    },
    {
      kind: "compressed parquet",
      file: "t.parquet",
      bytes: table(true),
      beside: {},
      damage: damagedBytes,
      read: openAll("t.parquet"),
    },
    ...(await archives()),
    ...cifar(),
  ];
}

/** Damaged inside (and packed again) or as they are. */
async function archives(): Promise<Specimen[]> {
  const header = { type: "file", mtime: new Date(0) } as const;
  const body = new Uint8Array(2000).fill(7);
  const tar = await packTar([
    { header: { ...header, name: "readme", size: 5 }, body: "hello" },
    { header: { ...header, name: "x/a.bin", size: body.length }, body },
    { header: { ...header, name: "x/b.bin", size: 3 }, body: Uint8Array.of(1, 2, 3) },
  ]);
  const read = async (folder: string): Promise<void> => {
    await readArchive(join(folder, "a.tar.gz"), ["a.bin", "b.bin"], async () => {});
  };
  const inside: Damage = (bytes, random) => gzipSync(damagedBytes(bytes, random), { level: 1 });
  const beside = {};
  return [
    { kind: "tar", file: "a.tar.gz", bytes: tar, beside, damage: inside, read },
    { kind: "tar.gz", file: "a.tar.gz", bytes: gzipSync(tar), beside, damage: damagedHead, read },
  ];
}

function cifar(): Specimen[] {
  const manifest = { origin: "x", files: { "a.bin": { bytes: 3, sha256: "00" } } };
  const recipe = {
    name: "cifar10",
    files: { "a.bin": 3 },
    origins: [],
    archive: "a.tar.gz",
    space: 1,
  } as const;
  return [
    {
      kind: "cifar",
      share: 0.1, // 30 MB each
      file: "test_batch.bin",
      bytes: new Uint8Array(30_730_000).fill(3),
      beside: {},
      damage: damagedHead,
      async read(path) {
        await openCifar({ kind: "cifar", name: "cifar10", path, split: "test" });
      },
    },
    {
      kind: "cifar's labels",
      file: "test_lables.json",
      bytes: Buffer.from(JSON.stringify(Array.from({ length: 50 }, (_, i) => i % 10))),
      beside: { "test_batch.png": Buffer.from("no image") },
      damage: damagedJsonFile,
      async read(path) {
        await openCifar({ kind: "cifar", name: "cifar10", path, split: "test" });
      },
    },
    {
      kind: "manifest of a pulled dataset",
      file: "datasets/cifar10/manifest.json",
      bytes: Buffer.from(JSON.stringify(manifest)),
      beside: { "datasets/cifar10/a.bin": Uint8Array.of(1, 2, 3) },
      damage: damagedJsonFile,
      async read(cacheDir) {
        await pulledDataset("cifar10", { cacheDir }).catch(onlyOurs);
        await pullRecipe(recipe, { cacheDir }); // no origin has it: said in words
      },
    },
  ];
}

function onlyOurs(error: unknown): void {
  if (!(error instanceof DeitError)) throw error;
}
