/** One Parquet file: its labels and parts, what the Hub's metadata calls its classes, and its images, a group at a time. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError, firstLine } from "../errors.ts";
import { BYTES_COLUMNS, findColumn, LABEL_COLUMNS, partColumns, partsByColumns } from "./columns.ts";
import { list } from "./image-names.ts";
import type { Part } from "./split-names.ts";

export interface Table {
  readonly file: string;
  readonly buffer: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly imageColumn: string;
  readonly labels: readonly (number | string)[];
  /** Of every row, where a column says it. */
  readonly parts: readonly (Part | undefined)[] | undefined;
  /** Of the classes, from the Hub's metadata. */
  readonly names: readonly string[] | undefined;
  /** Other columns. */
  readonly unused: readonly string[];
}

/** Reads all of a file but the images. @throws DataError for a file that is no Parquet, or without the columns */
export async function openTable(file: string): Promise<Table> {
  return readingParquet(file, async () => {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    const columns = columnsOf(metadata);
    const imageColumn = pickColumn(file, columns, { of: BYTES_COLUMNS, what: "images" });
    const labelColumn = pickColumn(file, columns, { of: LABEL_COLUMNS, what: "labels" });
    const candidates = partColumns(columns)
      .map((index) => columns[index] ?? "")
      .filter((name) => name !== labelColumn && name !== imageColumn);
    const rows = await parquetReadObjects({
      file: buffer,
      metadata,
      compressors,
      columns: [labelColumn, ...candidates],
    });
    const found = partsByColumns(
      file,
      candidates.map((name) => ({ name, values: rows.map((row) => textOf(row[name])) })),
    );
    const used = new Set([imageColumn, labelColumn, ...(found?.used ?? [])]);
    return {
      file,
      buffer,
      metadata,
      imageColumn,
      labels: rows.map((row) => {
        const label: unknown = row[labelColumn];
        return typeof label === "string" ? label : Number(label ?? Number.NaN);
      }),
      parts: found?.parts,
      names: classNames(metadata, labelColumn),
      unused: columns.filter((name) => !used.has(name)),
    };
  });
}

/** The encoded images of the chosen rows. @throws DataError for damaged files and rows without bytes */
export async function* readImages(
  { file, buffer, metadata, imageColumn }: Table,
  isTaken: (row: number) => boolean,
): AsyncGenerator<{ readonly row: number; readonly bytes: Uint8Array }> {
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    const [rowStart, rowEnd] = [start, end];
    const rows = await readingParquet(file, async () =>
      parquetReadObjects({
        file: buffer,
        metadata,
        compressors,
        columns: [imageColumn],
        rowStart,
        rowEnd,
        utf8: false,
      }),
    );
    for (const [offset, row] of rows.entries()) {
      if (!isTaken(start + offset)) continue;
      const bytes = bytesOf(row[imageColumn]);
      if (bytes === undefined) {
        throw new DataError(
          file,
          `${file}, row ${start + offset}: ${imageColumn} holds no bytes of an image`,
          {
            code: "data/bad-row",
            hint: "Expected the bytes of a JPEG, PNG or WebP file, or a struct { bytes, path }; links are not followed.",
          },
        );
      }
      yield { row: start + offset, bytes };
    }
    start = end;
  }
}

/** Whatever the reader throws for a damaged file, as one kind of error. */
async function readingParquet<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(file, `${file} is no Parquet file that can be read: ${firstLine(cause)}`, {
      code: "data/damaged",
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
    for (let child = 0; child < (element?.num_children ?? 0) && index < schema.length; child++) skip();
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
  const found = columns[findColumn(columns, of)];
  if (found !== undefined) return found;
  throw new DataError(file, `${file} has no column of ${what}: it has ${list(columns)}`, {
    code: "data/unclear-columns",
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

function textOf(value: unknown): string {
  return ["string", "number", "bigint", "boolean"].includes(typeof value) ? String(value) : "";
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value.length > 0 ? value : undefined;
  if (typeof value === "object" && value !== null && "bytes" in value) return bytesOf(value.bytes);
  return undefined;
}
