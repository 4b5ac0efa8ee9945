/**
 * A list of images, read: a CSV file (or one parted by semicolons or tabs), or lines of JSON, as metadata.csv and
 * metadata.jsonl of the Hub. Which column is what, headings say (columns.ts); without headings the path comes first.
 * Whether the first line is a heading is never guessed in silence.
 */
import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { parse } from "csv-parse/sync";
import { DataError, firstLine } from "../../errors.ts";
import {
  findColumn,
  LABEL_COLUMNS,
  namesParts,
  partColumns,
  partsByColumns,
  PATH_COLUMNS,
  type RowParts,
} from "./columns.ts";
import { isImageName, list } from "../image-names.ts";
import { markedClasses, oneHotColumns } from "./one-hot.ts";
import { type Part, partsOf } from "../split-names.ts";

export const LABELS_FILE = "labels.csv";

export interface ListedImage {
  readonly file: string;
  readonly label: string;
  readonly line: number;
}

export interface Listing {
  readonly path: string;
  readonly rows: readonly ListedImage[];
  /** Of every row, where a column or the folders of the paths name parts; an undefined part is left out. */
  readonly parts: readonly (Part | undefined)[] | undefined;
  readonly notes: readonly string[];
}

/** Whether a file's name says that it lists images. */
export function isListing(name: string): boolean {
  return /\.(?:csv|tsv|jsonl)$/i.test(name);
}

/** Folders of a path that are looked at. */
const MAX_LEVELS = 16;

/** Largest list: as long a text takes about four times as much memory. */
const MAX_BYTES = 256 * 2 ** 20;

/**
 * @param finds whether there is an image for what a row calls one: asked where a first line may be a heading or not
 * @throws DataError, with the line, for rows without path or label and for headings that are not clear
 */
export async function readListing(path: string, finds: (file: string) => Promise<boolean>): Promise<Listing> {
  const text = await readText(path);
  const { headings, body } = /\.jsonl$/i.test(path)
    ? jsonTable(text, path)
    : await csvTable(text, path, finds);
  const all = headings.names.map((name, column) => ({
    name,
    column,
    values: body.map(({ cells }) => cells[column] ?? ""),
  }));
  const classes = oneHotColumns(path, all);
  if (classes !== undefined)
    return oneHotListing(path, all, { classes, lines: body.map(({ line }) => line) });
  const [pathColumn, labelColumn] = pathAndLabel(all, path);
  const rows = body.map(({ cells, line }) => {
    const [file = "", label = ""] = [cells[pathColumn], cells[labelColumn]];
    if (file === "" || label === "")
      throw new DataError(path, `${path}, line ${line}: expected a path and a label, as cat1.jpg,cat`, {
        code: "data/bad-row",
      });
    return { file, label, line };
  });
  const columns = all.filter(({ column }) => column !== pathColumn && column !== labelColumn);
  const found = partsByColumns(path, columns) ?? partsByPaths(rows);
  const used = new Set(found?.used);
  const unused = headings.names.filter(
    (name, i) => i !== pathColumn && i !== labelColumn && !used.has(name) && name !== "",
  );
  const [pathName = "", labelName = ""] = [headings.names[pathColumn], headings.names[labelColumn]];
  const isUsual = findColumn([pathName], PATH_COLUMNS) >= 0 && findColumn([labelName], LABEL_COLUMNS) >= 0;
  const chosen = `images by ${pathName}, classes by ${labelName}`;
  return {
    path,
    rows,
    parts: found?.parts,
    notes: [
      ...headings.notes,
      ...(unused.length > 0
        ? [`${basename(path)}: ${chosen}; not used: ${list(unused)}`]
        : isUsual
          ? []
          : [`${basename(path)}: ${chosen}`]),
      ...(found?.notes ?? []),
    ],
  };
}

/** A list with a column for each class. Rows that mark none are left out. */
function oneHotListing(
  path: string,
  columns: readonly { readonly name: string; readonly values: readonly string[] }[],
  { classes, lines }: { classes: readonly number[]; lines: readonly number[] },
): Listing {
  const files =
    columns[
      findColumn(
        columns.map(({ name }) => name),
        PATH_COLUMNS,
      )
    ]?.values;
  const { labels, notes } = markedClasses(path, columns, { classes, lines });
  const kept = lines.map((_, row) => row).filter((row) => labels[row] !== undefined);
  const rows = kept.map((row) => ({
    file: files?.[row] ?? "",
    label: labels[row] ?? "",
    line: lines[row] ?? 0,
  }));
  const unnamed = rows.find(({ file }) => file === "");
  if (unnamed !== undefined)
    throw new DataError(path, `${path}, line ${unnamed.line}: expected the path of an image`, {
      code: "data/bad-row",
    });
  const others = columns.filter((_, i) => !classes.includes(i));
  const found =
    partsByColumns(
      path,
      others
        .filter(({ values }) => values !== files)
        .map(({ name, values }) => ({ name, values: kept.map((row) => values[row] ?? "") })),
    ) ?? partsByPaths(rows);
  return { path, rows, parts: found?.parts, notes: [...notes, ...(found?.notes ?? [])] };
}

