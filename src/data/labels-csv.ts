/**
 * A folder of pictures with a labels.csv beside them: a line `file,class_index` for each picture, in the order of the
 * dataset, a heading allowed. Pictures stand in `images/` if there is such a folder, else next to the file.
 * Names of the classes come from `classes.json` (a list) if it is there, else they are the numbers.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { fileDataset, list, picturesBelow } from "./folder.ts";

export const LABELS_FILE = "labels.csv";

export interface LabelsCsvSource {
  readonly kind: "labels-csv";
  readonly path: string;
  /** Names by index, where they are given already: labels must be below their number. */
  readonly classes?: readonly string[];
}

/** Throws DataError, with the line, for a label that is no number or out of range and for a file that is not there. */
export async function openLabelsCsv(source: LabelsCsvSource): Promise<Dataset> {
  const file = join(source.path, LABELS_FILE);
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new DataError(file, `${file} cannot be read: ${String(cause)}`, { cause });
  });
  const rows = parseLabels(text, file);
  if (rows.length === 0) throw new DataError(file, `${file} lists no pictures: expected lines as cat1.jpg,0`);

  const classes = source.classes ?? (await readClassNames(source.path)) ?? numbered(rows);
  const outside = rows.find(({ label }) => label >= classes.length);
  if (outside)
    throw new DataError(
      file,
      `${file}, line ${outside.line}: class ${outside.label}, but there are ${classes.length} classes (0…${classes.length - 1})`,
    );

  const root = await pictureRoot(source.path);
  const paths = rows.map((row) => join(root, row.file));
  const missing = await missingFiles(paths);
  if (missing.length > 0)
    throw new DataError(
      file,
      `${file} lists files that are not in ${root}: ${list(missing.map((path) => basename(path)))}`,
    );
  return fileDataset({
    name: basename(resolve(source.path)),
    root,
    files: paths,
    labels: rows.map(({ label }) => label),
    classes,
    source,
  });
}

/** How many pictures the folder of a dataset has beyond those that are listed, in words; undefined when none. */
export async function unlistedNote(
  { path }: LabelsCsvSource,
  { length, describe }: Pick<Dataset, "length" | "describe">,
): Promise<string | undefined> {
  const root = await pictureRoot(path);
  const listed = new Set(Array.from({ length }, (_, index) => join(root, describe(index))));
  const found = await picturesBelow(root).catch(() => []); // what cannot be looked into is not counted
  const others = found.filter((file) => !listed.has(file)).length;
  if (others === 0) return undefined;
  return `${join(path, LABELS_FILE)} lists ${listed.size} pictures; ${others} more in ${root} are not listed and left out`;
}

async function pictureRoot(path: string): Promise<string> {
  const images = join(path, "images");
  return (await isFolder(images)) ? images : path;
}

interface Row {
  readonly file: string;
  readonly label: number;
  readonly line: number;
}

function parseLabels(text: string, file: string): Row[] {
  const rows: Row[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    if (raw.trim() === "") continue;
    const comma = raw.lastIndexOf(","); // names may hold commas, labels may not
    const name = raw
      .slice(0, Math.max(comma, 0))
      .trim()
      .replace(/^"(.*)"$/, "$1");
    const label = raw.slice(comma + 1).trim();
    if (!/^\d+$/.test(label) || name === "") {
      if (index === 0) continue; // the heading
      throw new DataError(file, `${file}, line ${index + 1}: "${raw}", expected file,class_index`);
    }
    rows.push({ file: name, label: Number(label), line: index + 1 });
  }
  return rows;
}

function numbered(rows: readonly Row[]): string[] {
  const count = rows.reduce((most, { label }) => Math.max(most, label + 1), 0);
  return Array.from({ length: count }, (_, index) => String(index));
}

/** What classes.json says, where it is there. Throws DataError for one that is no list of names. */
export async function readClassNames(path: string): Promise<string[] | undefined> {
  const file = join(path, "classes.json");
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const names: unknown = JSON.parse(text);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  } catch {
    // said below
  }
  throw new DataError(file, `${file} is not a list of names: expected ["cat", "dog"]`);
}

async function missingFiles(paths: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  const BLOCK = 256; // open requests at a time
  for (let start = 0; start < paths.length; start += BLOCK) {
    const block = paths.slice(start, start + BLOCK);
    const there = await Promise.all(
      block.map(async (path) =>
        stat(path).then(
          () => true,
          () => false,
        ),
      ),
    );
    missing.push(...block.filter((_, index) => there[index] === false));
  }
  return missing;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}
