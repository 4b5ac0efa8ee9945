/** Datasets that are tables: Parquet files, and lists of images with their classes and parts. */
import { basename, join } from "node:path";
import { DataError } from "../../errors.ts";
import type { DatasetSource } from "../dataset.ts";
import { type Entry, visibleEntries } from "../image-files.ts";
import { list } from "../image-names.ts";
import { type Located, PARTS, partsAre, withNotes } from "../located.ts";
import { type Part, partOf, partsOf } from "../split-names.ts";
import { findColumn, LABEL_COLUMNS } from "./columns.ts";
import { imageFinder, imageRoot } from "./find-images.ts";
import { areIndices, type LabelsCsvSource } from "./labels-csv.ts";
import type { CsvSource } from "./listed-images.ts";
import { isListing, LABELS_FILE, type Listing, listingHeadings, readListing } from "./listing.ts";
import { ONE_HOT_FILE } from "./one-hot.ts";
import { type ParquetSource, parquetParts } from "./parquet.ts";

/** The list that stands for a folder. */
export function listingIn(entries: readonly Entry[]): string | undefined {
  const files = entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name);
  for (const usual of ["metadata.csv", "metadata.jsonl", LABELS_FILE, ONE_HOT_FILE]) {
    const found = files.find((name) => name.toLowerCase() === usual);
    if (found !== undefined) return found;
  }
  return undefined;
}

export async function fromListing(path: string, folders: number): Promise<Located | { notListed: string }> {
  if (folders === 0) return partsOfListing(path);
  if (!(await hasLabels(path))) return { notListed: `${path} has no column of classes and is not used` };
  const note = `${path} says the classes; the folders beside it do not`;
  return withNotes(await partsOfListing(path), folders > 1 ? [note] : []);
}

export async function hasLabels(path: string): Promise<boolean> {
  const isNamed = [LABELS_FILE, ONE_HOT_FILE].includes(basename(path).toLowerCase());
  return isNamed || findColumn(await listingHeadings(path), LABEL_COLUMNS) >= 0;
}

async function read(path: string): Promise<Listing> {
  const folder = join(path, "..");
  const finder = imageFinder(basename(path) === LABELS_FILE ? await imageRoot(folder) : folder);
  return readListing(path, async (file) => (await finder.find(file)) !== undefined);
}

/** Sources of which a part may be taken. */
type RowsSource = CsvSource | LabelsCsvSource | ParquetSource;

/** A list as the source of one part. */
export async function sourceOfListing(path: string): Promise<DatasetSource> {
  return listingSource(path, await read(path));
}

function listingSource(path: string, listing: Listing): RowsSource {
  if (basename(path) === LABELS_FILE && areIndices(listing.rows))
    return { kind: "labels-csv", path: join(path, "..") };
  return { kind: "csv", path };
}

export async function partsOfListing(path: string): Promise<Located> {
  const listing = await read(path);
  const source = listingSource(path, listing);
  return listing.parts === undefined ? { all: source } : byPart(source, path, listing.parts);
}

export async function partsOfParquet(source: ParquetSource): Promise<Located> {
  const [first = ""] = source.files;
  const parts = await parquetParts(source);
  return parts === undefined ? { all: source } : byPart(source, first, parts);
}

function byPart(source: RowsSource, path: string, parts: readonly (Part | undefined)[]): Located {
  const sources: Partial<Record<Part, DatasetSource>> = {};
  for (const part of new Set(parts)) if (part !== undefined) sources[part] = { ...source, part };
  const count = (part: Part): number => parts.filter((other) => other === part).length;
  const counts = PARTS.filter((part) => count(part) > 0).map((part) => `${part} ${count(part)}`);
  const ofTest = sources.validation ? " (left out: training never sees it)" : " (used for validation)";
  const { notes: _, ...located } = partsAre(sources, { where: path, name: (part) => part });
  return withNotes(located, [
    `${basename(path)} names parts: ${counts.join(", ")}${sources.train && sources.test ? ofTest : ""}`,
  ]);
}

