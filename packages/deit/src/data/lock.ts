/**
 * A lock between processes: a file that says who holds it. It is made whole or not at all (written beside, then linked), so
 * one process alone can make it. A lock whose process has ended is taken over, which needs a lock of its own, named after
 * what the dead one says: who holds that may remove the dead lock, once it has seen that it is still this one. So nobody
 * removes a lock that was made in the meantime, and a lock that was released does not come back. Locks bind the programs
 * that ask for them, nothing else. Node only.
 */
import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, link, readdir, readFile, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Holder } from "./lock-holder.ts";
import { isAlive, isHere, isRunning, parseHolder, thisProcess } from "./lock-holder.ts";

/** A lock that this process holds. */
export interface HeldLock {
  /** Removes the lock if it is still ours; may be called twice. */
  release(): Promise<void>;
}

/** Of another machine (a shared disk) nobody can ask whether the process lives: it shows that by touching its lock. */
const TOUCHED_EVERY = 60_000;
const FOREIGN_LIFETIME = 60 * 60 * 1000;
/** A lock that cannot be read is being written, on disks without links, or was cut off by a crash. */
const UNREADABLE_LIFETIME = 1000;
/** What was left empty is no longer being written after this time. */
const SWEPT_AFTER = 10_000;
/** Locks that come and go while we look are tried again, for so long. */
const PATIENCE = 5000;

interface LockOptions {
  /** Whether a lock of another machine that was not touched for an hour is taken over. */
  readonly takesForeign?: boolean;
}

/** Takes the lock, or says who has it: undefined where that changes too fast to be told. Does not wait for a holder. */
export async function tryLock(
  path: string,
  { takesForeign = false }: LockOptions = {},
): Promise<HeldLock | { readonly holder: Holder | undefined }> {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await attempt(path, takesForeign);
    if (found !== undefined && ("release" in found || found.holder !== undefined)) return found;
    if (Date.now() > end) return { holder: undefined };
    await sleep(5 + 45 * Math.random());
  }
}

/** Runs `work` while holding the lock; waits for whoever has it, telling `onWait` once. `interval`: between looks, in ms. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  {
    onWait,
    signal,
    interval = 200,
  }: { onWait?: () => void; signal?: AbortSignal | undefined; interval?: number } = {},
): Promise<T> {
  let hasTold = false;
  for (;;) {
    const found = await attempt(path, true);
    if (found !== undefined && "release" in found) {
      try {
        return await work();
      } finally {
        await found.release();
      }
    }
    if (!hasTold && found !== undefined) {
      onWait?.();
      hasTold = true;
    }
    await sleep(interval * (0.5 + Math.random() / 2), undefined, signal ? { signal } : {});
  }
}

/** One try. Undefined when the lock was just released, or removed because its process had ended. */
async function attempt(
  path: string,
  takesForeign: boolean,
): Promise<HeldLock | { readonly holder: Holder | undefined } | undefined> {
  const mine = await create(path);
  if (mine.text !== undefined) {
    if (!swept.has(path)) await sweep(path, mine.now);
    swept.add(path);
    return held(path, mine.text);
  }
  const found = await look(path);
  if (found === undefined) return undefined;
  if (!(await isDead(found, { now: mine.now, takesForeign }))) return { holder: found.holder };
  await removeDead(path, found.text, takesForeign);
  return undefined;
}

/** What lies at a lock's place. */
interface FoundLock {
  readonly text: string;
  /** Undefined when it cannot be read. */
  readonly holder: Holder | undefined;
  readonly touched: number;
}

async function look(path: string): Promise<FoundLock | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    return { text, holder: parseHolder(text), touched: mtimeMs };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined; // just released
    throw error;
  }
}

async function isDead(
  { holder, touched }: FoundLock,
  { now, takesForeign }: { now: number; takesForeign: boolean },
): Promise<boolean> {
  if (holder === undefined) return now - touched > UNREADABLE_LIFETIME;
  if (isHere(holder)) return !(await isAlive(holder));
  return takesForeign && now - touched > FOREIGN_LIFETIME;
}

