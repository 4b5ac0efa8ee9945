/**
 * What the columns of a list of images are, by their headings: path, label and part. The one place that knows the usual
 * names. Headings are compared in lower case, with underscores for spaces, dots and hyphens. Pure.
 */
import { DataError } from "../../errors.ts";
import { type Part, partOf } from "../split-names.ts";

/** In the order in which they are preferred. */
export const PATH_COLUMNS = `
  file_name filename file path filepath file_path image_path img_path image img image_name
  img_name imagename image_file image_filename filenames files filepaths file_paths paths image_paths
  picture photo image_id img_id imageid id_code id
`
  .trim()
  .split(/\s+/);
export const LABEL_COLUMNS = `
  label_name class_name classname category_name label labels class category target diagnosis dx
  breed species fine_label y class_index class_idx class_id label_index label_id category_id
`
  .trim()
  .split(/\s+/);
/** Columns of a Parquet file that hold the bytes of images. */
export const BYTES_COLUMNS = ["image", "img", "picture", "pixels"];
/** Classes that a list of numbers may have: more than any dataset of images has. */
export const MAX_CLASSES = 100_000;
const PART_COLUMNS = ["split", "partition", "subset", "set", "phase", "part"];
const FOLD_COLUMN = /^(?:(?:k|cv)_?)?folds?(?:_?(?:id|idx|index|no|nr|number))?$/;
/** What short values of such a column mean: as names of folders they may be anything. */
const SHORT: ReadonlyMap<string, Part> = new Map([
  ["tr", "train"],
  ["va", "validation"],
  ["vl", "validation"],
  ["te", "test"],
  ["ts", "test"],
]);

export function plainHeading(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s.-]+/g, "_");
}

/** Which of `names` is the first in order of preference; −1 when none is. */
export function findColumn(names: readonly string[], preferred: readonly string[]): number {
  const plain = names.map(plainHeading);
  for (const name of preferred) if (plain.includes(name)) return plain.indexOf(name);
  return -1;
}

/** Columns that by their headings may say to which part a row belongs, the most telling first. */
export function partColumns(names: readonly string[]): number[] {
  const rank = (name: string): number =>
    PART_COLUMNS.includes(plainHeading(name))
      ? PART_COLUMNS.indexOf(plainHeading(name))
      : flagOf(name) !== undefined
        ? PART_COLUMNS.length
        : PART_COLUMNS.length + 1;
  return names
    .map((_, index) => index)
    .filter((index) => isPartHeading(names[index] ?? ""))
    .toSorted((a, b) => rank(names[a] ?? "") - rank(names[b] ?? ""));
}

function isPartHeading(name: string): boolean {
  const plain = plainHeading(name);
  return PART_COLUMNS.includes(plain) || flagOf(name) !== undefined || FOLD_COLUMN.test(plain);
}

/** Whether the values of a column, whatever its heading, are the names of parts: all of them, and training with another. */
export function namesParts(values: readonly string[]): boolean {
  const parts = new Map<string, Part>();
  for (const value of values) {
    if (parts.has(value)) continue;
    const part = partOf(value);
    if (part === undefined) return false;
    parts.set(value, part);
  }
  const found = new Set(parts.values());
  return found.size > 1 && found.has("train");
}

/** The part that a yes in a column stands for: is_valid, train, is_training_image. */
function flagOf(name: string): Part | undefined {
  return partOf(plainHeading(name).replace(/^(?:is|in|for|use_for)_/, ""));
}

export interface RowParts {
  /** Of every row; undefined: left out. */
  readonly parts: readonly (Part | undefined)[];
  /** Headings that were used. */
  readonly used: readonly string[];
  readonly notes: readonly string[];
}

/**
 * The parts of the rows by columns with the headings of {@link partColumns}, or of which {@link namesParts}; undefined
 * when none of them says parts.
 * @param columns heading and the values of all rows: all columns but those of path and label
 * @throws DataError data/unclear-split for a column such as "split" that has numbers
 */
