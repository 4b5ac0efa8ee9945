/** One process at a time in a run folder: the lock of data/lock.ts, which is not waited for. Node only. */
import { join } from "node:path";
import type { Holder } from "../../data/lock-holder.ts";
import { isHere } from "../../data/lock-holder.ts";
import type { HeldLock } from "../../data/lock.ts";
import { tryLock } from "../../data/lock.ts";
import { ConfigError } from "../../errors.ts";
import { describeWriteFailure } from "../../formats/atomic-file.ts";

/** Name of the lock in the folder. */
export const LOCK_FILE = ".lock";

/** What a lock says, in bytes. */
const LOCK_BYTES = 128;

/**
 * Takes the lock of `folder`; one whose process is gone is taken over, so a killed run needs no cleaning up.
 * @throws ConfigError naming the process when a live one holds it, or one on another machine (which cannot be checked)
 */
export async function acquireLock(folder: string): Promise<HeldLock> {
  const path = join(folder, LOCK_FILE);
  const found = await tryLock(path).catch(async (error: unknown) => {
    throw await describeWriteFailure(error, { path, what: "the lock of the run", needed: LOCK_BYTES });
  });
  if ("release" in found) return found;
  throw inUse(folder, path, found.holder);
}

function inUse(folder: string, path: string, holder: Holder | undefined): ConfigError {
  if (holder === undefined) {
    return new ConfigError("outputDir", `${folder} is being opened by another process.`, {
      code: "run/in-use",
      hint: "Try again, or choose another --output-dir.",
    });
  }
  if (!isHere(holder)) {
    return new ConfigError(
      "outputDir",
      `${folder} is in use by process ${holder.pid} on machine ${holder.hostname}.`,
      {
        code: "run/in-use",
        hint: `Choose another --output-dir. If that process is gone, delete ${path} and start again.`,
      },
    );
  }
  const who = holder.pid === process.pid ? `this process (${holder.pid})` : `process ${holder.pid}`;
  return new ConfigError("outputDir", `${folder} is in use by ${who}.`, {
    code: "run/in-use",
    hint: "Wait until it is done or stop it, or choose another --output-dir.",
  });
}
