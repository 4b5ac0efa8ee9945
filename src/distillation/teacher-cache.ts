/**
 * A teacher's answers on disk. Training pictures are a pure function of the recipe, seed, epoch and step, so the logits that
 * a teacher gave one student serve every other student who sees the same pictures.
 *
 * folder/<hash of the key>/ holds key.json, a file of records for each epoch, and a file for each process that uses it. A
 * record is a CRC-32 and the logits of one step; one that is half written or damaged counts as absent and is written again.
 */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { ConfigError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";

export interface TeacherCacheOptions {
  readonly folder: string;
  /** Everything that decides the logits, as JSON. */
  readonly key: object;
  readonly batchSize: number;
  readonly numClasses: number;
  readonly stepsPerEpoch: number;
  /** Of all answers in the folder. Those unused for longest are removed for new ones. */
  readonly maxBytes: number;
}

export interface TeacherCache {
  /** The logits [B, K] of a step, bit for bit as they were written; undefined when they are not there. */
  read(epoch: number, step: number): Promise<Float32Array | undefined>;
  /** Keeps them; does nothing once the folder is full. */
  write(epoch: number, step: number, logits: Float32Array): Promise<void>;
  readonly statistics: { readonly hits: number; readonly misses: number };
  /** Whether answers were not kept for want of space. */
  readonly full: boolean;
  close(): Promise<void>;
}

const KEY_FILE = "key.json";
const EPOCH_FILE = /^\d+\.f32$/;
const IN_USE = "in-use-";
const CHECKSUM_BYTES = 4;

/** @throws ConfigError for a folder that cannot be used */
export async function openTeacherCache({
  folder,
  key,
  batchSize,
  numClasses,
  stepsPerEpoch,
  maxBytes,
}: TeacherCacheOptions): Promise<TeacherCache> {
  const text = canonicalJson(key);
  const name = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const own = join(folder, name);
  const inUse = join(own, `${IN_USE}${process.pid}`);
  try {
    await mkdir(own, { recursive: true });
    await claim(own, text);
    await writeFile(inUse, "");
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(
      "teacherCache",
      `the teacher's answers cannot be kept in ${folder}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { hint: "Give a folder that can be written to, or leave out --teacher-cache.", cause },
    );
  }
  const dataBytes = 4 * batchSize * numClasses;
  const recordBytes = CHECKSUM_BYTES + dataBytes;
  let room = maxBytes - (await folderBytes(folder));
  let full = false;
  let hits = 0;
  let misses = 0;
  let current: { epoch: number; handle: FileHandle; records: Buffer } | undefined;

  const openEpoch = async (epoch: number): Promise<NonNullable<typeof current>> => {
    if (current?.epoch === epoch) return current;
    await current?.handle.close();
    const path = join(own, `${String(epoch).padStart(4, "0")}.f32`);
    const handle = await open(path, "r+").catch(async () => open(path, "w+"));
    const records = Buffer.alloc(stepsPerEpoch * recordBytes);
    await handle.read(records, 0, records.length, 0);
    current = { epoch, handle, records };
    return current;
  };
  const recordOf = (records: Buffer, step: number): Buffer =>
    records.subarray(step * recordBytes, (step + 1) * recordBytes);
  const isWhole = (record: Buffer): boolean =>
    record.length === recordBytes && record.readUInt32LE(0) === crc32(record.subarray(CHECKSUM_BYTES));

  return {
    async read(epoch, step) {
      const record = recordOf((await openEpoch(epoch)).records, step);
      if (!isWhole(record)) {
        misses++;
        return undefined;
      }
      hits++;
      const bytes = Uint8Array.from(record.subarray(CHECKSUM_BYTES));
      return new Float32Array(bytes.buffer);
    },
    async write(epoch, step, logits) {
      if (logits.byteLength !== dataBytes)
        throw new RangeError(`${logits.length} logits, expected ${batchSize} × ${numClasses}`);
      if (room < recordBytes) room += await makeRoom(folder, { keep: name, bytes: recordBytes });
      full = room < recordBytes;
      if (full) return;
      const { records, handle } = await openEpoch(epoch);
      const record = recordOf(records, step);
      if (record.length < recordBytes) throw new RangeError(`step ${step} of ${stepsPerEpoch}`);
      record.set(new Uint8Array(logits.buffer, logits.byteOffset, dataBytes), CHECKSUM_BYTES);
      record.writeUInt32LE(crc32(record.subarray(CHECKSUM_BYTES)), 0);
      await handle.write(record, 0, recordBytes, step * recordBytes);
      room -= recordBytes;
    },
    get statistics() {
      return { hits, misses };
    },
    get full() {
      return full;
    },
    async close() {
      await current?.handle.close();
      current = undefined;
      await rm(inUse, { force: true });
    },
  };
}

/** Writes key.json, or checks that it is the same; its time of change says when the answers were used last. */
async function claim(folder: string, key: string): Promise<void> {
  const path = join(folder, KEY_FILE);
  const there = await readFile(path, "utf8").catch(() => undefined);
  if (there === undefined) {
    await writeFileAtomic(path, key, { what: "the key of a teacher's answers" });
    return;
  }
  if (there !== key) {
    throw new ConfigError("teacherCache", `${path} is the key of other answers`, {
      hint: `Remove the folder ${folder}.`,
    });
  }
  const now = new Date();
  await utimes(path, now, now);
}

/** JSON with sorted keys, so that equal keys are equal texts. */
function canonicalJson(value: unknown): string {
  const sorted = (_: string, inner: unknown): unknown =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner;
  return `${JSON.stringify(value, sorted, 2)}\n`;
}

interface Kept {
  readonly name: string;
  readonly bytes: number;
  readonly usedAt: number;
  readonly inUse: boolean;
}

/** The answers in a folder; what is not ours is left alone. */
async function listKept(folder: string): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const name of await readdir(folder)) {
    const key = await stat(join(folder, name, KEY_FILE)).catch(() => undefined);
    if (key === undefined) continue;
    const files = await readdir(join(folder, name)).catch(() => []);
    let bytes = 0;
    for (const file of files.filter((candidate) => EPOCH_FILE.test(candidate)))
      bytes += (await stat(join(folder, name, file)).catch(() => undefined))?.size ?? 0;
    const users = files
      .filter((file) => file.startsWith(IN_USE))
      .map((file) => Number(file.slice(IN_USE.length)));
    kept.push({ name, bytes, usedAt: key.mtimeMs, inUse: users.some(isAlive) });
  }
  return kept;
}

async function folderBytes(folder: string): Promise<number> {
  return (await listKept(folder)).reduce((total, { bytes }) => total + bytes, 0);
}

/** Removes the answers unused for longest until `bytes` are free. @returns the bytes that were freed */
async function makeRoom(folder: string, { keep, bytes }: { keep: string; bytes: number }): Promise<number> {
  const others = (await listKept(folder)).filter(({ name, inUse }) => name !== keep && !inUse);
  let freed = 0;
  for (const { name, bytes: size } of others.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (freed >= bytes) break;
    await rm(join(folder, name), { recursive: true, force: true });
    freed += size;
  }
  return freed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
