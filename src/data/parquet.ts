/**
 * Pictures in Parquet files, as data sets lie on the Hugging Face Hub: a column of pictures (the bytes of a file each,
 * or a struct with `bytes`) and one of labels (numbers, named by the Hub's metadata, or names). The encoded pictures are
 * held in memory, shared with the loader's workers: a row of Parquet cannot be read without the thousand beside it, and
 * training wants them in random order.
 */
import { totalmem } from "node:os";
import { basename } from "node:path";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError, firstLine } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { decodePicture } from "./decode.ts";
import { list } from "./folder.ts";

export interface ParquetSource {
  readonly kind: "parquet";
  /** In the order of the dataset. */
  readonly files: readonly string[];
  /** Names by index, where they are given already. */
  readonly classes?: readonly string[];
}

/** Columns that are taken for pictures and for labels, the first that is there. */
const IMAGE_COLUMNS = ["image", "img", "picture", "pixels"];
const LABEL_COLUMNS = ["label", "labels", "fine_label", "class", "target", "category"];
/** Part of the machine's memory that the encoded pictures may take. */
const MEMORY_SHARE = 0.5;

/** Opens all files as one dataset. Throws DataError for files that are no Parquet, missing columns, labels without a name. */
export async function openParquet(source: ParquetSource, memory?: SharedArrayBuffer): Promise<Dataset> {
  const tables = await Promise.all(source.files.map(openTable));
  const [first] = tables;
  if (first === undefined) throw new DataError("", "no Parquet files were given");
  const rows = tables.flatMap(({ file, labels }) => labels.map((label, row) => ({ file, label, row })));
  if (rows.length === 0) throw new DataError(first.file, `${first.file} holds no rows`);
  const classes = source.classes ?? first.names ?? namesIn(rows.map(({ label }) => label));
  const labels = Int32Array.from(rows, ({ file, label, row }) => {
    const index = typeof label === "number" ? label : classes.indexOf(label);
    if (Number.isInteger(index) && index >= 0 && index < classes.length) return index;
    throw new DataError(
      file,
      `${file}, row ${row}: label ${JSON.stringify(label)} is none of ${list(classes)}`,
    );
  });
  const pictures = memory ?? (await readPictures(tables));
  const bytesAt = pictureReader(pictures, rows.length);
  const describe = (index: number): string => {
    const row = rows[index];
    return `${basename(row?.file ?? "")} row ${row?.row}`;
  };
  return {
    name: basename(first.file).replace(/[-.].*$/, ""),
    length: rows.length,
    classes,
    labels,
    source,
    memory: pictures,
    decodes: true,
    read: async (index) => decodePicture(bytesAt(index), describe(index)),
    encoded: async (index) => bytesAt(index),
    describe,
  };
}

/** What the Hub's metadata calls the numbers of the classes, where it does. */
export async function parquetClassNames({ files }: ParquetSource): Promise<readonly string[] | undefined> {
  const [first] = files;
  return first === undefined ? undefined : (await openTable(first)).names;
}

interface Table {
  readonly file: string;
  readonly buffer: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly imageColumn: string;
  readonly labels: readonly (number | string)[];
  /** Of the classes, from the Hub's metadata. */
  readonly names: readonly string[] | undefined;
}

async function openTable(file: string): Promise<Table> {
  try {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    const columns = columnsOf(metadata);
    const imageColumn = pickColumn(file, columns, { of: IMAGE_COLUMNS, what: "pictures" });
    const labelColumn = pickColumn(file, columns, { of: LABEL_COLUMNS, what: "labels" });
    const rows = await parquetReadObjects({ file: buffer, metadata, compressors, columns: [labelColumn] });
    const labels = rows.map((row) => {
      const label: unknown = row[labelColumn];
      return typeof label === "string" ? label : Number(label ?? Number.NaN);
    });
    return { file, buffer, metadata, imageColumn, labels, names: classNames(metadata, labelColumn) };
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(file, `${file} is no Parquet file that can be read: ${firstLine(cause)}`, {
      hint: "Download it again; it may be cut off, or a pointer of Git LFS.",
      cause,
    });
  }
}

