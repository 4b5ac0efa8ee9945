/** What kind of dataset a folder is, and which parts of it are for training and which for validation. */
import { basename, join } from "node:path";
import { DataError } from "../errors.ts";
import { findCifar } from "./cifar.ts";
import { findColumn, LABEL_COLUMNS } from "./tables/columns.ts";
import type { CsvSource } from "./tables/listed-images.ts";
import type { DatasetSource } from "./dataset.ts";
import { imageFinder, imageRoot } from "./tables/find-images.ts";
import { type Entry, visibleEntries } from "./image-files.ts";
import { isImageName, list } from "./image-names.ts";
import { areIndices, type LabelsCsvSource } from "./tables/labels-csv.ts";
import { isListing, LABELS_FILE, type Listing, listingHeadings, readListing } from "./tables/listing.ts";
import { type ParquetSource, parquetParts } from "./tables/parquet.ts";
import { type Part, partOf, partsOf } from "./split-names.ts";

export interface Located {
  /** Images that belong to no part: no split was made. */
  readonly all?: DatasetSource;
  readonly train?: DatasetSource;
  /** What is for validation; else what is for testing. */
  readonly validation?: DatasetSource;
  /** Only where there are validation images, too: never used in training. */
  readonly test?: DatasetSource;
  /** What was assumed, and what is left out. */
  readonly notes?: readonly string[];
}

export interface LocateOptions {
  /** Folders that may be classes or parts are classes (--data-set folder). Otherwise they are refused. */
  readonly asClasses?: boolean;
}

const PARTS = ["train", "validation", "test"] as const;

/** Folders inside one another that hold nothing else, as an archive makes them. */
const MAX_NESTING = 4;

/**
 * Recognises a .parquet, .csv or .jsonl file; CIFAR's files; Parquet files as the Hub has them
 * (train-00000-of-00002.parquet, also in data/); train.csv and val.csv; folders of parts by their usual names
 * (split-names.ts), beside one another or inside every class; metadata.csv, metadata.jsonl and labels.csv; and else takes
 * the folder for a folder of classes.
 * @throws DataError when there is no such folder, and data/unclear-split where parts and classes cannot be determined apart
 */
export async function locateDataset(path: string, options: LocateOptions = {}): Promise<Located> {
  if (/\.parquet$/i.test(path)) return partsOfParquet({ kind: "parquet", files: [path] });
  if (isListing(path)) return partsOfListing(path);
  return locateFolder(path, options, 0);
}

async function locateFolder(path: string, options: LocateOptions, depth: number): Promise<Located> {
  const entries = await visibleEntries(path);
  const cifar = await findCifar(path);
  if (cifar) {
    const { name } = cifar;
    return {
      train: { kind: "cifar", name, path, split: "train" },
      validation: { kind: "cifar", name, path, split: "test" },
    };
  }
  const tables = await locateTables(path, entries);
  if (tables) return tables;
  const folders = entries.filter(({ isFolder }) => isFolder).map(({ name }) => name);
  const listing = listingIn(entries);
  const parted = await partFolders(path, folders, { ...options, hasListing: listing !== undefined });
  if (parted) return parted;
  const listed = listing === undefined ? undefined : await fromListing(join(path, listing), folders.length);
  if (listed && !("notListed" in listed)) return listed;
  const notes = listed ? [listed.notListed] : [];
  const [only] = folders;
  if (only !== undefined && folders.length === 1 && depth < MAX_NESTING && !entries.some(isImage)) {
    const inner = join(path, only);
    if (await isDataset(inner)) {
      const located = await locateFolder(inner, options, depth + 1);
      return withNotes(located, [
        ...notes,
        `${path} holds the folder ${only} alone: ${inner} is taken for the dataset`,
      ]);
    }
  }
  return withNotes(
    options.asClasses === true ? { all: { kind: "folder", path } } : await classesIn(path, folders),
    notes,
  );
}

function isImage({ name, isFolder }: Entry): boolean {
  return !isFolder && isImageName(name);
}

/** Whether a folder holds more than images: classes, parts or a list. */
async function isDataset(path: string, fewestFolders = 1): Promise<boolean> {
  const entries = await visibleEntries(path);
  const folders = entries.filter(({ isFolder }) => isFolder);
  return folders.length >= fewestFolders
    ? !entries.some(isImage)
    : entries.some(({ name }) => isListing(name) || /\.parquet$/i.test(name));
}

function withNotes(located: Located, notes: readonly string[]): Located {
  const all = [...(located.notes ?? []), ...notes];
  return all.length === 0 ? located : { ...located, notes: all };
}

/** Sources by part; a test part serves for validation where there is no other. */
function partsAre(
  sources: Partial<Record<Part, DatasetSource>>,
  { where, name, notes = [] }: { where: string; name: (part: Part) => string; notes?: readonly string[] },
): Located {
  const { train, validation, test } = sources;
  const said = [...notes];
  if (train !== undefined && validation === undefined && test !== undefined)
    said.push(`${where} has no validation images: ${name("test")} is used for validation`);
  if (train !== undefined && validation !== undefined && test !== undefined)
    said.push(`${name("test")} is left out: training never sees it`);
  const measured = validation ?? test;
  return withNotes(
    {
      ...(train && { train }),
      ...(measured && { validation: measured }),
      ...(validation && test && { test }),
    },
    said,
  );
}

