/**
 * A folder of images with a labels.csv beside them: a line `file,class_index` for each image, in the order of the
 * dataset, a heading allowed. Images stand in `images/` if there is such a folder, else next to the file.
 * Names of the classes come from `classes.json` (a list) if it is there, else they are the numbers.
 */
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DataError } from "../../errors.ts";
import { MAX_CLASSES } from "./columns.ts";
import { elsewhereNotes, noRows, rowsOf } from "./listed-images.ts";
import type { Dataset } from "../dataset.ts";
import { fileDataset } from "../file-dataset.ts";
import { findListed, imageFinder, imageRoot, unlisted } from "./find-images.ts";
import { LABELS_FILE, type ListedImage, readListing } from "./listing.ts";
import type { Part } from "../split-names.ts";

export interface LabelsCsvSource {
  readonly kind: "labels-csv";
  /** The folder. */
  readonly path: string;
  /** Rows of this part only. */
  readonly part?: Part;
  /** Names by index, where they are given already: labels must be below their number. */
  readonly classes?: readonly string[];
}

/** Throws DataError, with the line, for a label that is not a number or out of range and for a file that is not there. */
export async function openLabelsCsv(source: LabelsCsvSource): Promise<Dataset> {
  const path = join(source.path, LABELS_FILE);
  const finder = imageFinder(await imageRoot(source.path));
  const listing = await readListing(path, async (file) => (await finder.find(file)) !== undefined);
  const rows = rowsOf(listing, source.part);
  if (rows.length === 0) throw noRows(path, source.part);
  const labels = rows.map((row) => labelOf(row, path));
  const classes = source.classes ?? (await readClassNames(source.path)) ?? numbered(labels);
  const outside = labels.findIndex((label) => label >= classes.length);
  if (outside >= 0)
    throw new DataError(
      path,
      `${path}, line ${rows[outside]?.line}: class ${labels[outside]}, but there are ${classes.length} classes (0…${classes.length - 1})`,
      { code: "data/unknown-class" },
    );
  const { files, elsewhere } = await findListed(rows, finder, path);
  return fileDataset({
    name: basename(resolve(source.path)),
    root: finder.root,
    files,
    labels,
    classes,
    source,
    notes: [...listing.notes, ...elsewhereNotes(path, elsewhere, finder.root)],
    ...(rows.length === listing.rows.length && { leftOut: async () => unlisted(path, finder.root, files) }),
  });
}

/** Whether most of the labels are numbers, and so indices of classes. */
export function areIndices(rows: readonly ListedImage[]): boolean {
  return 2 * rows.filter(({ label }) => /^\d+$/.test(label)).length >= rows.length;
}

function labelOf({ label, line }: ListedImage, path: string): number {
  const index = /^\d+$/.test(label) ? Number(label) : Number.NaN;
  if (index < MAX_CLASSES) return index;
  throw new DataError(
    path,
    Number.isNaN(index)
      ? `${path}, line ${line}: class "${label}", expected a number: file,class_index`
      : `${path}, line ${line}: class ${label}, expected less than ${MAX_CLASSES}`,
    { code: "data/bad-row", hint: "Classes are counted from 0." },
  );
}

function numbered(labels: readonly number[]): string[] {
  const count = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  return Array.from({ length: count }, (_, index) => String(index));
}

/** What classes.json says, where it is there. Throws DataError for one that is not a list of names. */
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
  throw new DataError(file, `${file} is not a list of names: expected ["cat", "dog"]`, {
    code: "data/damaged",
  });
}
