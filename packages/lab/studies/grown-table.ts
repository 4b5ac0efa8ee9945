/** Tables that grow row by row: csv files whose rows are replaced by their keys. */
import { readFile, writeFile } from "node:fs/promises";

/** A csv file by the first `keys` cells of its lines; empty when there is none. No cell has a comma in it. */
export async function readTable(file: string, keys: number): Promise<Map<string, string[]>> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));
  return new Map(lines.map((cells) => [cells.slice(0, keys).join(), cells]));
}

/** Writes such a file, lines in the order of `rank`, then of their keys. */
export async function writeTable(
  file: string,
  columns: readonly string[],
  table: ReadonlyMap<string, readonly string[]>,
  rank: (cells: readonly string[]) => number,
): Promise<void> {
  const sorted = [...table].toSorted((a, b) => rank(a[1]) - rank(b[1]) || (a[0] < b[0] ? -1 : 1));
  await writeFile(
    file,
    `${[columns, ...sorted.map(([, cells]) => cells)].map((cells) => cells.join()).join("\n")}\n`,
  );
}