/** Top-level columns: a struct counts once. */
function columnsOf({ schema }: FileMetaData): string[] {
  const names: string[] = [];
  let index = 1;
  const skip = (): void => {
    const element = schema[index++];
    for (let child = 0; child < (element?.num_children ?? 0); child++) skip();
  };
  while (index < schema.length) {
    names.push(schema[index]?.name ?? "");
    skip();
  }
  return names;
}

function pickColumn(
  file: string,
  columns: readonly string[],
  { of, what }: { of: readonly string[]; what: string },
): string {
  const found = of.find((name) => columns.includes(name));
  if (found !== undefined) return found;
  throw new DataError(file, `${file} has no column of ${what}: it has ${list(columns)}`, {
    hint: `Expected one of: ${of.join(", ")}.`,
  });
}

/** What the Hub's `datasets` library writes about a ClassLabel column. */
function classNames({ key_value_metadata: pairs }: FileMetaData, column: string): string[] | undefined {
  const text = pairs?.find(({ key }) => key === "huggingface")?.value;
  if (text === undefined) return undefined;
  try {
    const { info } = JSON.parse(text) as { info?: { features?: Record<string, { names?: unknown }> } };
    const names = info?.features?.[column]?.names;
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : undefined;
  } catch {
    return undefined; // another writer's
  }
}

/** Sorted names; numbers count up to the largest. */
function namesIn(labels: readonly (number | string)[]): string[] {
  const texts = labels.filter((label) => typeof label === "string");
  if (texts.length > 0) return [...new Set(texts)].toSorted();
  const largest = labels.reduce<number>((most, label) => Math.max(most, Number(label)), -1);
  return Array.from({ length: largest + 1 }, (_, index) => String(index));
}

/** Encoded pictures one after another: first where each of them ends, as float64, then their bytes. */
async function readPictures(tables: readonly Table[]): Promise<SharedArrayBuffer> {
  const limit = totalmem() * MEMORY_SHARE;
  const pictures: Uint8Array[] = [];
  let total = 0;
  for (const { file, buffer, metadata, imageColumn } of tables) {
    let start = 0;
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      const rows = await parquetReadObjects({
        file: buffer,
        metadata,
        compressors,
        columns: [imageColumn],
        rowStart: start,
        rowEnd: end,
        utf8: false,
      });
      for (const [offset, row] of rows.entries()) {
        const bytes = bytesOf(row[imageColumn]);
        if (bytes === undefined) {
          throw new DataError(
            file,
            `${file}, row ${start + offset}: ${imageColumn} holds no bytes of a picture`,
            {
              hint: "Expected the bytes of a JPEG, PNG or WebP file, or a struct { bytes, path }; links are not followed.",
            },
          );
        }
        pictures.push(bytes);
        total += bytes.length;
      }
      if (total > limit) {
        throw new DataError(file, `the pictures of ${file} take more than half of this machine's memory`, {
          hint: "Unpack them into a folder of classes, or take fewer files.",
        });
      }
      start = end;
    }
  }
  const shared = new SharedArrayBuffer(8 * pictures.length + total);
  const ends = new Float64Array(shared, 0, pictures.length);
  const data = new Uint8Array(shared, 8 * pictures.length);
  let end = 0;
  for (const [index, bytes] of pictures.entries()) {
    data.set(bytes, end);
    end += bytes.length;
    ends[index] = end;
  }
  return shared;
}

function pictureReader(shared: SharedArrayBuffer, length: number): (index: number) => Uint8Array {
  const ends = new Float64Array(shared, 0, length);
  const data = new Uint8Array(shared, 8 * length);
  return (index) => {
    const end = ends[index];
    if (end === undefined) throw new RangeError(`picture ${index} of ${length}`);
    return new Uint8Array(data.subarray(index === 0 ? 0 : ends[index - 1], end)); // a copy: decoders take no shared memory
  };
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value.length > 0 ? value : undefined;
  if (typeof value === "object" && value !== null && "bytes" in value) return bytesOf(value.bytes);
  return undefined;
}
