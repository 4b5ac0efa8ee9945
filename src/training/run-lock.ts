/**
 * One process at a time in a run folder: a lock file that says who. A lock whose process is gone is taken over,
 * so a killed run needs no cleaning up. Locks bind the programs that ask for them, nothing else. Node only.
 */
import { constants } from "node:fs";
import { copyFile, link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { describeWriteFailure, temporaryName } from "../formats/atomic-file.ts";
import { ConfigError } from "../errors.ts";

/** Name of the lock in the folder. */
export const LOCK_FILE = ".lock";

/** A held lock. */
export interface RunLock {
  /** Removes the lock if it is still ours; may be called twice. */
  release(): Promise<void>;
}

/** Who holds a lock. The start time tells a process from a later one that got the same number. */
interface Holder {
  readonly pid: number;
  /** In the system's own units, or null where it does not tell (elsewhere than Linux). */
  readonly startTime: string | null;
  readonly hostname: string;
}

/** Locks that come and go while we look are tried again; more rounds than that mean someone competes with us. */
const ATTEMPTS = 5;

/**
 * Takes the lock of `folder`.
 * @throws ConfigError naming the process when a live one holds it, or one on another machine (which cannot be checked)
 */
export async function acquireLock(folder: string): Promise<RunLock> {
  const path = join(folder, LOCK_FILE);
  const self: Holder = { pid: process.pid, startTime: await startTimeOf(process.pid), hostname: hostname() };
  const text = `${JSON.stringify(self)}\n`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await create(path, text)) return { release: () => release(path, text) };
    const found = await readFile(path, "utf8").catch(() => undefined);
    if (found === undefined) continue;
    const holder = parseHolder(found);
    // A lock that cannot be read was cut off by a crash or a full disk: nobody stands behind it.
    if (holder !== undefined && (await isAlive(holder))) throw inUse(folder, path, holder);
    await removeStale(path, found);
  }
  throw inUse(folder, path, undefined);
}

/** Creates the lock whole or not at all; false when there is one. */
async function create(path: string, text: string): Promise<boolean> {
  const draft = besides(path);
  try {
    await writeFile(draft, text, { flag: "wx" });
    await link(draft, path).catch(async (error: unknown) => {
      if (hasCode(error, "EEXIST", "ENOENT")) throw error;
      // Disks without hard links (exFAT, some network disks).
      await copyFile(draft, path, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    // ENOENT: the one who got the lock has cleaned our draft away.
    if (hasCode(error, "EEXIST", "ENOENT")) return false;
    throw await describeWriteFailure(error, { path, what: "the lock of the run", needed: text.length });
  } finally {
    await unlink(draft).catch(() => {});
  }
}

/** Moves the stale lock away and looks again: had another process just replaced it, that one gets it back. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = besides(path);
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, "utf8").catch(() => stale)) !== stale) await link(aside, path).catch(() => {});
  await unlink(aside).catch(() => {});
}

/** A name that is cleaned away with other temporary files if we are killed here. */
function besides(path: string): string {
  return join(dirname(path), temporaryName(basename(path)));
}

async function release(path: string, text: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => undefined)) === text) await unlink(path).catch(() => {});
}

function inUse(folder: string, path: string, holder: Holder | undefined): ConfigError {
  if (holder === undefined) {
    return new ConfigError("outputDir", `${folder} is being opened by another process.`, {
      hint: "Try again, or choose another --output-dir.",
    });
  }
  if (holder.hostname !== hostname()) {
    return new ConfigError(
      "outputDir",
      `${folder} is in use by process ${holder.pid} on machine ${holder.hostname}.`,
      {
        hint: `Choose another --output-dir. If that process is gone, delete ${path} and start again.`,
      },
    );
  }
  const who = holder.pid === process.pid ? `this process (${holder.pid})` : `process ${holder.pid}`;
  return new ConfigError("outputDir", `${folder} is in use by ${who}.`, {
    hint: "Wait until it is done or stop it, or choose another --output-dir.",
  });
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startTime, hostname: host } = JSON.parse(text) as Record<string, unknown>;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0 || typeof host !== "string")
      return undefined;
    return { pid, startTime: typeof startTime === "string" ? startTime : null, hostname: host };
  } catch {
    return undefined;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.hostname !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's.
    if (!hasCode(error, "EPERM")) return false;
  }
  const startTime = await startTimeOf(holder.pid);
  return startTime === null || holder.startTime === null || startTime === holder.startTime;
}

/** Start of a process from /proc (clock ticks since boot); "dead" for one that ended but was not yet collected. */
async function startTimeOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  // The name in parentheses may hold anything; the fields after it are state (3rd), …, start time (22nd).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? "dead" : (fields[19] ?? null);
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
