/**
 * A dataset as a few Parquet files, as data sets lie on the Hugging Face Hub: what travels to a machine without a network.
 * Images keep the bytes of their files; classes, their order and the split between training and validation stay. Other
 * tools read them, too (`datasets` of Python: load_dataset("parquet", …)).
 */
import { mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, join } from "node:path";
import type { SchemaElement } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import sharp from "sharp";
import { ConfigError, DataError, firstLine } from "../errors.ts";
import type { DataOptions } from "./open.ts";
import { tryLock } from "./lock.ts";
import { openDatasets } from "./open.ts";
import type { Dataset } from "./dataset.ts";

export interface PackOptions extends Pick<DataOptions, "dataPath" | "dataSet"> {
  /** Folder of the shards; must be empty or not there. */
  readonly outputDir: string;
  /** Bytes of images in one shard. */
  readonly shardBytes?: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** What was assumed and left out, and every image that cannot be read: a sentence each. */
  readonly onNote?: ((note: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Packed {
  readonly path: string;
  readonly files: readonly string[];
  readonly images: number;
  readonly validationImages: number;
  readonly classes: number;
  readonly bytes: number;
}

const SHARD_BYTES = 256 * 2 ** 20;
/** Of images in one row group: a reader holds so many at once. */
const GROUP_BYTES = 16 * 2 ** 20;

/**
 * Writes the shards `train-00000-of-00002.parquet`, …, `validation-…`; without a split, `all-…`. Files that are empty or
 * cannot be read are left out and named; nobody looks into the others. @throws DataError, ConfigError
 */
export async function packDataset(options: PackOptions): Promise<Packed> {
  const {
    outputDir,
    shardBytes = SHARD_BYTES,
    onProgress = () => {},
    onNote = () => {},
    signal,
    ...data
  } = options;
  const isNew = (await mkdir(outputDir, { recursive: true })) !== undefined;
  const lock = await tryLock(join(outputDir, LOCK_FILE));
  if (!("release" in lock)) throw notUsable(outputDir, "another pack is being made there");
  try {
    await clearUnfinished(outputDir);
    const { train, validation } = await openDatasets({ ...data, valSplit: 0 }, { onNote });
    return await packInto({ outputDir, shardBytes, onProgress, onNote, signal }, { train, validation });
  } catch (error) {
    await lock.release();
    if (isNew) await rmdir(outputDir).catch(() => {});
    throw error;
  } finally {
    await lock.release();
  }
}

async function packInto(
  {
    outputDir,
    shardBytes,
    onProgress,
    onNote,
    signal,
  }: Required<Pick<PackOptions, "outputDir" | "shardBytes" | "onProgress">> &
    Pick<PackOptions, "onNote" | "signal">,
  { train, validation }: { train: Dataset; validation: Dataset | undefined },
): Promise<Packed> {
  const parts = validation === undefined ? { all: train } : { train, validation };
  const total = train.length + (validation?.length ?? 0);
  const [drafts, files]: [string[], string[]] = [[], []];
  let [done, bytes] = [0, 0];
  const written = new Map<string, number>();
  try {
    for (const [part, dataset] of Object.entries(parts)) {
      const names: string[] = [];
      for (const draft of shardDrafts(outputDir, part)) {
        names.push(draft);
        drafts.push(draft);
        const start = done - (part === "validation" ? train.length : 0);
        const shard = await writeShard(draft, dataset, {
          start,
          shardBytes,
          onBroken: (problem) => onNote?.(`${problem}: left out`),
          onImage() {
            signal?.throwIfAborted();
            onProgress(++done, total);
          },
        });
        bytes += shard.bytes;
        written.set(part, (written.get(part) ?? 0) + shard.rows);
        if (shard.end === dataset.length) break;
      }
      if (!written.get(part))
        throw new DataError(dataset.name, `no image of ${dataset.name} can be read`, {
          code: "data/no-images",
        });
      const of = String(names.length).padStart(5, "0");
      for (const i of names.keys())
        files.push(join(outputDir, `${part}-${String(i).padStart(5, "0")}-of-${of}.parquet`));
    }
    // From the last one on: what is cut off here lacks its first file, and is taken for no dataset.
    for (const [i, draft] of [...drafts.entries()].toReversed()) await rename(draft, files[i] ?? "");
  } catch (error) {
    for (const file of [...drafts, ...files]) await rm(file, { force: true });
    throw error;
  }
  return {
    path: outputDir,
    files,
    images: written.get("train") ?? written.get("all") ?? 0,
    validationImages: written.get("validation") ?? 0,
    classes: train.classes.length,
    bytes,
  };
}

const LOCK_FILE = ".pack.lock";
const SHARD = /^(?:all|train|validation)-\d{5}-of-\d{5}\.parquet$/;
const DRAFT = /^\.(?:all|train|validation)-\d+\.draft$/;

/** Names before it is known how many there are; hidden, so that half a dataset is taken for none. */
function* shardDrafts(folder: string, part: string): Generator<string> {
  for (let i = 0; ; i++) yield join(folder, `.${part}-${i}.draft`);
}

/** Removes what a killed pack left. @throws ConfigError for a folder that holds something else */
async function clearUnfinished(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter(
    (name) => name !== LOCK_FILE && !name.startsWith(`.${LOCK_FILE}.`),
  );
  const isKilled = names.some((name) => DRAFT.test(name));
  if (!names.every((name) => isKilled && (DRAFT.test(name) || SHARD.test(name))))
    throw notUsable(folder, "it is not empty");
  for (const name of names) await rm(join(folder, name), { force: true });
}

function notUsable(folder: string, why: string): ConfigError {
  return new ConfigError("outputDir", `${folder} cannot be used: ${why}`, {
    code: "files/exists",
    hint: "Name a new folder.",
  });
}

interface ShardOptions {
  readonly start: number;
  readonly shardBytes: number;
  readonly onImage: () => void;
  readonly onBroken: (problem: string) => void;
}

interface Row {
  readonly bytes: Uint8Array;
  readonly path: string;
  readonly label: number;
}

/** Writes images from `start` on until the shard is full. Returns where the next one starts, and how many were written. */
async function writeShard(
  file: string,
  dataset: Dataset,
  { start, shardBytes, onImage, onBroken }: ShardOptions,
): Promise<{ end: number; rows: number; bytes: number }> {
  const handle = await open(file, "w");
  try {
    const sink = new ByteWriter();
    const writer = new ParquetWriter({
      writer: sink,
      schema: SCHEMA,
      codec: "UNCOMPRESSED", // images are compressed already
      createdBy: "deit-ts",
      kvMetadata: [{ key: "huggingface", value: JSON.stringify(hubMetadata(dataset.classes)) }],
    });
    let [end, rows, packed, group, groupBytes]: [number, number, number, Row[], number] = [
      start,
      0,
      0,
      [],
      0,
    ];
    const flush = async (): Promise<void> => {
      if (group.length === 0) return;
      await writer.write({
        columnData: [
          {
            name: "image",
            data: group.map(({ bytes, path }) => ({ bytes, path })),
            encoding: "PLAIN",
            statistics: false,
          },
          { name: "label", data: group.map(({ label }) => BigInt(label)) },
        ],
        rowGroupSize: group.length,
      });
      await drain(sink, handle);
      [group, groupBytes] = [[], 0];
    };
    while (end < dataset.length && packed < shardBytes) {
      const bytes = await encodedImage(dataset, end).catch((error: unknown) => {
        if (!(error instanceof DataError)) throw error;
        onBroken(firstLine(error));
        return undefined;
      });
      const [path, label] = [basename(dataset.describe(end)), dataset.labels[end] ?? -1];
      end++;
      onImage();
      if (bytes === undefined) continue;
      group.push({ bytes, path, label });
      rows++;
      packed += bytes.length;
      groupBytes += bytes.length;
      if (groupBytes >= GROUP_BYTES) await flush();
    }
    await flush();
    await writer.finish();
    await drain(sink, handle);
    await handle.sync();
    return { end, rows, bytes: sink.offset };
  } finally {
    await handle.close();
  }
}

/** Appends what was written so far to the file, and forgets it. */
async function drain(sink: ByteWriter, handle: FileHandle): Promise<void> {
  await handle.write(new Uint8Array(sink.buffer, 0, sink.index));
  sink.index = 0;
}

/** The image's own file; without one (CIFAR), a PNG, which loses nothing. @throws DataError */
async function encodedImage(dataset: Dataset, index: number): Promise<Uint8Array> {
  if (dataset.encoded !== undefined) {
    const bytes = await dataset.encoded(index);
    if (bytes.length > 0) return bytes;
    throw new DataError(dataset.describe(index), `${dataset.describe(index)} is empty: expected an image`, {
      code: "data/broken-image",
    });
  }
  const { width, height, data } = await dataset.read(index);
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** As the Hub's library has images and labels: struct { bytes, path }, int64. */
const SCHEMA: SchemaElement[] = [
  { name: "root", num_children: 2 },
  { name: "image", repetition_type: "REQUIRED", num_children: 2 },
  { name: "bytes", type: "BYTE_ARRAY", repetition_type: "REQUIRED" },
  { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
  { name: "label", type: "INT64", repetition_type: "REQUIRED" },
];

function hubMetadata(classes: readonly string[]): object {
  return {
    info: { features: { image: { _type: "Image" }, label: { names: classes, _type: "ClassLabel" } } },
  };
}
