/**
 * Images in Parquet files, as data sets lie on the Hugging Face Hub: a column of images (the bytes of a file each,
 * or a struct with `bytes`) and one of labels (numbers, named by the Hub's metadata, or names); a column such as "split"
 * says the parts. The encoded images are held in memory, shared with the loader's workers: a row of Parquet cannot be
 * read without the thousand beside it, and training wants them in random order.
 */
import { totalmem } from "node:os";
import { basename } from "node:path";
import { DataError } from "../../errors.ts";
import { MAX_CLASSES } from "./columns.ts";
import type { Dataset } from "../dataset.ts";
import { decodeImage } from "../decoding/decode.ts";
import { list } from "../image-names.ts";
import { readGroupImages, readTable, type TableFacts } from "./parquet-reader.ts";
import type { Part } from "../split-names.ts";

export interface ParquetSource {
  readonly kind: "parquet";
  /** In the order of the dataset. */
  readonly files: readonly string[];
  /** Rows of this part only. */
  readonly part?: Part;
  /** Names by index, where they are given already. */
  readonly classes?: readonly string[];
}

/** Part of the machine's memory that the encoded images may take. */
const MEMORY_SHARE = 0.5;

interface Row {
  readonly file: string;
  readonly label: number | string;
  readonly row: number;
}

/** Opens all files as one dataset. Throws DataError for files that are not Parquet, missing columns, labels without a name. */
export async function openParquet(source: ParquetSource, memory?: SharedArrayBuffer): Promise<Dataset> {
  const tables = await openTables(source);
  const [first] = tables;
  if (first === undefined) throw new DataError("", "no Parquet files were given", { code: "data/no-images" });
  const rows = tables.flatMap((table) => rowsOf(table, source.part));
  if (rows.length === 0)
    throw new DataError(
      first.file,
      `${first.file} holds no rows${source.part ? ` for ${source.part}` : ""}`,
      {
        code: "data/no-images",
      },
    );
  const classes = source.classes ?? first.names ?? namesIn(rows);
  const indices = new Map(classes.map((name, index) => [name, index]));
  const labels = Int32Array.from(rows, ({ file, label, row }) => {
    const index = typeof label === "number" ? label : (indices.get(label) ?? -1);
    if (Number.isInteger(index) && index >= 0 && index < classes.length) return index;
    throw new DataError(
      file,
      `${file}, row ${row}: label ${JSON.stringify(label)} is none of ${list(classes)}`,
      { code: "data/unknown-class" },
    );
  });
  const images = memory ?? (await gather(tables, source.part));
  const bytesAt = imageReader(images, rows.length);
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
    memory: images,
    decodes: true,
    read: async (index) => decodeImage(bytesAt(index), describe(index)),
    encoded: async (index) => bytesAt(index),
    describe,
    notes:
      first.unused.length === 0 ? [] : [`${basename(first.file)}: columns not used: ${list(first.unused)}`],
  };
}

/** What the Hub's metadata calls the numbers of the classes, where it does. */
export async function parquetClassNames({ files }: ParquetSource): Promise<readonly string[] | undefined> {
  const [first] = files;
  return first === undefined ? undefined : (await readTable(first)).names;
}

/** The part of every row, where a column of the files says it. */
export async function parquetParts(
  source: ParquetSource,
): Promise<readonly (Part | undefined)[] | undefined> {
  const tables = await openTables(source);
  if (tables.some(({ parts }) => parts === undefined)) return undefined;
  return tables.flatMap(({ parts }) => parts ?? []);
}

async function openTables({ files }: ParquetSource): Promise<TableFacts[]> {
  const tables: TableFacts[] = [];
  for (const file of files) tables.push(await readTable(file));
  return tables;
}

function isTaken({ parts }: TableFacts, row: number, part: Part | undefined): boolean {
  return part === undefined || parts?.[row] === part;
}

function rowsOf(table: TableFacts, part: Part | undefined): Row[] {
  const { file, labels } = table;
  return labels.map((label, row) => ({ file, label, row })).filter(({ row }) => isTaken(table, row, part));
}

/** Sorted names; numbers count up to the largest. */
function namesIn(rows: readonly Row[]): string[] {
  const texts = new Set<string>();
  let largest = -1;
  for (const { file, label, row } of rows) {
    if (typeof label === "string") texts.add(label);
    else if (label < MAX_CLASSES) largest = Math.max(largest, label);
    else
      throw new DataError(file, `${file}, row ${row}: label ${label}, expected less than ${MAX_CLASSES}`, {
        code: "data/unknown-class",
      });
  }
  if (texts.size > 0) return [...texts].toSorted();
  return Array.from({ length: largest + 1 }, (_, index) => String(index));
}

/** Encoded images one after another: first where each of them ends, as float64, then their bytes. */
async function gather(tables: readonly TableFacts[], part: Part | undefined): Promise<SharedArrayBuffer> {
  const limit = totalmem() * MEMORY_SHARE;
  const images: Uint8Array[] = [];
  let total = 0;
  for (const table of tables) {
    for (const group of table.groups.keys()) {
      for (const { bytes } of await readGroupImages(table, group, part)) {
        images.push(bytes);
        total += bytes.length;
      }
      if (total > limit)
        throw new DataError(
          table.file,
          `the images of ${table.file} take more than half of this machine's memory`,
          {
            code: "data/too-large",
            hint: "Unpack them into a folder of classes, or take fewer files.",
          },
        );
    }
  }
  const shared = new SharedArrayBuffer(8 * images.length + total);
  const ends = new Float64Array(shared, 0, images.length);
  const data = new Uint8Array(shared, 8 * images.length);
  let end = 0;
  for (const [index, bytes] of images.entries()) {
    data.set(bytes, end);
    end += bytes.length;
    ends[index] = end;
  }
  return shared;
}

function imageReader(shared: SharedArrayBuffer, length: number): (index: number) => Uint8Array {
  const ends = new Float64Array(shared, 0, length);
  const data = new Uint8Array(shared, 8 * length);
  return (index) => {
    const end = ends[index];
    if (end === undefined) throw new RangeError(`image ${index} of ${length}`);
    return new Uint8Array(data.subarray(index === 0 ? 0 : ends[index - 1], end)); // a copy: decoders take no shared memory
  };
}