/** Removes a dead lock, unless another process is about to, or it is no longer there. */
async function removeDead(path: string, text: string, takesForeign: boolean): Promise<void> {
  const claim = besides(path, `c${createHash("sha256").update(text).digest("hex")}`);
  const mine = await create(claim);
  if (mine.text === undefined) {
    // Who was about to may have ended meanwhile.
    const other = await look(claim);
    if (other !== undefined && (await isDead(other, { now: mine.now, takesForeign })))
      await removeDead(claim, other.text, takesForeign);
    return;
  }
  try {
    const found = await look(path);
    if (found?.text === text && (await isDead(found, { now: mine.now, takesForeign }))) await remove(path);
  } finally {
    await remove(claim);
  }
  await sweep(path, mine.now);
}

/** Locks beside which this process has looked: once will do. */
const swept = new Set<string>();

/** Removes what processes left beside a lock that were killed while they made it or took it over. */
async function sweep(path: string, now: number): Promise<void> {
  const [folder, start] = [dirname(path), `.${basename(path)}.`];
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(start) && each.endsWith(".tmp"))) {
    const found = await look(join(folder, name)).catch(() => undefined);
    if (found === undefined) continue;
    const { holder, touched } = found;
    const isLeft =
      holder === undefined
        ? now - touched > SWEPT_AFTER || (await isEmptyDraft(name))
        : isHere(holder) && !(await isAlive(holder));
    if (isLeft) await remove(join(folder, name));
  }
}

/**
 * Whether a draft that says nothing yet is of a process that runs here no more. A process of another machine whose draft is
 * taken away so finds the lock taken, and tries again.
 */
async function isEmptyDraft(name: string): Promise<boolean> {
  const [, pid] = /\.d([0-9a-f]{6})[0-9a-f]{5}\.tmp$/.exec(name) ?? [];
  return pid !== undefined && !(await isRunning(Number.parseInt(pid, 16)));
}

/** Creates the lock whole or not at all. Its text, when it is ours; and what time it is on that disk. */
async function create(path: string): Promise<{ readonly text: string | undefined; readonly now: number }> {
  const pid = process.pid.toString(16).padStart(6, "0").slice(-6);
  const draft = besides(path, `d${pid}${randomBytes(3).toString("hex")}`);
  const text = `${JSON.stringify({ ...(await thisProcess()), token: randomBytes(8).toString("hex") })}\n`;
  let now = Date.now();
  try {
    await writeFile(draft, text, { flag: "wx" });
    now = (await stat(draft)).mtimeMs;
    await link(draft, path).catch(async (error: unknown) => {
      if (hasCode(error, "EEXIST", "ENOENT")) throw error;
      // Disks without hard links (exFAT, some network disks).
      await copyFile(draft, path, constants.COPYFILE_EXCL);
    });
    return { text, now };
  } catch (error) {
    // ENOENT of the draft: who got the lock has cleaned it away. Of the folder: that is an error.
    const isTaken = hasCode(error, "EEXIST") || (hasCode(error, "ENOENT") && (await isFolder(dirname(path))));
    if (isTaken) return { text: undefined, now };
    throw error;
  } finally {
    await remove(draft);
  }
}

function held(path: string, text: string): HeldLock {
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {}); // removed by hand: nothing to show any more
  }, TOUCHED_EVERY);
  touch.unref();
  return {
    release: async () => {
      clearInterval(touch);
      if ((await readFile(path, "utf8").catch(() => undefined)) === text) await remove(path);
    },
  };
}

/** A name that is cleaned away with other unfinished files (formats/atomic-file.ts) if we are killed here. */
function besides(path: string, hex: string): string {
  return join(dirname(path), `.${basename(path)}.${hex.slice(0, 12)}.tmp`);
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => {});
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
