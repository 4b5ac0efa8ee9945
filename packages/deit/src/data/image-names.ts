/** Which names are those of image files, which are left by programs and never looked at, and how names are listed. */
import { extname } from "node:path";
import type { LeftOut } from "./dataset.ts";
import { HEIC_PACKAGE, readsHeic } from "./decoding/heic.ts";

/** Files that are taken for images, by their ending. */
export const IMAGE_EXTENSIONS: ReadonlySet<string> = new Set(
  [
    ..."jpg jpeg jpe jfif png webp gif bmp dib avif tif tiff".split(" "),
    ...(readsHeic ? ["heic", "heif", "hif"] : []),
  ].map((ending) => `.${ending}`),
);

/** What may be done about files that are left out for their ending. */
export function adviceFor(ending: string): string {
  return /^\.(?:heic|heif|hif)$/i.test(ending) ? ` (npm install ${HEIC_PACKAGE} reads them)` : "";
}

/** Files and folders that systems and programs leave among images, in lower case. */
const JUNK = new Set([
  "__macosx",
  "@eadir",
  "@recycle",
  "@recently-snapshot",
  "@synoresource",
  "@synoeastream",
  "#recycle",
  "#snapshot",
  "lost+found",
  "$recycle.bin",
  "system volume information",
  "thumbs.db",
  "ehthumbs.db",
  "ehthumbs_vista.db",
  "desktop.ini",
  "picasa.ini",
  "icon\r",
  "node_modules",
]);

/** Hidden, or left by a system: .DS_Store, .ipynb_checkpoints, @eaDir, Thumbs.db. */
export function isJunk(name: string): boolean {
  return name.startsWith(".") || JUNK.has(name.toLowerCase());
}

/** Whether that name ends like an image's and is not hidden. */
export function isImageName(name: string): boolean {
  return !isJunk(name) && IMAGE_EXTENSIONS.has(extname(name).toLowerCase());
}

/** Names as some, or the first eight and how many more. */
export function list(names: readonly string[]): string {
  return names.length <= 10
    ? names.join(", ")
    : `${names.slice(0, 8).join(", ")} and ${names.length - 8} more`;
}

/** Kinds that are counted one by one. */
const KINDS = 5;
/** Names that are given as examples. */
const NAMED = 3;

/** `21 files of an unsupported type: 12 .mov, 9 .aae (cat/1.MOV, cat/2.AAE); 2 classes without images (owl, rat)` */
export function leftOutWords(left: readonly LeftOut[]): string {
  const byReason = Map.groupBy(left, ({ reason }) => reason);
  return [...byReason].map(([reason, group]) => groupWords(reason, group)).join("; ");
}

function groupWords(reason: string, group: readonly LeftOut[]): string {
  const sorted = group.toSorted((a, b) => b.names.length - a.names.length);
  const count = group.reduce((sum, { names }) => sum + names.length, 0);
  const kinds = sorted.flatMap(({ ending, names }) =>
    ending === undefined ? [] : [`${names.length} ${ending}`],
  );
  const examples = [
    ...(sorted.length > 1 ? sorted.flatMap(({ names }) => names.slice(0, 1)) : (sorted[0]?.names ?? [])),
  ].slice(0, NAMED);
  const shown = `(${examples.join(", ")}${count > examples.length ? ", …" : ""})`;
  if (kinds.length === 0) return `${count} ${reason} ${shown}`;
  const most = kinds.slice(0, KINDS).join(", ");
  const more = kinds.length > KINDS ? ` and ${kinds.length - KINDS} kinds more` : "";
  return `${count} ${count === 1 ? "file" : "files"} ${reason}: ${most}${more} ${shown}`;
}
