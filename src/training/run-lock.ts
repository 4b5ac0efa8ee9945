/**
 * One process at a time in a run folder: a lock file that says who. A lock whose process is gone is taken over,
 * so a killed run needs no cleaning up. Locks bind the programs that ask for them, nothing else. Node only.
 */
import { constants } from "node:fs";
import { copyFile, link, readFile, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Holder } from "../data/lock-holder.ts";
import { isAlive, isHere, parseHolder, removeStale, thisProcess } from "../data/lock-holder.ts";
import { describeWriteFailure, temporaryName } from "../formats/atomic-file.ts";
import { ConfigError } from "../errors.ts";

/** Name of the lock in the folder. */
export const LOCK_FILE = ".lock";

/** A held lock. */
export interface RunLock {
  /** Removes the lock if it is still ours; may be called twice. */
  release(): Promise<void>;
}

/** Locks that come and go while we look are tried again; more rounds than that mean someone competes with us. */
const ATTEMPTS = 5;

/**
 * Takes the lock of `folder`.
 * @throws ConfigError naming the process when a live one holds it, or one on another machine (which cannot be checked)
 */
export async function acquireLock(folder: string): Promise<RunLock> {
  const path = join(folder, LOCK_FILE);
  const text = `${JSON.stringify(await thisProcess())}\n`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await create(path, text)) return { release: () => release(path, text) };
    const found = await readFile(path, "utf8").catch(() => undefined);
    if (found === undefined) continue;
    const holder = parseHolder(found);
    // A lock that cannot be read was cut off by a crash or a full disk: nobody stands behind it.
    if (holder !== undefined && (!isHere(holder) || (await isAlive(holder))))
      throw inUse(folder, path, holder);
    await removeStale(path, { stale: found, aside: besides(path) });
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
  if (!isHere(holder)) {
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

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
