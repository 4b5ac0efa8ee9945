/** Where a project is kept: the browser's own file system (OPFS), each file replaced as a whole; memory where there is none. */
import type { Project } from "./project.ts";

export interface SavedProject {
  readonly format: 1;
  readonly project: Project;
}

export interface Storage {
  /** Whether it is there after a reload. */
  readonly lasts: boolean;
  read(path: string): Promise<Blob | undefined>;
  write(path: string, content: Blob | BufferSource | string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Names in a folder. */
  list(folder: string): Promise<string[]>;
}

const FOLDER = "deit-project";

export async function openStorage(): Promise<Storage> {
  try {
    const root = await navigator.storage.getDirectory();
    return onDisk(await root.getDirectoryHandle(FOLDER, { create: true }));
  } catch {
    return inMemory();
  }
}

function onDisk(root: FileSystemDirectoryHandle): Storage {
  const place = async (path: string, create: boolean): Promise<[FileSystemDirectoryHandle, string]> => {
    const parts = path.split("/");
    const name = parts.pop() ?? "";
    let folder = root;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create });
    return [folder, name];
  };
  const orNothing = (error: unknown): undefined => {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  };
  return {
    lasts: true,
    async read(path) {
      try {
        const [folder, name] = await place(path, false);
        return await (await folder.getFileHandle(name)).getFile();
      } catch (error) {
        return orNothing(error);
      }
    },
    async write(path, content) {
      const [folder, name] = await place(path, true);
      const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
      try {
        await writable.write(content);
        await writable.close(); // it takes the place of the old file now
      } catch (error) {
        await writable.abort().catch(() => {});
        throw error;
      }
    },
    async remove(path) {
      try {
        const [folder, name] = await place(path, false);
        await folder.removeEntry(name, { recursive: true });
      } catch (error) {
        orNothing(error);
      }
    },
    async list(path) {
      try {
        const folder = await root.getDirectoryHandle(path);
        const names: string[] = [];
        for await (const name of folder.keys()) names.push(name);
        return names;
      } catch (error) {
        return orNothing(error) ?? [];
      }
    },
  };
}

export function inMemory(): Storage {
  const files = new Map<string, Blob>();
  return {
    lasts: false,
    read: async (path) => files.get(path),
    write: async (path, content) => void files.set(path, new Blob([content])),
    async remove(path) {
      for (const name of files.keys()) if (name === path || name.startsWith(`${path}/`)) files.delete(name);
    },
    list: async (folder) =>
      [...files.keys()].flatMap((path) =>
        path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [],
      ),
  };
}

/** Rows of features by image, as bytes: the width, then for each image its id and its numbers. */
export function packFeatures(rows: ReadonlyMap<string, Float32Array>, width: number): ArrayBuffer {
  const size = ID_BYTES + 4 * width;
  const buffer = new ArrayBuffer(4 + rows.size * size);
  new DataView(buffer).setUint32(0, width, true);
  let at = 4;
  for (const [id, row] of rows) {
    new Uint8Array(buffer, at, ID_BYTES).set(bytesOf(id));
    new Float32Array(buffer, at + ID_BYTES, width).set(row);
    at += size;
  }
  return buffer;
}

/** Nothing for another width: they are of another model. */
export function unpackFeatures(buffer: ArrayBuffer, width: number): Map<string, Float32Array> {
  const rows = new Map<string, Float32Array>();
  if (buffer.byteLength < 4 || new DataView(buffer).getUint32(0, true) !== width) return rows;
  const size = ID_BYTES + 4 * width;
  for (let at = 4; at + size <= buffer.byteLength; at += size)
    rows.set(idOf(new Uint8Array(buffer, at, ID_BYTES)), new Float32Array(buffer, at + ID_BYTES, width));
  return rows;
}

const ID_BYTES = 16;

/** The id of an image: of its content. */
export async function contentId(blob: Blob): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return idOf(new Uint8Array(digest, 0, ID_BYTES));
}

function idOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytesOf(id: string): Uint8Array {
  return Uint8Array.from({ length: ID_BYTES }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16));
}
