/**
 * The images of a list: a CSV file, metadata.csv or metadata.jsonl. Paths are relative to the file's folder, or images
 * are found by their names below it; labels are names, or numbers that are taken for names. Rows may belong to parts.
 */
import { basename, dirname, resolve } from "node:path";
import { DataError } from "../../errors.ts";
import type { Dataset } from "../dataset.ts";
import { fileDataset } from "../file-dataset.ts";
import { findListed, imageFinder, unlisted } from "./find-images.ts";
import { list } from "../image-names.ts";
import { type ListedImage, type Listing, readListing } from "./listing.ts";
import type { Part } from "../split-names.ts";

export interface CsvSource {
  readonly kind: "csv";
  /** The list; also .tsv and .jsonl. */
  readonly path: string;
  /** Rows of this part only. */
  readonly part?: Part;
  /** Names by index, where they are given already. */
  readonly classes?: readonly string[];
  /** The label of each class, where it is not the class's name. */
  readonly keys?: readonly string[];
}

/** Throws DataError, with the line, for rows without path or label, unknown classes and files that are not there. */
export async function openCsv(source: CsvSource): Promise<Dataset> {
  const { path } = source;
  const finder = imageFinder(dirname(resolve(path)));
  const listing = await readListing(path, async (file) => (await finder.find(file)) !== undefined);
  const rows = rowsOf(listing, source.part);
  if (rows.length === 0) throw noRows(path, source.part);
  const classes = source.classes ?? [...new Set(rows.map(({ label }) => label))].toSorted(naturally);
  if (source.classes === undefined && classes.length === 1)
    throw new DataError(path, `${path} has one class only (${classes[0]}): expected at least two`, {
      code: "data/one-class",
    });
  const keys = source.keys ?? classes;
  const indices = new Map(keys.map((key, index) => [key, index]));
  const labels = rows.map(({ label, line }) => {
    const index = indices.get(label);
    if (index !== undefined) return index;
    throw new DataError(path, `${path}, line ${line}: class "${label}" is none of ${list(keys)}`, {
      code: "data/unknown-class",
    });
  });
  const { files, elsewhere } = await findListed(rows, finder, path);
  return fileDataset({
    name: basename(path).replace(/\.[a-z]+$/i, ""),
    root: finder.root,
    files,
    labels,
    classes,
    source,
    notes: [
      ...listing.notes,
      ...elsewhereNotes(path, elsewhere, finder.root),
      ...repeatedNotes(path, files, labels),
    ],
    ...(isOfFolder(path) &&
      rows.length === listing.rows.length && { leftOut: async () => unlisted(path, finder.root, files) }),
  });
}

/** The rows of a part, or all of them. */
export function rowsOf({ rows, parts }: Listing, part: Part | undefined): readonly ListedImage[] {
  return part === undefined ? rows : rows.filter((_, row) => parts?.[row] === part);
}

export function noRows(path: string, part: Part | undefined): DataError {
  return new DataError(
    path,
    `${path} lists no images${part === undefined ? "" : ` for ${part}`}: expected lines as cat1.jpg,cat`,
    { code: "data/no-images" },
  );
}

export function elsewhereNotes(path: string, elsewhere: number, root: string): string[] {
  return elsewhere === 0
    ? []
    : [`${basename(path)}: ${elsewhere} images are found by their names below ${root}`];
}

/** Images that are listed more than once. */
function repeatedNotes(path: string, files: readonly string[], labels: readonly number[]): string[] {
  const first = new Map<string, number>();
  const again = new Set<string>();
  const inOthers = new Set<string>();
  for (const [row, file] of files.entries()) {
    const label = first.get(file);
    if (label === undefined) first.set(file, labels[row] ?? -1);
    else (label === labels[row] ? again : inOthers).add(basename(file));
  }
  const note = (names: ReadonlySet<string>, how: string): string[] =>
    names.size === 0 ? [] : [`${basename(path)} lists ${names.size} images ${how} (${list([...names])})`];
  return [...note(again, "more than once"), ...note(inOthers, "in several classes")];
}

/** Whether a list stands for the folder that it lies in. */
function isOfFolder(path: string): boolean {
  return /^(?:metadata|labels|_classes)\./i.test(basename(path));
}

/** Numbers by their value, other names by their letters. */
function naturally(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}
