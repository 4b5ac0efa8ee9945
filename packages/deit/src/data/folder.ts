/**
 * A folder with one sub-folder of images for each class, as torchvision's ImageFolder: classes and images in
 * sorted order, folders inside a class searched too. Hidden files and files that are not images are left out.
 */
import { basename, extname, join, relative, resolve } from "node:path";
import { DataError } from "../errors.ts";
import type { Dataset, LeftOut } from "./dataset.ts";
import { fileDataset } from "./file-dataset.ts";
import { EXPECTED_FOLDER, type FoundBelow, imagesBelow, visibleEntries } from "./image-files.ts";
import { adviceFor, IMAGE_EXTENSIONS, isImageName, list } from "./image-names.ts";
import { type Part, partOf } from "./split-names.ts";

export interface FolderSource {
  readonly kind: "folder";
  readonly path: string;
  /** Where every class has a folder for each part inside (cat/train, cat/test): images of this part only. */
  readonly part?: Part;
  /** The classes by index, where they are given already (by the training images, or by a model): some may be missing here. */
  readonly classes?: readonly string[];
  /** The folder of each class, where it is not called by the class's name. */
  readonly keys?: readonly string[];
}

/** Throws DataError for a folder that is missing or empty, for an unknown class, for one class only. */
export async function openFolder(source: FolderSource): Promise<Dataset> {
  const { path, part } = source;
  const names = await classFolders(source.path);
  if (names.length === 0) throw await noClasses(path);
  const known = source.keys ?? source.classes;
  const found: { name: string; images: readonly string[] }[] = [];
  const passed: string[] = [];
  const links: string[] = [];
  const special: string[] = [];
  for (const name of known === undefined ? names : names.filter((folder) => known.includes(folder))) {
    const { files, ...rest } = await imagesOf(join(path, name), part);
    found.push({ name, images: files });
    for (const other of rest.others) passed.push(other);
    for (const link of rest.links) links.push(link);
    for (const one of rest.special) special.push(one);
  }
  if (known !== undefined) await checkKnown(source, names, known);
  const present = found.filter(({ images }) => images.length > 0);
  if (present.length === 0)
    throw new DataError(path, `${path} holds no images${endings(passed)}`, {
      code: "data/no-images",
      hint: EXPECTED_FOLDER,
    });
  const classes = source.classes ?? present.map(({ name }) => name);
  if (source.classes === undefined && classes.length === 1) throw oneClass(source, names, passed);
  const indices = new Map((known ?? classes).map((name, label) => [name, label]));
  const files: string[] = [];
  const labels: number[] = [];
  for (const { name, images } of present.toSorted(
    (a, b) => (indices.get(a.name) ?? 0) - (indices.get(b.name) ?? 0),
  )) {
    const label = indices.get(name) ?? -1;
    for (const file of images) {
      files.push(file);
      labels.push(label);
    }
  }
  const empty = found.filter(({ images }) => images.length === 0).map(({ name }) => name);
  return fileDataset({
    name: basename(resolve(path)),
    root: path,
    files,
    labels,
    classes,
    source,
    leftOut: async () => leftOutOf(path, { passed, empty, links, special, beside: await imagesBeside(path) }),
  });
}

/** Names of the folders that are classes. Throws DataError when the folder is missing. */
async function classFolders(path: string): Promise<string[]> {
  return (await visibleEntries(path)).filter(({ isFolder }) => isFolder).map(({ name }) => name);
}

/** Those in which there is an image. */
export async function filledFolders(source: Pick<FolderSource, "path" | "part">): Promise<string[]> {
  const filled: string[] = [];
  for (const name of await classFolders(source.path))
    if ((await imagesOf(join(source.path, name), source.part)).files.length > 0) filled.push(name);
  return filled;
}

/** All images of a class, or those in its folders of one part. */
async function imagesOf(folder: string, part: Part | undefined): Promise<FoundBelow> {
  if (part === undefined) return imagesBelow(folder);
  const entries = await visibleEntries(folder);
  const parts = entries.filter(({ name, isFolder }) => isFolder && partOf(name) === part);
  const found = await Promise.all(parts.map(async ({ name }) => imagesBelow(join(folder, name))));
  return {
    files: found.flatMap(({ files }) => files),
    others: found.flatMap(({ others }) => others),
    links: found.flatMap(({ links }) => links),
    special: found.flatMap(({ special }) => special),
  };
}

