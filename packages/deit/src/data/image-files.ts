/** What lies in folders: entries in order, and all images below one, with what was passed over. */
import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { DataError, firstLine } from "../errors.ts";
import { isImageName, isJunk } from "./image-names.ts";

export interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** A link that cannot be followed has no kind. */
type AnyEntry = Omit<Entry, "isFolder"> & {
  readonly isLink: boolean;
  /** A pipe, socket or device: to read one may never end. */
  readonly isSpecial: boolean;
  readonly isFolder: boolean | undefined;
};

/**
 * What stands in a folder, sorted, links followed, without hidden names and what systems leave, and without links that lead
 * nowhere, pipes, sockets and devices. Throws DataError when the folder is missing.
 */
export async function visibleEntries(path: string): Promise<Entry[]> {
  const entries = await entriesIn(path);
  return entries.flatMap(({ name, isFolder, isSpecial }) =>
    isFolder === undefined || isSpecial ? [] : [{ name, isFolder }],
  );
}

async function entriesIn(path: string): Promise<AnyEntry[]> {
  const entries = await read(path);
  const visible = entries
    .filter(({ name }) => !isJunk(name))
    .map(async (entry) => {
      const isLink = entry.isSymbolicLink();
      const target = isLink ? await stat(join(path, entry.name)).catch(() => undefined) : entry;
      const isFolder = target?.isDirectory();
      return {
        name: entry.name,
        isLink,
        isFolder,
        isSpecial: isFolder === false && target?.isFile() === false,
      };
    });
  return (await Promise.all(visible)).toSorted(byName);
}

async function read(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
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
      hint: "Allow this user to read the folder, or move it elsewhere: images may be in it.",
      cause,
    });
  }
}

export const EXPECTED_FOLDER =
  "Expected a folder for each class with its images inside, as photos/cat/1.jpg and photos/dog/2.jpg.";

function byName(a: AnyEntry, b: AnyEntry): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

export interface FoundBelow {
  /** Whole paths of images. */
  readonly files: string[];
  /** Whole paths of other files. */
  readonly others: string[];
  /** Whole paths of links that lead nowhere, and of links to a folder that they stand in. */
  readonly links: string[];
  /** Whole paths of pipes, sockets and devices. */
  readonly special: string[];
}

/** Depth of folders inside a class. */
const MAX_DEPTH = 16;

/** All images in a folder and its folders, in torchvision's order: folders sorted by their whole path, then files by name. */
export async function imagesBelow(folder: string): Promise<FoundBelow> {
  const folders: { path: string; names: string[] }[] = [];
  const others: string[] = [];
  const links: string[] = [];
  const special: string[] = [];
  const walk = async (path: string, depth: number): Promise<void> => {
    const names: string[] = [];
    const inside: string[] = [];
    for (const { name, isFolder, isLink, isSpecial } of await entriesIn(path)) {
      const whole = join(path, name);
      if (isFolder === undefined || (isFolder && isLink && (await leadsUp(whole, path)))) links.push(whole);
      else if (isSpecial) special.push(whole);
      else if (isFolder) inside.push(whole);
      else if (isImageName(name)) names.push(name);
      else others.push(whole);
    }
    folders.push({ path, names });
    if (depth === MAX_DEPTH)
      throw new DataError(path, `${path}: folders inside folders, ${MAX_DEPTH} deep`, {
        code: "data/too-deep",
        hint: "Put the images into fewer folders inside one another. Links may lead from one to another in a circle.",
      });
    for (const whole of inside) await walk(whole, depth + 1);
  };
  await walk(folder, 0);
  const files = folders
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .flatMap(({ path, names }) => names.map((name) => join(path, name)));
  return { files, others, links, special };
}

/** Whether that link in a folder leads to this folder or to one that holds it. */
async function leadsUp(link: string, folder: string): Promise<boolean> {
  const [target, own] = await Promise.all([realpath(link), realpath(folder)]);
  return own === target || own.startsWith(target.endsWith(sep) ? target : target + sep);
}