/** Headings of a list alone, so far as it has any: empty for a file without. */
export async function listingHeadings(path: string): Promise<string[]> {
  await using handle = await open(path);
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, 0);
  const line = asText(buffer.subarray(0, bytesRead)).split(/\r?\n/, 1)[0] ?? "";
  if (/\.jsonl$/i.test(path)) {
    try {
      const row: unknown = JSON.parse(line);
      return typeof row === "object" && row !== null ? Object.keys(row) : [];
    } catch {
      return [];
    }
  }
  return line.split(delimiterOf(line)).map((name) => name.trim().replaceAll('"', ""));
}

/** UTF-8, or UTF-16 as Excel writes it, without the mark of it and without Excel's line that names the delimiter. */
function asText(bytes: Buffer): string {
  const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
  return bytes
    .toString(isUtf16 ? "utf16le" : "utf8")
    .replace(/^\uFEFF/, "")
    .replace(/^"?sep=.?"?\r?\n/i, "");
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES)
      throw new DataError(
        path,
        `${path} has ${Math.round(size / 2 ** 20)} MiB: expected a list of at most ${MAX_BYTES / 2 ** 20}`,
        {
          code: "data/too-large",
          hint: "Put the images into folders of classes, or into Parquet files (deit data pack).",
        },
      );
    await using handle = await open(path);
    return asText(await handle.readFile());
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(path, `${path} cannot be read: ${firstLine(cause)}`, {
      code: "data/unreadable",
      cause,
    });
  }
}

interface TableRow {
  readonly cells: readonly string[];
  readonly line: number;
}

interface Table {
  readonly headings: { readonly names: readonly string[]; readonly notes: readonly string[] };
  readonly body: readonly TableRow[];
}

/** One object a line; values that are not text or number count as nothing. */
function jsonTable(text: string, path: string): Table {
  const names: string[] = [];
  const columns = new Map<string, number>();
  const body: TableRow[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (raw.trim() === "") continue;
    const cells: string[] = [];
    for (const [key, value] of Object.entries(parseObject(raw, { path, line: index + 1 }))) {
      let column = columns.get(key);
      if (column === undefined) {
        column = names.push(key) - 1;
        columns.set(key, column);
      }
      cells[column] = ["string", "number", "boolean"].includes(typeof value) ? String(value) : "";
    }
    body.push({ cells, line: index + 1 });
  }
  return { headings: { names, notes: [] }, body };
}

function parseObject(text: string, { path, line }: { path: string; line: number }): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw new DataError(
    path,
    `${path}, line ${line} is not JSON object: expected {"file_name": "cat1.jpg", "label": "cat"}`,
    {
      code: "data/bad-row",
    },
  );
}

async function csvTable(
  text: string,
  path: string,
  finds: (file: string) => Promise<boolean>,
): Promise<Table> {
  const rows = parseCsv(text, path);
  const [first, second] = rows;
  if (first === undefined) return { headings: { names: ["path", "label"], notes: [] }, body: [] };
  const kind = await firstLineOf(first.cells, second?.cells, finds);
  if (kind === "unclear") {
    throw new DataError(path, `${path}: the first line (${list(first.cells)}) may be a heading or an image`, {
      code: "data/unclear-columns",
      hint: `Name the columns in the first line, for example: ${PATH_COLUMNS[0]},${LABEL_COLUMNS[3]}.`,
    });
  }
  if (kind === "row") return { headings: { names: withoutHeading(first.cells), notes: [] }, body: rows };
  const names = first.cells;
  const isKnown = findColumn(names, PATH_COLUMNS) >= 0 || findColumn(names, LABEL_COLUMNS) >= 0;
  const note = `${basename(path)}: the first line (${list(names)}) is used as the header`;
  return { headings: { names, notes: isKnown ? [] : [note] }, body: rows.slice(1) };
}

function looksLikeImage(cell: string): boolean {
  return isImageName(basename(cell));
}

/**
 * Of two columns without a heading the path comes first, unless it is the second alone that has images' names. What more
 * columns are, their values say.
 */
function withoutHeading(first: readonly string[]): string[] {
  const [path = "", label = "", ...others] = first;
  if (others.length > 0) return first.map((_, column) => `column ${column + 1}`);
  return looksLikeImage(label) && !looksLikeImage(path) ? ["label", "path"] : ["path", "label"];
}

