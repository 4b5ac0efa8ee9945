/** What kind of dataset a folder is, and which parts of it are for training and which for validation. */
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { findCifar } from "./cifar.ts";
import type { DatasetSource } from "./dataset.ts";
import { type Entry, visibleEntries } from "./image-files.ts";
import { isImageName, list } from "./image-names.ts";
import { type Located, PARTS, partsAre, withNotes } from "./located.ts";
import { type Part, partOf, partsOf } from "./split-names.ts";
import { isListing } from "./tables/listing.ts";
import {
  fromListing,
  hasLabels,
  listingIn,
  locateTables,
  partsOfListing,
  partsOfParquet,
  sourceOfListing,
} from "./tables/locate-tables.ts";

export type { Located } from "./located.ts";

export interface LocateOptions {
  /** Folders that may be classes or parts are classes (--data-set folder). Otherwise they are refused. */
  readonly asClasses?: boolean;
}

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
        `${path} contains only the folder ${only}: ${inner} is used as the dataset`,
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
    if (await hasLabels(file)) return sourceOfListing(file);
  }
  const folders = entries.filter(({ isFolder }) => isFolder);
  const [only] = folders;
  if (only && folders.length === 1 && !entries.some(isImage) && (await isDataset(join(path, only.name))))
    return sourceIn(join(path, only.name));
  return { kind: "folder", path };
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
      notes: [`${path}: every class has folders for parts (${names}), which are used as its splits`],
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
