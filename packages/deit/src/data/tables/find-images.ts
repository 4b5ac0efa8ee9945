/**
 * The files that a list means: as written, below the list's folder; else by name alone, wherever below it the image lies;
 * and, for names without an ending (Kaggle's ids), with whatever ending an image has.
 */
import { stat } from "node:fs/promises";
import { basename, extname, join, relative, resolve } from "node:path";
import { DataError } from "../../errors.ts";
import type { LeftOut } from "../dataset.ts";
import { imagesBelow } from "../image-files.ts";
import { IMAGE_EXTENSIONS, list } from "../image-names.ts";

export interface ImageFinder {
  /** Folder of the images, in which names are looked up. */
  readonly root: string;
  /** Undefined when there is none. @throws DataError data/missing-file when several images have that name */
  find(name: string): Promise<string | undefined>;
}

/** Requests to the file system at a time. */
const BLOCK = 256;

export function imageFinder(root: string): ImageFinder {
  let index: Promise<NameIndex> | undefined;
  return {
    root,
    async find(name) {
      const file = resolve(root, name);
      if (await isFile(file)) return file;
      index ??= indexOf(root);
      return lookUp(await index, name, root);
    },
  };
}

export interface FoundImages {
  /** Whole paths, in the order of the rows. */
  readonly files: readonly string[];
  /** Those that were not where the list says. */
  readonly elsewhere: number;
}

/** The files of all rows of a list. @throws DataError data/missing-file with the line of the first that is not there */
export async function findListed(
  rows: readonly { readonly file: string; readonly line: number }[],
  finder: ImageFinder,
  path: string,
): Promise<FoundImages> {
  const files: string[] = [];
  const missing: { file: string; line: number }[] = [];
  let elsewhere = 0;
  for (let start = 0; start < rows.length; start += BLOCK) {
    const block = rows.slice(start, start + BLOCK);
    const found = await Promise.all(block.map(async ({ file }) => finder.find(file)));
    for (const [i, row] of block.entries()) {
      const file = found[i];
      if (file === undefined) missing.push(row);
      else if (file !== resolve(finder.root, row.file)) elsewhere++;
      files.push(file ?? "");
    }
  }
  const [first] = missing;
  if (first === undefined) return { files, elsewhere };
  const others = missing.slice(1).map(({ file }) => file);
  throw new DataError(
    path,
    `${path}, line ${first.line}: there is no file ${resolve(finder.root, first.file)}${others.length > 0 ? `, nor ${others.length} others (${list(others)})` : ""}`,
    {
      code: "data/missing-file",
      hint: `Paths are relative to ${finder.root}. Correct them, or take these lines out.`,
    },
  );
}

/** Images by their names; null where several have the same. */
interface NameIndex {
  readonly byName: ReadonlyMap<string, string | null>;
  /** Without the ending. */
  readonly byStem: ReadonlyMap<string, string | null>;
  /** The path below the root, without the ending. */
  readonly byPath: ReadonlyMap<string, string | null>;
}

async function indexOf(root: string): Promise<NameIndex> {
  const index = { byName: new Map(), byStem: new Map(), byPath: new Map() } satisfies NameIndex;
  const add = (map: Map<string, string | null>, key: string, file: string): void => {
    map.set(key, map.has(key) ? null : file);
  };
  const { files } = await imagesBelow(root).catch(() => ({ files: [] })); // what cannot be looked into has no images
  for (const file of files) {
    add(index.byName, basename(file), file);
    add(index.byStem, withoutEnding(basename(file)), file);
    add(index.byPath, withoutEnding(relative(root, file).replaceAll("\\", "/")), file);
  }
  return index;
}

function lookUp({ byName, byStem, byPath }: NameIndex, name: string, root: string): string | undefined {
  const plain = name.replaceAll("\\", "/").replace(/^\.?\/+/, "");
  const hasEnding = IMAGE_EXTENSIONS.has(extname(plain).toLowerCase());
  const last = plain.slice(plain.lastIndexOf("/") + 1);
  const found = hasEnding ? byName.get(last) : (byPath.get(plain) ?? byStem.get(last));
  if (found === null)
    throw new DataError(root, `${name}: several images below ${root} have that name`, {
      code: "data/missing-file",
      hint: "Write the path of the one that is meant, with its folder and its ending.",
    });
  return found;
}

function withoutEnding(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** Where the images of a list lie: in `images/` beside it if there is such a folder, else in its own. */
export async function imageRoot(folder: string): Promise<string> {
  const images = join(folder, "images");
  const isFolder = await stat(images).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  return isFolder ? images : folder;
}

/** Images of a folder that its list does not name. */
export async function unlisted(path: string, root: string, listed: readonly string[]): Promise<LeftOut[]> {
  const known = new Set(listed.map((file) => resolve(file))); // one may be relative, the other not
  const { files } = await imagesBelow(root).catch(() => ({ files: [] })); // what cannot be looked into is not counted
  const names = files.filter((file) => !known.has(resolve(file))).map((file) => relative(root, file));
  return names.length === 0 ? [] : [{ reason: `not listed in ${basename(path)}`, names }];
}
