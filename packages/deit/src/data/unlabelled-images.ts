/** Images without classes, for models to say what is in them: from what people name to a dataset. */
import { glob, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { DataError, firstLine } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { imagesBelow } from "./image-files.ts";
import { isImageName } from "./image-names.ts";
import { isImageAddress, readNamedImage, shownName } from "./decoding/named-image.ts";

export interface FilesSource {
  readonly kind: "files";
  readonly files: readonly string[];
}

export interface NamedImages {
  /** Paths and addresses, in the order they were named; those of a folder or a glob sorted. */
  readonly files: readonly string[];
  /** A line for everything named that leads to no image. */
  readonly problems: readonly string[];
}

/** What makes a path a glob where there is no file of that very name. */
const GLOB = /[*?[{]/;

/** Names that are looked at together. */
const AT_ONCE = 64;

/**
 * Files, folders (searched through), globs and addresses as images. Of folders and globs only files that end like images are
 * taken, each once; a file that is named itself is taken whatever its ending.
 */
export async function namedImages(named: readonly string[]): Promise<NamedImages> {
  const files: string[] = [];
  const problems: string[] = [];
  for (let from = 0; from < named.length; from += AT_ONCE) {
    const looks = named.slice(from, from + AT_ONCE).map(async (name) =>
      imagesNamed(name).catch((error: unknown) => {
        if (error instanceof DataError) return error;
        throw error;
      }),
    );
    for (const found of await Promise.all(looks)) {
      if (found instanceof DataError) problems.push(firstLine(found));
      else for (const file of found) files.push(file);
    }
  }
  return { files, problems };
}

/** @throws DataError when there are none */
async function imagesNamed(name: string): Promise<Iterable<string>> {
  if (isImageAddress(name)) return [name];
  const found = await stat(name).catch(() => undefined);
  if (found !== undefined && !found.isDirectory()) return [name];
  const isGlob = found === undefined && GLOB.test(name);
  if (found === undefined && !isGlob)
    throw new DataError(name, `there is no file or folder ${name}`, { code: "data/not-found" });
  const images = isGlob ? await imagesMatching(name) : (await imagesBelow(name)).files;
  if ([...images].length > 0) return images;
  throw new DataError(name, isGlob ? `no image matches ${name}` : `the folder ${name} holds no images`, {
    code: "data/no-images",
  });
}

async function imagesMatching(pattern: string): Promise<Set<string>> {
  const paths: string[] = [];
  for await (const path of glob(pattern)) paths.push(path);
  const images = new Set<string>(); // a glob may match a folder and what is in it
  for (const path of paths.toSorted()) {
    if ((await stat(path).catch(() => undefined))?.isDirectory())
      for (const file of (await imagesBelow(path)).files) images.add(join(file));
    else if (isImageName(basename(path))) images.add(join(path));
  }
  return images;
}

/** The files as a dataset whose labels are all -1: nobody says what is in them. */
export function openFiles(source: FilesSource): Dataset {
  const { files } = source;
  const at = (index: number): string => {
    const file = files[index];
    if (file === undefined) throw new RangeError(`image ${index} of ${files.length}`);
    return file;
  };
  return {
    name: "the images",
    length: files.length,
    classes: [],
    labels: new Int32Array(files.length).fill(-1),
    source,
    decodes: true,
    read: async (index) => readNamedImage(at(index)),
    describe: (index) => shownName(at(index)),
  };
}