/** Folders of parts beside one another: all folders are, or some are and what stands beside them is left out. */
async function partFolders(
  path: string,
  folders: readonly string[],
  { asClasses = false, hasListing }: LocateOptions & { hasListing: boolean },
): Promise<Located | undefined> {
  const partsByName = partsOf(folders);
  const named = folders.map((name) => ({ name, part: partsByName.get(name) }));
  const of = (part: Part): string[] => named.filter((folder) => folder.part === part).map(({ name }) => name);
  const others = named.filter(({ part }) => part === undefined).map(({ name }) => name);
  const held = [...of("validation"), ...of("test")];
  const [train] = of("train");
  if (others.length === folders.length) return undefined;
  if (train === undefined && others.length > 0) {
    if (asClasses || hasListing) return undefined;
    throw unclear(path, `${list(held)} ${held.length === 1 ? "stands" : "stand"} beside ${list(others)}`, [
      `Put the training images into ${join(path, "train")}/CLASS.`,
      `If ${list(held)} is a class: --data-set folder.`,
    ]);
  }
  // "train" may be a class: CIFAR-100 has one
  const isPlain = train !== undefined && !(await isDataset(join(path, train), hasListing ? 2 : 1));
  if (isPlain && ((others.length > 0 && held.length === 0) || hasListing)) return undefined;
  if (isPlain && asClasses && folders.length > 1) return undefined;
  if (of("train").length > 1)
    throw unclear(path, `${list(of("train"))} all seem to be for training`, [
      "Put their images into one folder.",
    ]);
  const chosen = PARTS.flatMap((part) => {
    const [name] = of(part);
    return name === undefined ? [] : [{ part, name }];
  });
  const sources: Partial<Record<Part, DatasetSource>> = {};
  const notes: string[] = [];
  for (const { part, name } of chosen) {
    const source = await sourceIn(join(path, name));
    if (part === "test" && sources.train !== undefined && (await hasNoClasses(source, sources.train)))
      notes.push(`${join(path, name)} has images without classes, and is left out`);
    else sources[part] = source;
  }
  const left = folders.filter((name) => !chosen.some((one) => one.name === name));
  return partsAre(sources, {
    where: path,
    name: (part) => join(path, chosen.find((one) => one.part === part)?.name ?? part),
    notes: [
      ...notes,
      ...(left.length === 0
        ? []
        : [`${path}: ${list(left)} beside ${list(chosen.map(({ name }) => name))} left out`]),
    ],
  });
}

/** Images to be named for a contest: in a folder alone, where those of the training have folders of classes. */
async function hasNoClasses(source: DatasetSource, train: DatasetSource): Promise<boolean> {
  if (source.kind !== "folder" || train.kind !== "folder") return false;
  const classes = new Set(
    (await visibleEntries(train.path)).filter(({ isFolder }) => isFolder).map(({ name }) => name),
  );
  const isFlat = async (path: string): Promise<boolean> => {
    const entries = await visibleEntries(path);
    const [only, ...others] = entries.filter(({ isFolder }) => isFolder);
    if (only === undefined) return entries.some(isImage);
    return (
      others.length === 0 &&
      !classes.has(only.name) &&
      !entries.some(isImage) &&
      isFlat(join(path, only.name))
    );
  };
  return classes.size > 0 && isFlat(source.path);
}

function unclear(path: string, what: string, hints: readonly string[]): DataError {
  return new DataError(
    path,
    `${path}: which folders are classes and which are parts of the dataset is not clear: ${what}`,
    {
      code: "data/unclear-split",
      hint: hints.join(" "),
    },
  );
}

/** The dataset of one part. */
async function sourceIn(path: string): Promise<DatasetSource> {
  const entries = await visibleEntries(path);
  const parquet = entries.filter(({ name, isFolder }) => !isFolder && /\.parquet$/i.test(name));
  if (parquet.length > 0) return { kind: "parquet", files: parquet.map(({ name }) => join(path, name)) };
  const listing = listingIn(entries);
  if (listing !== undefined) {
    const file = join(path, listing);
    if (await hasLabels(file)) return listingSource(file, await read(file));
  }
  const folders = entries.filter(({ isFolder }) => isFolder);
  const [only] = folders;
  if (only && folders.length === 1 && !entries.some(isImage) && (await isDataset(join(path, only.name))))
    return sourceIn(join(path, only.name));
  return { kind: "folder", path };
}

