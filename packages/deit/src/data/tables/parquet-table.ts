/** One Parquet file: its labels and parts, what the Hub's metadata calls its classes, and its images, a group at a time. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError, firstLine } from "../../errors.ts";
import { BYTES_COLUMNS, findColumn, LABEL_COLUMNS, partColumns, partsByColumns } from "./columns.ts";
import { list } from "../image-names.ts";
import { damaged, type RowImage, type TableFacts } from "./parquet-reader.ts";
import type { Part } from "../split-names.ts";

export interface Table extends TableFacts {
  readonly buffer: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly imageColumn: string;
}

/** Reads all of a file but the images. @throws DataError for a file that is not a Parquet, or without the columns */
export async function openTable(file: string): Promise<Table> {
  return readingParquet(file, async () => {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    const groups = checkedGroups(metadata, buffer.byteLength);
    const columns = columnsOf(metadata);
    const imageColumn = pickColumn(file, columns, { of: BYTES_COLUMNS, what: "images" });
    const labelColumn = pickColumn(file, columns, { of: LABEL_COLUMNS, what: "labels" });
    const usual = partColumns(columns).map((index) => columns[index] ?? "");
    const candidates = [...new Set([...usual, ...shortTexts(metadata)])].filter(
      (name) => name !== labelColumn && name !== imageColumn,
    );
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
      groups,
    };
  });
}

/** The encoded images of a row group, or of its rows of one part. @throws DataError for damaged files and rows without bytes */
export async function readGroup(
  { file, buffer, metadata, imageColumn, parts, groups }: Table,
  { group, part }: { readonly group: number; readonly part: Part | undefined },
): Promise<RowImage[]> {
  const { firstRow: rowStart = 0, rows: count = 0 } = groups[group] ?? {};
  const rows = await readingParquet(file, async () =>
    parquetReadObjects({
      file: buffer,
      metadata,
      compressors,
      columns: [imageColumn],
      rowStart,
      rowEnd: rowStart + count,
      utf8: false,
    }),
  );
  const images: RowImage[] = [];
  for (const [offset, cells] of rows.entries()) {
    const row = rowStart + offset;
    if (part !== undefined && parts?.[row] !== part) continue;
    const bytes = bytesOf(cells[imageColumn]);
    if (bytes === undefined) {
      throw new DataError(file, `${file}, row ${row}: ${imageColumn} holds no bytes of an image`, {
        code: "data/bad-row",
        hint: "Expected the bytes of a JPEG, PNG or WebP file, or a struct { bytes, path }; links are not followed.",
      });
    }
    images.push({ row, bytes: new Uint8Array(bytes) }); // a copy: what is sent is not shared
  }
  return images;
}

/** Row groups as the file says they are. @throws Error for counts and places that cannot be */
function checkedGroups({ row_groups, num_rows }: FileMetaData, fileBytes: number): TableFacts["groups"] {
  let firstRow = 0;
  const groups = row_groups.map(({ num_rows: count, columns }) => {
    const rows = Number(count);
    if (!(rows >= 0 && rows <= fileBytes)) throw new Error(`a group of ${count} rows in ${fileBytes} bytes`);
    let bytes = 0;
    for (const { meta_data: chunk } of columns) {
      const [start, length] = [Number(chunk?.data_page_offset), Number(chunk?.total_compressed_size)];
      if (!(start >= 0 && length >= 0 && start + length <= fileBytes))
        throw new Error(`a column at bytes ${start} to ${start + length} of ${fileBytes}`);
      bytes += length;
    }
    const group = { firstRow, rows, bytes };
    firstRow += rows;
    return group;
  });
  if (firstRow !== Number(num_rows)) throw new Error(`${num_rows} rows, but its groups have ${firstRow}`);
  return groups;
}

/** Whatever the reader throws for a damaged file, as one kind of error. */
async function readingParquet<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw damaged(file, firstLine(cause), cause);
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

/** Columns of words, of which few bytes a row are kept: they may name parts, whatever their headings are. */
function shortTexts({ schema, row_groups: groups }: FileMetaData): string[] {
  return schema
    .filter(
      ({ converted_type: kind, logical_type: logical }) => kind === "UTF8" || logical?.type === "STRING",
    )
    .map(({ name }) => name)
    .filter((name) =>
      groups.every(({ columns, num_rows: rows }) => {
        const data = columns.find(
          ({ meta_data: meta }) => meta?.path_in_schema.join(".") === name,
        )?.meta_data;
        return data !== undefined && Number(data.total_uncompressed_size) <= 1024 + 16 * Number(rows);
      }),
    );
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
