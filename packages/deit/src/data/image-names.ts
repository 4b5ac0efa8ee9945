/** Which names are those of image files, which are left by programs and never looked at, and how names are listed. */
import { extname } from "node:path";
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
  return /^\.(?:heic|heif|hif)$/i.test(ending) ? `; npm install ${HEIC_PACKAGE} reads them` : "";
}

/** Files and folders that systems and programs leave among images, in lower case. */
const JUNK = new Set([
  "__macosx",
  "@eadir",
  "#recycle",
  "@recycle",
  "lost+found",
  "$recycle.bin",
  "system volume information",
  "thumbs.db",
  "ehthumbs.db",
  "desktop.ini",
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