export function partsByColumns(
  file: string,
  columns: readonly { readonly name: string; readonly values: readonly string[] }[],
): RowParts | undefined {
  const byRank = partColumns(columns.map(({ name }) => name)).map((index) => columns[index]);
  const named = [
    ...byRank.filter((column) => column !== undefined && PART_COLUMNS.includes(plainHeading(column.name))),
    ...columns.filter(({ name, values }) => !PART_COLUMNS.includes(plainHeading(name)) && namesParts(values)),
  ].filter((column) => column !== undefined);
  for (const column of named) {
    const found = byNames(file, column);
    if (found !== undefined) return found;
  }
  const flags = columns.filter(
    ({ name, values }) => flagOf(name) !== undefined && values.every((value) => YES_OR_NO.test(value)),
  );
  if (flags.length > 0) return byFlags(flags);
  const folds = columns.filter(({ name }) => FOLD_COLUMN.test(plainHeading(name)) || /^split$/i.test(name));
  const fold = folds.find(
    ({ values }) => new Set(values).size > 1 && values.every((value) => FOLD.test(value)),
  );
  if (fold !== undefined) return byFolds(fold);
  for (const column of folds) {
    const found = byNames(file, column);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Column {
  readonly name: string;
  readonly values: readonly string[];
}

function byNames(file: string, { name, values }: Column): RowParts | undefined {
  const known = new Map<string, Part | undefined>();
  for (const value of new Set(values)) known.set(value, partOf(value) ?? SHORT.get(value.toLowerCase()));
  if ([...known.values()].every((part) => part === undefined)) {
    // numbers of parts: which is which, nobody says
    if (known.size > 1 && known.size <= 3 && [...known.keys()].every((value) => /^\d+$/.test(value)))
      throw new DataError(
        file,
        `${file}: column ${name} has ${[...known.keys()].toSorted().join(", ")}: which is train, which validation is not clear`,
        {
          code: "data/unclear-split",
          hint: `Write train, val or test into the column ${name}, or give it another name to leave it unread.`,
        },
      );
    return undefined;
  }
  const others = [...known]
    .filter(([, part]) => part === undefined)
    .map(([value]) => (value === "" ? "nothing" : `"${value}"`));
  const left = values.filter((value) => known.get(value) === undefined).length;
  return {
    parts: values.map((value) => known.get(value)),
    used: [name],
    notes:
      left === 0
        ? []
        : [
            `${left} rows of ${file} are left out: column ${name} has ${others.slice(0, 5).join(", ")} there, not train, val or test`,
          ],
  };
}

const YES = /^(?:1|1\.0|true|yes|y|t)$/i;
const YES_OR_NO = /^(?:|[01]|[01]\.0|true|false|yes|no|y|n|t|f)$/i;

function byFlags(columns: readonly Column[]): RowParts {
  const flags = columns.map(({ name, values }) => ({
    part: flagOf(name) ?? "train",
    values,
  }));
  // where only one part is marked, the other rows are for training; where that is the marked one, for validation
  const rest: Part = flags.some(({ part }) => part === "train")
    ? flags.some(({ part }) => part === "validation")
      ? "test"
      : "validation"
    : "train";
  const order: readonly Part[] = ["test", "validation", "train"];
  const count = columns[0]?.values.length ?? 0;
  return {
    parts: Array.from(
      { length: count },
      (_, row) =>
        order.find((part) => flags.some((flag) => flag.part === part && YES.test(flag.values[row] ?? ""))) ??
        rest,
    ),
    used: columns.map(({ name }) => name),
    notes: [],
  };
}

/** 3, fold3, fold_3; below 0: of no fold. */
const FOLD = /^(?:fold[ _-]?)?(-?\d+)$/i;

function byFolds({ name, values }: Column): RowParts {
  const folds = values.map((value) => Number(FOLD.exec(value)?.[1]));
  const held = folds.reduce((least, fold) => (fold >= 0 ? Math.min(least, fold) : least), Infinity);
  const left = folds.filter((fold) => fold < 0).length;
  return {
    parts: folds.map((fold) => (fold < 0 ? undefined : fold === held ? "validation" : "train")),
    used: [name],
    notes: [
      `column ${name} has numbers: fold ${held} is used for validation, the others for training${left > 0 ? `; ${left} rows with a negative fold are left out` : ""}`,
    ],
  };
}
