/**
 * A CSV file of paths and labels: a heading that names both columns (path, file, filename or image; label, class or
 * category), or none, with the path first. Paths are relative to the file's folder; labels are names, or numbers that
 * are taken for names. Quoted fields may hold commas.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { parse } from "csv-parse/sync";
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { fileDataset, list } from "./folder.ts";

export interface CsvSource {
  readonly kind: "csv";
  readonly path: string;
  /** Names by index, where they are given already. */
  readonly classes?: readonly string[];
  /** The label of each class, where it is not the class's name. */
  readonly keys?: readonly string[];
}

const PATH_NAMES = ["path", "file", "filename", "file_name", "image", "img"];
const LABEL_NAMES = ["label", "class", "category", "target", "labels"];

/** Throws DataError, with the line, for rows without path or label, unknown classes and files that are not there. */
export async function openCsv(source: CsvSource): Promise<Dataset> {
  const { path } = source;
  const rows = parseRows(await readFile(path, "utf8").catch(unreadable(path)), path);
  if (rows.length === 0)
    throw new DataError(path, `${path} lists no pictures: expected lines as cat1.jpg,cat`);
  const classes = source.classes ?? [...new Set(rows.map(({ label }) => label))].toSorted(naturally);
  if (source.classes === undefined && classes.length === 1)
    throw new DataError(path, `${path} has one class only (${classes[0]}): expected at least two`);
  const keys = source.keys ?? classes;
  const root = dirname(resolve(path));
  const files = rows.map(({ file }) => resolve(root, file));
  for (const [index, { label, line }] of rows.entries()) {
    if (!keys.includes(label))
      throw new DataError(path, `${path}, line ${line}: class "${label}" is none of ${list(keys)}`);
    const file = files[index] ?? "";
    if (!(await stat(file).catch(() => undefined))?.isFile())
      throw new DataError(path, `${path}, line ${line}: there is no file ${file}`, {
        hint: "Paths are relative to the folder of the CSV file.",
      });
  }
  const labels = rows.map(({ label }) => keys.indexOf(label));
  return fileDataset({ name: basename(path).replace(/\.csv$/i, ""), root, files, labels, classes, source });
}

interface Row {
  readonly file: string;
  readonly label: string;
  readonly line: number;
}

interface Line {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

function parseRows(text: string, path: string): Row[] {
  let lines: Line[];
  try {
    const options = { bom: true, info: true, trim: true, skip_empty_lines: true, relax_column_count: true };
    lines = parse(text, options) as unknown as Line[]; // its types do not know `info` without columns
  } catch (cause) {
    throw new DataError(
      path,
      `${path} is no CSV file: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
  const [heading] = lines;
  const names = heading?.record.map((name) => name.toLowerCase()) ?? [];
  const pathColumn = names.findIndex((name) => PATH_NAMES.includes(name));
  const labelColumn = names.findIndex((name) => LABEL_NAMES.includes(name));
  const hasHeading = pathColumn >= 0 && labelColumn >= 0;
  if (!hasHeading && (heading?.record.length ?? 2) > 2) {
    throw new DataError(
      path,
      `${path} has the columns ${list(names)}: which are path and label is not clear`,
      {
        hint: `Name them in the first line, for example: ${PATH_NAMES[0]},${LABEL_NAMES[0]}.`,
      },
    );
  }
  return lines.slice(hasHeading ? 1 : 0).map(({ record, info }) => {
    const file = record[hasHeading ? pathColumn : 0] ?? "";
    const label = record[hasHeading ? labelColumn : 1] ?? "";
    if (file === "" || label === "")
      throw new DataError(path, `${path}, line ${info.lines}: expected a path and a label, as cat1.jpg,cat`);
    return { file, label, line: info.lines };
  });
}

/** Numbers by their value, other names by their letters. */
function naturally(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}

function unreadable(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new DataError(path, `${path} cannot be read: ${String(cause)}`, { cause });
  };
}
