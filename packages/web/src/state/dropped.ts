/** Files that were dropped or chosen, with the class that their folder names. Zip files are opened. */

export interface GivenImage {
  readonly file: File;
  /** The name of the folder that it lies in; undefined for single files. */
  readonly className: string | undefined;
  /** Of a folder of images to judge with; undefined: the folder does not say. */
  readonly held: boolean | undefined;
}

const IMAGE = /\.(?:jpe?g|png|webp|gif|avif|bmp|hei[cf])$/i;
const TRAINING = new Set(["train", "training"]);
const JUDGING = new Set(["val", "valid", "validation", "test", "testing"]);

export async function givenByDrop(transfer: DataTransfer): Promise<GivenImage[]> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (entries.length === 0) return givenFiles([...transfer.files]);
  const files: [string, File][] = [];
  for (const entry of entries) await walk(entry, files);
  return opened(files);
}

export async function givenFiles(files: readonly File[]): Promise<GivenImage[]> {
  return opened(files.map((file) => [file.webkitRelativePath || file.name, file]));
}

async function walk(entry: FileSystemEntry, files: [string, File][]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    files.push([entry.fullPath.replace(/^\//, ""), file]);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // a part of the folder at a time
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (part.length === 0) return;
    for (const child of part) await walk(child, files);
  }
}

async function opened(files: readonly (readonly [string, File])[]): Promise<GivenImage[]> {
  const all: (readonly [string, File])[] = [];
  for (const [path, file] of files) {
    if (!/\.zip$/i.test(path)) all.push([path, file]);
    else
      all.push(
        ...(await (await import("./zip.ts")).readZip(file)).map(([name, inside]) => [name, inside] as const),
      );
  }
  return all.flatMap(([path, file]) => {
    const parts = path.split("/");
    if (parts.some((part) => part.startsWith(".") || part === "__MACOSX") || !IMAGE.test(path)) return [];
    const folders = parts.slice(0, -1);
    const named = folders.filter(
      (part) => !TRAINING.has(part.toLowerCase()) && !JUDGING.has(part.toLowerCase()),
    );
    const held = folders.some((part) => JUDGING.has(part.toLowerCase()))
      ? true
      : folders.some((part) => TRAINING.has(part.toLowerCase()))
        ? false
        : undefined;
    return [{ file, className: named.at(-1), held }];
  });
}
