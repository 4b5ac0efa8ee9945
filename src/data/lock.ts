/** A lock between processes: a file that only one of them can make. A lock whose process has ended is taken over. */
import { randomUUID } from "node:crypto";
import { open, readFile, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, isHere, parseHolder, removeStale, thisProcess } from "./lock-holder.ts";

/** On another machine (a shared disk) nobody can ask whether the process lives: then age decides. */
const FOREIGN_LIFETIME = 60 * 60 * 1000;
/** Made, but not written: its process ended in between. */
const UNWRITTEN_LIFETIME = 10_000;

/** Runs `work` while holding the lock; waits for whoever has it, telling `onWait` once. */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  {
    onWait,
    signal,
    interval = 500,
  }: { onWait?: () => void; signal?: AbortSignal | undefined; interval?: number } = {},
): Promise<T> {
  let hasTold = false;
  while (!(await take(file))) {
    if (!hasTold) onWait?.();
    hasTold = true;
    await sleep(interval, undefined, signal ? { signal } : {});
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  const text = JSON.stringify(await thisProcess());
  try {
    await using handle = await open(file, "wx");
    await handle.writeFile(text);
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const stale = await staleText(file);
  if (stale !== undefined) await removeStale(file, { stale, aside: `${file}.${randomUUID()}` });
  return false;
}

/** What a lock says that nobody stands behind any more; undefined for others. */
async function staleText(file: string): Promise<string | undefined> {
  const [text, entry] = await Promise.all([readFile(file, "utf8"), stat(file)]).catch(
    () => ["", undefined] as const,
  );
  if (entry === undefined) return undefined; // just released
  const age = Date.now() - entry.mtimeMs;
  const holder = parseHolder(text);
  const isStale =
    holder === undefined
      ? age > UNWRITTEN_LIFETIME
      : isHere(holder)
        ? !(await isAlive(holder))
        : age > FOREIGN_LIFETIME;
  return isStale ? text : undefined;
}