async function firstLineOf(
  first: readonly string[],
  second: readonly string[] | undefined,
  finds: (file: string) => Promise<boolean>,
): Promise<"heading" | "row" | "unclear"> {
  const hasPath = findColumn(first, PATH_COLUMNS) >= 0;
  const hasLabel = findColumn(first, LABEL_COLUMNS) >= 0;
  if (hasPath && hasLabel) return "heading";
  if (first.some(looksLikeImage)) return "row";
  if (first.length !== 2) return "heading"; // pathAndLabel says what of it is not known
  const path = first[0] ?? "";
  if (await finds(path)) return hasLabel ? "unclear" : "row";
  if (hasPath || hasLabel) return "heading";
  const next = second?.[0] ?? "";
  return looksLikeImage(next) || (next !== "" && (await finds(next))) ? "heading" : "unclear";
}

/**
 * By the headings; else the column that has images' names, and the only one left.
 * @throws DataError data/unclear-columns when these do not say it
 */
function pathAndLabel(
  columns: readonly { readonly name: string; readonly values: readonly string[] }[],
  file: string,
): [number, number] {
  const names = columns.map(({ name }) => name);
  let path = findColumn(names, PATH_COLUMNS);
  let label = findColumn(names, LABEL_COLUMNS);
  if (path < 0) {
    const isOfImages = ({ values }: (typeof columns)[number]): boolean =>
      values.length > 0 && values.every(looksLikeImage);
    if (columns.filter(isOfImages).length === 1) path = columns.findIndex(isOfImages);
    if (path === label) label = -1;
  }
  const parts = partColumns(names);
  const others = names
    .map((_, i) => i)
    .filter((i) => i !== path && i !== label && !parts.includes(i))
    .filter((i) => columns[i]?.values.some((value) => value !== "") && !namesParts(columns[i].values));
  const [other] = others;
  if (other !== undefined && others.length === 1) {
    if (label < 0) label = path < 0 ? label : other;
    else if (path < 0) path = other;
  } else if (names.length === 2 && path < 0 && label < 0) [path, label] = [0, 1];
  if (path >= 0 && label >= 0) return [path, label];
  const lacking =
    path >= 0 ? "which is the label" : label >= 0 ? "which is the path" : "which are path and label";
  throw new DataError(file, `${file} has the columns ${list(names)}: ${lacking} is not clear`, {
    code: "data/unclear-columns",
    hint: `Name them in the first line, for example: ${PATH_COLUMNS[0]},${LABEL_COLUMNS[3]}.`,
  });
}

function delimiterOf(line: string): string {
  return [",", ";", "\t"].find((delimiter) => line.includes(delimiter)) ?? ",";
}

interface ParsedLine {
  readonly record: readonly string[];
  readonly raw?: string;
  readonly info: { readonly lines: number };
}

function parseCsv(text: string, path: string): TableRow[] {
  const rows: TableRow[] = [];
  // in labels.csv names without quotes may hold commas, as labels are numbers
  const mayHoldCommas = basename(path).toLowerCase() === LABELS_FILE;
  try {
    parse(text, {
      delimiter: delimiterOf(text.slice(0, 64 * 1024).split("\n", 1)[0] ?? ""),
      info: true,
      raw: mayHoldCommas,
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      on_record: (parsed: unknown) => {
        const { record, raw, info } = parsed as ParsedLine; // its types do not know `info` without columns
        rows.push({
          cells: mayHoldCommas ? namesWithCommas(record, raw, rows[0]?.cells.length) : record,
          line: info.lines,
        });
        return null; // nothing is kept twice
      },
    });
  } catch (cause) {
    throw new DataError(path, `${path} is not a CSV file: ${firstLine(cause)}`, {
      code: "data/damaged",
      cause,
    });
  }
  return rows;
}

function namesWithCommas(record: readonly string[], raw = "", columns = 2): readonly string[] {
  if (record.length <= columns || raw.includes('"') || !/^\d+$/.test(record.at(-1) ?? "")) return record;
  const line = raw.trim();
  const comma = line.lastIndexOf(",");
  return [line.slice(0, comma).trim(), line.slice(comma + 1).trim()];
}

/**
 * By the folders of the paths: the first level at which they name training and another part. Images in other folders of
 * that level belong to no part, as folders beside train and test do.
 */
function partsByPaths(rows: readonly ListedImage[]): RowParts | undefined {
  const folders = rows.map(({ file }) => file.split(/[/\\]/).slice(0, -1));
  const levels = folders.reduce((least, { length }) => Math.min(least, length), MAX_LEVELS);
  for (let level = 0; level < levels; level++) {
    const known = partsOf([...new Set(folders.map((names) => names[level] ?? ""))]);
    const found = new Set(known.values());
    if (found.size < 2 || !found.has("train")) continue;
    const parts = folders.map((names) => known.get(names[level] ?? ""));
    const left = folders.flatMap((names, row) => (parts[row] === undefined ? [names[level] ?? ""] : []));
    const others = left.length === 0 ? "" : `; ${left.length} in ${list([...new Set(left)])} are left out`;
    return {
      parts,
      used: [],
      notes: [
        `the folders of the paths (${list([...known.keys()])}) determine the split of each image${others}`,
      ],
    };
  }
  return undefined;
}