/** Names of the images in the folder itself, which are of no class. */
async function imagesBeside(path: string): Promise<string[]> {
  const entries = await visibleEntries(path);
  return entries.filter(({ name, isFolder }) => !isFolder && isImageName(name)).map(({ name }) => name);
}

/** Folders of other names than the classes may be empty, but hold no images. */
async function checkKnown(
  { path, part }: FolderSource,
  names: readonly string[],
  known: readonly string[],
): Promise<void> {
  const unknown: string[] = [];
  for (const name of names.filter((folder) => !known.includes(folder)))
    if ((await imagesOf(join(path, name), part)).files.length > 0) unknown.push(name);
  if (unknown.length > 0)
    throw new DataError(path, `${path} has folders that are not classes: ${list(unknown)}`, {
      code: "data/unknown-class",
      hint: `Expected some of: ${list(known)} (the classes of the model, or of the training images). Rename or move the others.`,
    });
}

interface Unused {
  /** Files of other kinds. */
  readonly passed: readonly string[];
  readonly links: readonly string[];
  readonly special: readonly string[];
  /** Names of classes. */
  readonly empty: readonly string[];
  readonly beside: readonly string[];
}

function leftOutOf(path: string, { passed, links, special, empty, beside }: Unused): LeftOut[] {
  const byEnding = new Map<string, string[]>();
  for (const file of passed) {
    const ending = extname(file).toLowerCase() || "no ending";
    const names = byEnding.get(ending) ?? [];
    names.push(relative(path, file));
    byEnding.set(ending, names);
  }
  return [
    ...[...byEnding].map(([ending, names]) => ({
      reason: `of an unsupported type${adviceFor(ending)}`,
      ending,
      names,
    })),
    ...[
      {
        one: "image beside the folders of classes",
        reason: "images beside the folders of classes",
        names: beside,
      },
      {
        one: "broken or circular link",
        reason: "broken or circular links",
        names: links.map((link) => relative(path, link)),
      },
      {
        one: "pipe, socket or device",
        reason: "pipes, sockets and devices",
        names: special.map((one) => relative(path, one)),
      },
      { one: "class without images", reason: "classes without images", names: empty },
    ].flatMap(({ one, reason, names }) =>
      names.length === 0 ? [] : [{ reason: names.length === 1 ? one : reason, names }],
    ),
  ];
}

function endings(files: readonly string[]): string {
  const found = [...new Set(files.map((file) => extname(file) || basename(file)))];
  return found.length === 0 ? "" : `: only ${list(found)} files, which are not read`;
}

const ARCHIVE = /\.(?:zip|tar|tgz|gz|bz2|xz|zst|7z|rar)$/i;

async function noClasses(path: string): Promise<DataError> {
  const images = (await imagesBeside(path)).length;
  const others = (await visibleEntries(path)).map(({ name }) => name).filter((name) => !isImageName(name));
  const what =
    images > 0
      ? `holds ${images === 1 ? "1 image" : `${images} images`}, but no folders of classes`
      : others.length > 0
        ? `holds no folders of classes${endings(others)}`
        : "is empty";
  const unpack = others.some((name) => ARCHIVE.test(name)) ? "Unpack the archive first. " : "";
  return new DataError(path, `${path} ${what}`, {
    code: "data/no-classes",
    hint: `${images > 0 ? "" : unpack}${EXPECTED_FOLDER}`,
  });
}

function oneClass({ path }: FolderSource, names: readonly string[], passed: readonly string[]): DataError {
  const others = names.length > 1 ? `: in the others are no images${endings(passed)}` : "";
  return new DataError(path, `${path} has one class only (${list(names)})${others}: expected at least two`, {
    code: "data/one-class",
    hint: `${EXPECTED_FOLDER} Images end in ${[...IMAGE_EXTENSIONS].join(" ")}.`,
  });
}
