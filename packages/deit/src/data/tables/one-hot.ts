/**
 * Lists with a column for each class, 1 in that of the image's class and 0 in the others: `_classes.csv` of Roboflow's
 * multi-class export, the ground truth of ISIC. Pure.
 */
import { basename } from "node:path";
import { DataError } from "../../errors.ts";
import { list } from "../image-names.ts";
import { findColumn, LABEL_COLUMNS, partColumns, PATH_COLUMNS } from "./columns.ts";

/** The list in every folder of Roboflow's export. */
export const ONE_HOT_FILE = "_classes.csv";

interface Column {
  readonly name: string;
  readonly values: readonly string[];
}

const YES = /^1(?:\.0*)?$/;
const YES_OR_NO = /^[01](?:\.0*)?$/;

/**
 * Indices of the columns that are classes; undefined when the list is of another kind. In a file of another name than
 * {@link ONE_HOT_FILE} there are at least two of them, no column of labels, and a column of paths.
 */
export function oneHotColumns(file: string, columns: readonly Column[]): readonly number[] | undefined {
  const names = columns.map(({ name }) => name);
  const path = findColumn(names, PATH_COLUMNS);
  if (path < 0) return undefined;
  const isNamed = basename(file).toLowerCase() === ONE_HOT_FILE;
  if (!isNamed && findColumn(names, LABEL_COLUMNS) >= 0) return undefined;
  const parts = isNamed ? [] : partColumns(names);
  const classes = names.map((_, i) => i).filter((i) => i !== path && !parts.includes(i) && names[i] !== "");
  const areMarks = classes.every((i) => columns[i]?.values.every((value) => YES_OR_NO.test(value)));
  return classes.length >= (isNamed ? 1 : 2) && areMarks ? classes : undefined;
}

export interface Marked {
  /** Of every row; undefined: no class is marked. */
  readonly labels: readonly (string | undefined)[];
  readonly notes: readonly string[];
}

/**
 * @param lines of the rows, for errors
 * @throws DataError data/bad-row when a row marks several classes
 */
export function markedClasses(
  file: string,
  columns: readonly Column[],
  { classes, lines }: { classes: readonly number[]; lines: readonly number[] },
): Marked {
  const marked = lines.map((_, row) =>
    classes.flatMap((i) => (YES.test(columns[i]?.values[row] ?? "") ? [columns[i]?.name ?? ""] : [])),
  );
  const several = marked.filter((names) => names.length > 1).length;
  if (several > 0) {
    const row = marked.findIndex((names) => names.length > 1);
    throw new DataError(
      file,
      `${file}, line ${lines[row]}: ${list(marked[row] ?? [])} are marked; ${several} of ${lines.length} rows mark several classes, expected one class for each image`,
      {
        code: "data/bad-row",
        hint: "Images of several classes (multi-label) are not supported. Keep one 1 in each row, or remove these rows.",
      },
    );
  }
  const none = marked.filter((names) => names.length === 0).length;
  return {
    labels: marked.map(([name]) => name),
    notes:
      none === 0
        ? []
        : [
            `${basename(file)}: ${none} of ${lines.length} rows mark no class, and ${none === 1 ? "is" : "are"} left out`,
          ],
  };
}