/** Parquet files by the part that their names begin with, or train.csv with its validation file. */
export async function locateTables(path: string, entries: readonly Entry[]): Promise<Located | undefined> {
  const files = entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name);
  const parquet = files.filter((name) => /\.parquet$/i.test(name));
  if (parquet.length === 0) {
    const nested = entries.some(({ name, isFolder }) => name === "data" && isFolder);
    const inside = nested ? await visibleEntries(join(path, "data")) : [];
    if (inside.some(({ name }) => /\.parquet$/i.test(name))) return locateTables(join(path, "data"), inside);
    return locateLists(path, files);
  }
  checkShards(path, parquet);
  const at = (names: readonly string[]): ParquetSource => ({
    kind: "parquet",
    files: names.map((name) => join(path, name)),
  });
  // train-00000-of-00002.parquet, 0000.parquet, birds_test.parquet
  const stemOf = (name: string): string =>
    name.replace(/(?:[-_.]\d+(?:-of-\d+)?)?(?:[-.][0-9a-f]{16})?\.parquet$/i, "");
  const named = partsOf([...new Set(parquet.map(stemOf))]);
  const stem = (name: string): Part | undefined =>
    named.get(stemOf(name)) ?? partOf(name.split(/[-.]/, 1)[0] ?? "");
  if (parquet.every((name) => stem(name) === undefined)) return partsOfParquet(at(parquet));
  const sources: Partial<Record<Part, DatasetSource>> = {};
  for (const part of PARTS) {
    const names = parquet.filter((name) => stem(name) === part);
    if (names.length > 0) sources[part] = at(names);
  }
  const left = parquet.filter((name) => stem(name) === undefined);
  return partsAre(sources, {
    where: path,
    name: (part) => `${part}-*.parquet`,
    notes: left.length === 0 ? [] : [`${path}: ${list(left)} left out`],
  });
}

/** Files that count themselves are all there. @throws DataError naming one that is not */
function checkShards(path: string, names: readonly string[]): void {
  const counted = new Map<string, [start: string, count: string]>();
  for (const name of names) {
    const [shard, start = "", count = ""] = /^(.*?)\d{5}-of-(\d{5})/.exec(name) ?? [];
    if (shard !== undefined) counted.set(shard, [start, count]);
  }
  for (const [there, [start, count]] of counted) {
    for (let i = 0; i < Number(count); i++) {
      const shard = `${start}${String(i).padStart(5, "0")}-of-${count}`;
      if (counted.has(shard)) continue;
      throw new DataError(path, `${path} has ${there}, but no ${shard}`, {
        code: "data/missing-file",
        hint: "A download or a pack was cut off: do it again, or get that file.",
      });
    }
  }
}

/** train.csv with val.csv or test.csv, as they may be called; a test file without classes is left out. */
async function locateLists(path: string, files: readonly string[]): Promise<Located | undefined> {
  const lists = files.filter((name) => isListing(name));
  const stem = (name: string): string => name.replace(/\.[a-z]+$/i, "");
  const parts = partsOf(lists.map(stem));
  const named = lists.map((name) => ({ name, part: parts.get(stem(name)) }));
  const train = named.find(({ part }) => part === "train");
  if (train === undefined) return undefined;
  const notes: string[] = [];
  const sources: Partial<Record<Part, DatasetSource>> = {};
  const names = new Map<Part, string>();
  for (const part of PARTS) {
    const [found, ...others] = named.filter((file) => file.part === part);
    if (found === undefined) continue;
    if (others.length > 0)
      notes.push(`${path}: ${list(others.map(({ name }) => name))} left out, beside ${found.name}`);
    const file = join(path, found.name);
    const headings = part === "train" ? [] : await listingHeadings(file);
    if (
      headings.length > 0 &&
      headings.every((name) => findColumn([name], LABEL_COLUMNS) < 0) &&
      part === "test"
    ) {
      const trains = await listingHeadings(join(path, train.name));
      if (headings.length < trains.length) {
        notes.push(`${file} has no column of classes, and is left out`);
        continue;
      }
    }
    sources[part] = { kind: "csv", path: file };
    names.set(part, found.name);
  }
  if (Object.keys(sources).length === 1)
    return withNotes(await partsOfListing(join(path, train.name)), notes);
  return partsAre(sources, { where: path, name: (part) => join(path, names.get(part) ?? part), notes });
}
