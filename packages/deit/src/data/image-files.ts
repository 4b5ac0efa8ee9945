/** What lies in folders: entries in order, and all images below one, with what was passed over. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError, firstLine } from "../errors.ts";
import { isImageName, isJunk } from "./image-names.ts";

export interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** What stands in a folder, sorted, links followed, without hidden names and what systems leave. Throws DataError when the folder is missing. */
export async function visibleEntries(path: string): Promise<Entry[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    const visible = await Promise.all(
      entries
        .filter(({ name }) => !isJunk(name))
        .map(async (entry) => {
          const isLink = entry.isSymbolicLink();
          const target = isLink ? await stat(join(path, entry.name)).catch(() => undefined) : entry;
          return target && { name: entry.name, isFolder: target.isDirectory() };
        }),
    );
    return visible.filter((entry) => entry !== undefined).toSorted(byName);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT")
      throw new DataError(path, `there is no folder ${path}`, { code: "data/not-found", cause });
    if (code === "ENOTDIR")
      throw new DataError(path, `${path} is a file: expected a folder`, {
        code: "data/not-a-folder",
        hint: EXPECTED_FOLDER,
        cause,
      });
    throw new DataError(path, `${path} cannot be read: ${firstLine(cause)}`, {
      code: "data/unreadable",
      cause,
    });
  }
}

export const EXPECTED_FOLDER =
  "Expected a folder for each class with its images inside, as photos/cat/1.jpg and photos/dog/2.jpg.";

function byName(a: Entry, b: Entry): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

export interface FoundBelow {
  /** Whole paths of images. */
  readonly files: string[];
  /** Whole paths of other files. */
  readonly others: string[];
}

/** Depth of folders inside a class: deeper is a link that leads back up. */
const MAX_DEPTH = 16;

/** All images in a folder and its folders, in torchvision's order: folders sorted by their whole path, then files by name. */
export async function imagesBelow(folder: string): Promise<FoundBelow> {
  const folders: { path: string; names: string[] }[] = [];
  const others: string[] = [];
  const walk = async (path: string, depth: number): Promise<void> => {
    const entries = await visibleEntries(path);
    const names: string[] = [];
    for (const { name, isFolder } of entries) {
      if (isFolder) continue;
      if (isImageName(name)) names.push(name);
      else others.push(join(path, name));
    }
    folders.push({ path, names });
    if (depth === MAX_DEPTH)
      throw new DataError(path, `${path}: folders inside folders, ${MAX_DEPTH} deep`, {
        code: "data/too-deep",
        hint: "A link may lead back up; remove it.",
      });
    for (const { name, isFolder } of entries) if (isFolder) await walk(join(path, name), depth + 1);
  };
  await walk(folder, 0);
  const files = folders
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .flatMap(({ path, names }) => names.map((name) => join(path, name)));
  return { files, others };
}
