/**
 * A teacher's answers on disk. Training images are a pure function of the recipe, seed, epoch and step, so the logits that
 * a teacher gave one student serve every other student who sees the same images, at the same time or later. Node only.
 *
 * folder/<hash of the key>/ holds key.json, a file of records for each epoch, and a mark for each cache that is open. A
 * record is a CRC-32 and the logits of one step; one that is half written or damaged counts as absent and is written again.
 */
import { createHash, randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import {
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  rmdir,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { withLock } from "../data/lock.ts";
import { ConfigError, DeitError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { isTemporaryName } from "../formats/left-overs.ts";

export interface TeacherCacheOptions {
  readonly folder: string;
  /** Everything that decides the logits, as JSON. */
  readonly key: object;
  readonly batchSize: number;
  /** Numbers of the answer to an image: classes, or the width of an embedding. */
  readonly width: number;
  readonly stepsPerEpoch: number;
  /** Of all answers in the folder. Those unused for longest are removed for new ones. */
  readonly maxBytes: number;
}

/** Close it, or declare it with `await using`. */
export interface TeacherCache extends AsyncDisposable {
  /** The logits [B, K] of a step, bit for bit as they were written; undefined when they are not there. */
  read(epoch: number, step: number): Promise<Float32Array | undefined>;
  /** Keeps them; does nothing once the folder is full. They must not change until the promise settles. */
  write(epoch: number, step: number, logits: Float32Array): Promise<void>;
  /** `bytes`: what the answers of this key take, the epoch that is being written in full. */
  readonly statistics: { readonly hits: number; readonly misses: number; readonly bytes: number };
  /** Whether answers were not kept, since the folder has no room for them or the disk refused them. */
  readonly full: boolean;
  /** Waits for what was asked for; after it nothing is read or kept. */
  close(): Promise<void>;
}

const KEY_FILE = "key.json";
const LOCK_FILE = ".lock";
const KEY_FOLDER = /^[0-9a-f]{16}$/;
const EPOCH_FILE = /^\d{4,}\.f32$/;
/** in-use-<process>-<random>, with the name of the machine in it. */
const MARK = /^in-use-(\d+)-[0-9a-f]+$/;
/** Marks are renewed every epoch; an older one was left by a crash, on another machine or before a restart. */
const MARK_LIFETIME = 7 * 24 * 60 * 60 * 1000;
const CHECKSUM_BYTES = 4;

/** @throws ConfigError for a folder that cannot be used */
export async function openTeacherCache({
  folder,
  key,
  batchSize,
  width,
  stepsPerEpoch,
  maxBytes,
}: TeacherCacheOptions): Promise<TeacherCache> {
  const text = canonicalJson(key);
  const name = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const own = join(folder, name);
  const mark = join(own, `in-use-${process.pid}-${randomBytes(4).toString("hex")}`);
  const dataBytes = 4 * batchSize * width;
  const recordBytes = CHECKSUM_BYTES + dataBytes;
  let bytes = 0;
  let full = false;
  let hits = 0;
  let misses = 0;
  let isClosed = false;
  let current: { readonly epoch: number; readonly handle: FileHandle; readonly size: number } | undefined;

  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    await mkdir(folder, { recursive: true });
    return withLock(join(folder, LOCK_FILE), work, { interval: 20 });
  };
  const enter = async (): Promise<void> => {
    await mkdir(own, { recursive: true });
    await claim(own, text);
    await writeFile(mark, hostname());
  };
  try {
    await alone(async () => {
      await enter();
      await removeOldMarks(own);
      bytes = await answersIn(own);
    });
  } catch (cause) {
    throw cause instanceof ConfigError ? cause : unusable(folder, cause);
  }

  const closeEpoch = async (): Promise<void> => {
    await current?.handle.close().catch(() => {});
    current = undefined;
  };
  const openEpoch = async (epoch: number, flags = constants.O_RDWR): Promise<typeof current> => {
    if (current?.epoch === epoch) return current;
    await closeEpoch();
    await Promise.all([touch(mark), touch(join(own, KEY_FILE))]).catch(absent);
    const handle = await open(join(own, `${String(epoch).padStart(4, "0")}.f32`), flags);
    current = { epoch, handle, size: (await handle.stat()).size };
    return current;
  };
  /** Gives an epoch its whole space at once, or what is left: so students side by side keep the bound together. */
  const reserve = async (epoch: number): Promise<typeof current> =>
    alone(async () => {
      await enter();
      await closeEpoch(); // its file may have been removed and made anew
      const file = await openEpoch(epoch, constants.O_RDWR | constants.O_CREAT);
      if (file === undefined) return undefined;
      const wanted = stepsPerEpoch * recordBytes - file.size;
      if (wanted > 0) {
        const size = file.size + Math.min(wanted, await makeRoom(folder, { keep: name, wanted, maxBytes }));
        await file.handle.truncate(size);
        current = { ...file, size };
      }
      bytes = await answersIn(own);
      return current;
    });

  const check = (epoch: number, step: number): void => {
    if (!(Number.isSafeInteger(epoch) && epoch >= 0))
      throw new RangeError(`epoch ${epoch}, expected 0 or more`);
    if (!(Number.isSafeInteger(step) && step >= 0 && step < stepsPerEpoch))
      throw new RangeError(`step ${step} of ${stepsPerEpoch}`);
  };
  /** Of the logits and their place: a record that was moved is damaged, too. */
  const checksum = (epoch: number, step: number, data: Uint8Array): number =>
    crc32(data, crc32(`${name} ${epoch} ${step} ${batchSize}×${width}`));

  const readRecord = async (epoch: number, step: number): Promise<Float32Array | undefined> => {
    const header = Buffer.alloc(CHECKSUM_BYTES);
    const data = new Uint8Array(dataBytes);
    const file = await openEpoch(epoch);
    const length = (await file?.handle.readv([header, data], step * recordBytes))?.bytesRead;
    const isWhole = length === recordBytes && header.readUInt32LE(0) === checksum(epoch, step, data);
    return isWhole ? new Float32Array(data.buffer) : undefined;
  };
  const writeRecord = async (epoch: number, step: number, data: Uint8Array): Promise<boolean> => {
    const end = (step + 1) * recordBytes;
    let file = await openEpoch(epoch).catch(() => undefined);
    if ((file === undefined || file.size < end) && !full) file = await reserve(epoch);
    if (file === undefined || file.size < end) return false;
    const header = Buffer.alloc(CHECKSUM_BYTES);
    header.writeUInt32LE(checksum(epoch, step, data));
    return (await file.handle.writev([header, data], end - recordBytes)).bytesWritten === recordBytes;
  };

  let last: Promise<unknown> = Promise.resolve();
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };

  const close = async (): Promise<void> =>
    inTurn(async () => {
      isClosed = true;
      await closeEpoch();
      await rm(mark, { force: true });
    });

  return {
    async read(epoch, step) {
      check(epoch, step);
      return inTurn(async () => {
        const logits = isClosed ? undefined : await readRecord(epoch, step).catch(absent);
        if (logits === undefined) misses++;
        else hits++;
        return logits;
      });
    },
    async write(epoch, step, logits) {
      check(epoch, step);
      if (logits.byteLength !== dataBytes)
        throw new RangeError(`${logits.length} numbers, expected ${batchSize} × ${width}`);
      const data = new Uint8Array(logits.buffer, logits.byteOffset, dataBytes);
      await inTurn(async () => {
        if (isClosed) return;
        const isKept = await writeRecord(epoch, step, data).catch(absent);
        if (isKept !== true) full = true;
      });
    },
    get statistics() {
      return { hits, misses, bytes };
    },
    get full() {
      return full;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A cache never ends a training: what the system refuses to read or write is absent. Mistakes of ours pass. */
function absent(error: unknown): undefined {
  if (error instanceof DeitError || /^E[A-Z0-9]+$/.test(codeOf(error) ?? "")) return undefined;
  throw error;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function unusable(folder: string, cause: unknown): ConfigError {
  const reasons: Readonly<Record<string, string>> = {
    EEXIST: "a file of that name is in the way",
    ENOTDIR: "a file of that name is in the way",
    EACCES: "no permission to write there",
    EPERM: "no permission to write there",
    EROFS: "the disk is read-only",
    ENOSPC: "no space left on the disk",
  };
  const code = codeOf(cause instanceof DeitError ? cause.cause : cause);
  const reason = reasons[code ?? ""] ?? (cause instanceof Error ? cause.message : String(cause));
  return new ConfigError("teacherCache", `${folder} cannot cache the teacher's outputs: ${reason}.`, {
    code: "distillation/cache-unusable",
    hint: "Give a folder that can be written to, or leave out --teacher-cache.",
    cause,
  });
}

/** Writes key.json, or checks that it is the same; its time of change says when the answers were used last. */
async function claim(folder: string, key: string): Promise<void> {
  const path = join(folder, KEY_FILE);
  const there = await readFile(path, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (there === undefined) {
    await writeFileAtomic(path, key, { what: "the key of a teacher's cached outputs" });
    return;
  }
  if (there !== key) {
    throw new ConfigError("teacherCache", `${path} is the key of other outputs`, {
      code: "distillation/cache-unusable",
      hint: `Remove the folder ${folder}.`,
    });
  }
  await touch(path);
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

/** JSON with sorted keys and without what is undefined, so that equal keys are equal texts. */
function canonicalJson(value: unknown): string {
  const sorted = (_: string, inner: unknown): unknown =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner;
  return `${JSON.stringify(value, sorted, 2)}\n`;
}

/**
 * Removes the answers unused for longest, none that are in use, until `wanted` bytes more are within `maxBytes`.
 * @returns the bytes that there is room for, which may be fewer
 */
async function makeRoom(
  folder: string,
  { keep, wanted, maxBytes }: { keep: string; wanted: number; maxBytes: number },
): Promise<number> {
  const kept = await listKept(folder);
  let room = maxBytes - kept.reduce((total, { bytes }) => total + bytes, 0);
  for (const { name, path, bytes } of kept.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (room >= wanted) break;
    if (name === keep || (await marks(path)).some(({ isLive }) => isLive)) continue;
    await removeKept(path);
    room += bytes - (await answersIn(path));
  }
  return Math.max(room, 0);
}

interface Kept {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

async function listKept(folder: string): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const name of (await readdir(folder)).filter((candidate) => KEY_FOLDER.test(candidate))) {
    const path = join(folder, name);
    const key = await stat(join(path, KEY_FILE)).catch(() => undefined);
    if (key !== undefined) kept.push({ name, path, bytes: await answersIn(path), usedAt: key.mtimeMs });
  }
  return kept;
}

/** Bytes of the answers to one key. */
async function answersIn(path: string): Promise<number> {
  const files = (await namesIn(path)).filter((name) => EPOCH_FILE.test(name));
  const entries = await Promise.all(files.map(async (name) => stat(join(path, name)).catch(() => undefined)));
  return entries.reduce((total, entry) => total + (entry?.isFile() ? entry.size : 0), 0);
}

/** Removes what is ours; the key last, so that a removal that was cut off can be finished. */
async function removeKept(path: string): Promise<void> {
  const names = await namesIn(path);
  const answers = names.filter((name) => EPOCH_FILE.test(name));
  const others = names.filter((name) => MARK.test(name) || isTemporaryName(name));
  for (const name of [...answers, ...others, KEY_FILE])
    await rm(join(path, name), { force: true }).catch(absent);
  await rmdir(path).catch(absent);
}

/** Who uses the answers to one key. A mark is left behind by a process that was killed. */
async function marks(path: string): Promise<{ readonly file: string; readonly isLive: boolean }[]> {
  const found = (await namesIn(path)).flatMap((name) => {
    const pid = MARK.exec(name)?.[1];
    return pid === undefined ? [] : [{ file: join(path, name), pid: Number(pid) }];
  });
  return Promise.all(found.map(async ({ file, pid }) => ({ file, isLive: await isLive(file, pid) })));
}

async function isLive(mark: string, pid: number): Promise<boolean> {
  const [host, entry] = await Promise.all([readFile(mark, "utf8"), stat(mark)]).catch(() => [] as const);
  if (entry === undefined || Date.now() - entry.mtimeMs > MARK_LIFETIME) return false;
  if (host !== hostname()) return true; // nobody can ask
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

async function removeOldMarks(path: string): Promise<void> {
  for (const { file, isLive } of await marks(path)) if (!isLive) await rm(file, { force: true });
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch(() => []);
}