/** The list that stands for a folder. */
function listingIn(entries: readonly Entry[]): string | undefined {
  const files = entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name);
  for (const usual of ["metadata.csv", "metadata.jsonl", LABELS_FILE]) {
    const found = files.find((name) => name.toLowerCase() === usual);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function fromListing(path: string, folders: number): Promise<Located | { notListed: string }> {
  if (folders === 0) return partsOfListing(path);
  if (!(await hasLabels(path))) return { notListed: `${path} has no column of classes and is not used` };
  const note = `${path} says the classes; the folders beside it do not`;
  return withNotes(await partsOfListing(path), folders > 1 ? [note] : []);
}

async function hasLabels(path: string): Promise<boolean> {
  return basename(path) === LABELS_FILE || findColumn(await listingHeadings(path), LABEL_COLUMNS) >= 0;
}

async function read(path: string): Promise<Listing> {
  const folder = join(path, "..");
  const finder = imageFinder(basename(path) === LABELS_FILE ? await imageRoot(folder) : folder);
  return readListing(path, async (file) => (await finder.find(file)) !== undefined);
}

/** Sources of which a part may be taken. */
type RowsSource = CsvSource | LabelsCsvSource | ParquetSource;

function listingSource(path: string, listing: Listing): RowsSource {
  if (basename(path) === LABELS_FILE && areIndices(listing.rows))
    return { kind: "labels-csv", path: join(path, "..") };
  return { kind: "csv", path };
}

async function partsOfListing(path: string): Promise<Located> {
  const listing = await read(path);
  const source = listingSource(path, listing);
  return listing.parts === undefined ? { all: source } : byPart(source, path, listing.parts);
}

async function partsOfParquet(source: ParquetSource): Promise<Located> {
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
async function locateTables(path: string, entries: readonly Entry[]): Promise<Located | undefined> {
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

/** Classes that are looked into: those of a large dataset are alike. */
const LOOKED_INTO = 16;

/** A folder of classes; or of classes with folders of parts inside. */
async function classesIn(path: string, folders: readonly string[]): Promise<Located> {
  const all: DatasetSource = { kind: "folder", path };
  const inside: { name: string; folders: string[]; hasImages: boolean }[] = [];
  for (const name of folders.slice(0, LOOKED_INTO)) {
    const entries = await entriesWithin(join(path, name));
    const names = entries.filter(({ isFolder }) => isFolder).map((entry) => entry.name);
    inside.push({ name, folders: names, hasImages: entries.some(isImage) });
  }
  const isParted = ({ folders: names }: { folders: string[] }): boolean =>
    names.length > 0 && names.every((name) => partOf(name) !== undefined);
  const filled = inside.filter(({ folders: names, hasImages }) => names.length > 0 || hasImages);
  const parted = filled.filter(isParted);
  const partsInside = new Set(parted.flatMap(({ folders: names }) => names.map(partOf)));
  if (
    parted.length >= 2 &&
    (partsInside.size > 1 || partsInside.has("test") || partsInside.has("validation"))
  ) {
    const odd = filled.filter((one) => !isParted(one) || one.hasImages).map(({ name }) => name);
    if (odd.length > 0)
      throw unclear(
        path,
        `${list(parted.map(({ name }) => name))} hold folders such as ${parted[0]?.folders.join(" and ")}, ${list(odd)} other things, too`,
        ["Have the same folders in every class, or train/ and val/ with the classes inside."],
      );
    const sources: Partial<Record<Part, DatasetSource>> = {};
    for (const part of partsInside) if (part !== undefined) sources[part] = { ...all, part };
    const names = list([...new Set(parted.flatMap((one) => one.folders))]);
    return partsAre(sources, {
      where: path,
      name: (part) => `the folder of every class for ${part === "test" ? "testing" : part}`,
      notes: [`${path}: every class has folders for parts (${names}), which are taken for these`],
    });
  }
  const alike = sharedFolders(inside);
  if (alike !== undefined) {
    const [a, b, shared] = alike;
    throw unclear(path, `${a} and ${b} hold the same folders (${list(shared)})`, [
      `If ${list(shared)} are the classes: name the parts train and val, or put each class into one folder.`,
      `If ${a} and ${b} are the classes: --data-set folder.`,
    ]);
  }
  return { all };
}

/** What a folder holds; where that is one folder alone, as archives have it, what that one holds. */
async function entriesWithin(path: string, depth = 0): Promise<Entry[]> {
  const entries = await visibleEntries(path);
  const [only] = entries.filter(({ isFolder }) => isFolder);
  if (only === undefined || entries.length > 1 || partOf(only.name) !== undefined || depth === MAX_NESTING)
    return entries;
  const inner = await entriesWithin(join(path, only.name), depth + 1);
  return inner.some(({ isFolder }) => isFolder) ? inner : entries;
}

/** Two would-be classes that hold mostly the same folders. */
function sharedFolders(
  inside: readonly { name: string; folders: readonly string[] }[],
): [string, string, string[]] | undefined {
  for (const [i, a] of inside.entries())
    for (const b of inside.slice(i + 1)) {
      const names = new Set(a.folders);
      const shared = b.folders.filter((name) => names.has(name));
      if (shared.length >= 2 && 2 * shared.length >= Math.min(a.folders.length, b.folders.length))
        return [a.name, b.name, shared];
    }
  return undefined;
}
