/**
 * A folder with one sub-folder of pictures for each class, as torchvision's ImageFolder: classes and pictures in
 * sorted order, folders inside a class searched too. Hidden files and files that are no pictures are left out.
 */
import { readFile, readdir, stat } from "node:fs/promises";
import { basename, extname, join, relative, resolve, sep } from "node:path";
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { PICTURE_EXTENSIONS, readPicture } from "./decode.ts";

export interface FolderSource {
  readonly kind: "folder";
  readonly path: string;
  /** The classes by index, where they are given already (by the training pictures, or by a model): some may be missing here. */
  readonly classes?: readonly string[];
  /** The folder of each class, where it is not called by the class's name. */
  readonly keys?: readonly string[];
}

/** Throws DataError for a folder that is missing or empty, for a class without pictures, for an unknown class, for one class only. */
export async function openFolder(source: FolderSource): Promise<Dataset> {
  const { path } = source;
  const found = (await visibleEntries(path)).filter(({ isFolder }) => isFolder).map(({ name }) => name);
  if (found.length === 0) throw await noClasses(path);
  const classes = source.classes ?? found;
  const folders = source.keys ?? classes;
  const unknown = found.filter((name) => !folders.includes(name));
  if (unknown.length > 0)
    throw new DataError(path, `${path} has folders that are no class of the model: ${list(unknown)}`, {
      hint: `Expected some of: ${list(folders)}.`,
    });

  const present = new Set(found);
  const files: string[] = [];
  const labels: number[] = [];
  for (const [label, name] of folders.entries()) {
    if (!present.has(name)) continue;
    const pictures = await picturesBelow(join(path, name));
    if (pictures.length === 0 && source.classes === undefined) throw await noPictures(path, name);
    for (const file of pictures) {
      files.push(file);
      labels.push(label);
    }
  }
  if (files.length === 0) throw new DataError(path, `${path} holds no pictures`, { hint: EXPECTED });
  if (source.classes === undefined && classes.length === 1)
    throw new DataError(path, `${path} has one class only (${classes[0]}): expected at least two folders`, {
      hint: EXPECTED,
    });
  return fileDataset({ name: basename(resolve(path)), root: path, files, labels, classes, source });
}

const EXPECTED =
  "Expected a folder for each class with its pictures inside, as photos/cat/1.jpg and photos/dog/2.jpg.";

/** A dataset of picture files; `files` are whole paths below `root`. */
export function fileDataset({
  root,
  files,
  labels,
  ...rest
}: Pick<Dataset, "name" | "classes" | "source"> & {
  root: string;
  files: readonly string[];
  labels: readonly number[];
}): Dataset {
  const at = (index: number): string => {
    const file = files[index];
    if (file === undefined) throw new RangeError(`picture ${index} of ${files.length}`);
    return file;
  };
  return {
    ...rest,
    decodes: true,
    length: files.length,
    labels: Int32Array.from(labels),
    read: async (index) => readPicture(at(index)),
    encoded: async (index) => readFile(at(index)),
    describe: (index) => relative(root, at(index)),
  };
}

/** Whether that name ends like a picture's and is not hidden. */
export function isPictureName(name: string): boolean {
  return !isHidden(name) && PICTURE_EXTENSIONS.has(extname(name).toLowerCase());
}

/** Names as some, or the first eight and how many more. */
export function list(names: readonly string[]): string {
  return names.length <= 10
    ? names.join(", ")
    : `${names.slice(0, 8).join(", ")} and ${names.length - 8} more`;
}

export interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** What stands in a folder, sorted, links followed, without hidden names. Throws DataError when the folder is missing. */
export async function visibleEntries(path: string): Promise<Entry[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    const visible = await Promise.all(
      entries
        .filter(({ name }) => !isHidden(name))
        .map(async (entry) => {
          const isLink = entry.isSymbolicLink();
          const target = isLink ? await stat(join(path, entry.name)).catch(() => undefined) : entry;
          return target && { name: entry.name, isFolder: target.isDirectory() };
        }),
    );
    return visible.filter((entry) => entry !== undefined).toSorted(byName);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT") throw new DataError(path, `there is no folder ${path}`, { cause });
    if (code === "ENOTDIR")
      throw new DataError(path, `${path} is a file: expected a folder`, { hint: EXPECTED, cause });
    throw new DataError(path, `${path} cannot be read: ${String(cause)}`, { cause });
  }
}

function byName(a: Entry, b: Entry): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function isHidden(name: string): boolean {
  return name.startsWith(".") || name === "__MACOSX";
}

/** Depth of folders inside a class: deeper is a link that leads back up. */
const MAX_DEPTH = 16;

/** All pictures in a folder and its folders, in torchvision's order: folders sorted by their whole path, then files by name. */
export async function picturesBelow(folder: string): Promise<string[]> {
  const folders: { path: string; files: string[] }[] = [];
  const walk = async (path: string, depth: number): Promise<void> => {
    const entries = await visibleEntries(path);
    folders.push({
      path,
      files: entries.filter((e) => !e.isFolder && isPictureName(e.name)).map((e) => e.name),
    });
    if (depth === MAX_DEPTH) throw new DataError(path, `${path}: folders inside folders, ${MAX_DEPTH} deep`);
    for (const { name, isFolder } of entries) if (isFolder) await walk(join(path, name), depth + 1);
  };
  await walk(folder, 0);
  return folders
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .flatMap(({ path, files }) => files.map((file) => join(path, file)));
}

async function noClasses(path: string): Promise<DataError> {
  const pictures = (await visibleEntries(path)).filter(({ name }) => isPictureName(name)).length;
  const what = pictures > 0 ? `holds ${pictures} pictures, but no folders of classes` : "is empty";
  return new DataError(path, `${path} ${what}`, { hint: EXPECTED });
}

async function noPictures(path: string, name: string): Promise<DataError> {
  const others = (await visibleEntries(join(path, name))).filter(({ isFolder }) => !isFolder);
  const endings = [...new Set(others.map((other) => extname(other.name) || other.name))];
  const seen =
    others.length === 0 ? "its folder is empty" : `only ${list(endings)} files, which are not read`;
  return new DataError(join(path, name), `class ${name} in ${path}${sep} has no pictures: ${seen}`, {
    hint: `Add pictures (${[...PICTURE_EXTENSIONS].join(" ")}) or remove the folder.`,
  });
}
