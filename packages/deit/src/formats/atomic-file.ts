/**
 * Files that are there whole or not at all: written beside their target, flushed to the disk, renamed over it.
 * A crash or a full disk at any moment leaves the old file as it was; what a killed process left beside it is removed by the
 * next one that writes there. Node only.
 */
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rename, stat, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DeitError } from "../errors.ts";
import { clearTemporaries, isTemporaryName, temporaryName } from "./left-overs.ts";

export interface AtomicWriteOptions {
  /** What is being saved, for the message: "the training state". */
  what?: string;
  /** All bytes of it, when `content` is a stream of unknown length: how much space the message asks for. */
  size?: number;
}

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** One write call: some systems refuse more than 2 GiB at once, and none is faster above this. */
const WRITE_BYTES = 64 * 1024 * 1024;

/**
 * Replaces `path` by the given bytes, or by the chunks one after the other. On success the bytes and the
 * name are on the disk; on any failure the old file is untouched and the temporary one is gone.
 * The bytes must not change until the promise settles.
 * @throws DeitError saying what was saved, where, why not, and how much space was needed and free
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string | Chunks,
  { what = "a file", size }: AtomicWriteOptions = {},
): Promise<void> {
  const chunks =
    typeof content === "string"
      ? [new TextEncoder().encode(content)]
      : content instanceof Uint8Array
        ? [content]
        : content;
  const needed = size ?? (Array.isArray(chunks) ? totalBytes(chunks) : undefined);
  const temporary = join(dirname(path), temporaryName(basename(path)));
  let handle: FileHandle | undefined;
  await clearTemporaries(dirname(path));
  try {
    handle = await open(temporary, "wx");
    for await (const chunk of chunks) await writeAll(handle, chunk);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => {});
    await unlink(temporary).catch(() => {});
    throw await describeWriteFailure(error, { path, what, ...(needed === undefined ? {} : { needed }) });
  }
  await syncFolder(dirname(path));
}

/**
 * Makes a folder, and those that it stands in, where there are none.
 * @param what that is to be saved there, for the message
 * @throws DeitError saying why it cannot be made
 */
export async function makeFolder(path: string, { what = "files" }: { what?: string } = {}): Promise<void> {
  await mkdir(path, { recursive: true }).catch(async (error: unknown) => {
    throw await describeWriteFailure(await reasonOf(error, path), { path, what });
  });
}

/** Node says ENOENT when it cannot make several folders, whatever the reason: the first that is missing tells. */
async function reasonOf(error: unknown, path: string): Promise<unknown> {
  const isUnnamed = error instanceof Error && "code" in error && error.code === "ENOENT";
  const parent = dirname(path);
  if (!isUnnamed || parent === path) return error;
  try {
    await stat(parent);
  } catch {
    return reasonOf(error, parent);
  }
  try {
    await mkdir(path);
    return error;
  } catch (own) {
    return own;
  }
}

/** A file that grows as its content comes, and is there when it is whole. */
export interface GrowingFile {
  write(text: string): Promise<void>;
  /** Puts it in its place. */
  commit(): Promise<void>;
  /** Removes what was written; does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Like {@link writeFileAtomic} for content that nobody holds at once. @throws what that throws, at every step */
export async function openGrowingFile(
  path: string,
  { what = "a file" }: Pick<AtomicWriteOptions, "what"> = {},
): Promise<GrowingFile> {
  const temporary = join(dirname(path), temporaryName(basename(path)));
  const told = async <T>(work: Promise<T>): Promise<T> =>
    work.catch(async (error: unknown) => {
      throw await describeWriteFailure(error, { path, what });
    });
  await clearTemporaries(dirname(path));
  const handle = await told(open(temporary, "wx"));
  let isOpen = true;
  const close = async (): Promise<void> => {
    isOpen = false;
    await handle.close();
  };
  return {
    write: async (text) => told(writeAll(handle, new TextEncoder().encode(text))),
    async commit() {
      await told(handle.sync().then(close));
      await told(rename(temporary, path));
      await syncFolder(dirname(path));
    },
    async discard() {
      if (isOpen) await close().catch(() => {});
      await unlink(temporary).catch(() => {});
    },
  };
}

/**
 * Removes temporary files that a killed process left in `folder`. Only for a folder that nobody else writes to.
 * @returns the names that were removed
 */
export async function removeTemporaries(folder: string): Promise<string[]> {
  const left = (await readdir(folder)).filter(isTemporaryName);
  for (const name of left) await unlink(join(folder, name)).catch(() => {});
  return left;
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) {
    const length = Math.min(chunk.byteLength - offset, WRITE_BYTES);
    offset += (await handle.write(chunk, offset, length)).bytesWritten;
  }
}

/** Makes the rename itself durable. Windows and some network disks cannot flush a folder: nothing to do there. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch {
    // The file itself is flushed and in place; only its name may be lost in a power cut.
  } finally {
    await handle?.close().catch(() => {});
  }
}

const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOSPC: [
    "no space left on the disk",
    "Free some space or choose a folder on another disk, then start again: a training resumes from its last save.",
  ],
  EDQUOT: [
    "your disk quota is used up",
    "Free some space or choose a folder on another disk, then start again: a training resumes from its last save.",
  ],
  EFBIG: [
    "the file is larger than this disk or your limits allow",
    "Choose a folder on another disk, or raise the limit (ulimit -f).",
  ],
  EACCES: [
    "no permission to write there",
    "Choose a folder that you may write to, or change its permissions.",
  ],
  EPERM: [
    "no permission to write there",
    "Choose a folder that you may write to, or change its permissions.",
  ],
  EROFS: ["the disk is read-only", "Choose a folder on a disk that can be written to."],
  ENOENT: [
    "the folder is not there",
    "Create the folder, or check whether it was removed while the program ran.",
  ],
  ENOTDIR: ["a part of the path is a file, not a folder", "Check the path."],
  EEXIST: ["something else has that name", "Remove it, or choose another name."],
  EISDIR: ["a folder of that name is in the way", "Remove the folder or choose another name."],
  EIO: ["the disk reported an error", "Check the disk; choose a folder on another one."],
};

/**
 * A system error of a failed write as a DeitError; an error that is none of the system's passes unchanged.
 * @param needed bytes that were to be written, when known
 */
export async function describeWriteFailure(
  error: unknown,
  { path, what, needed }: { path: string; what: string; needed?: number },
): Promise<unknown> {
  const code =
    error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  const known = code === undefined ? undefined : REASONS[code];
  if (error instanceof DeitError || code === undefined || (known === undefined && !/^E[A-Z]+$/.test(code)))
    return error;
  const [reason, hint] = known ?? [
    error instanceof Error ? error.message : code,
    "Check the disk and the path.",
  ];
  const free = await freeBytes(dirname(path));
  const space = [
    ...(needed === undefined ? [] : [`${formatBytes(needed)} are needed`]),
    ...(free === undefined ? [] : [`${formatBytes(free)} are free`]),
  ];
  const detail = space.length === 0 ? "" : ` (${space.join(", ")})`;
  return new DeitError(
    `Cannot save ${what} to ${path}: ${reason}${detail}. What was there before is unchanged.`,
    { code: "files/not-written", hint, cause: error },
  );
}

/** Bytes that this user may still write to the disk of `folder`, or undefined when the system does not say. */
async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power] ?? ""}`;
}

function totalBytes(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}
