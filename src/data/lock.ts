/** A lock between processes: a file that only one of them can make. A lock whose process has ended is taken over. */
import { open, readFile, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** On another machine (a shared disk) nobody can ask whether the process lives: then age decides. */
const FOREIGN_LIFETIME = 60 * 60 * 1000;

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
  try {
    await using handle = await open(file, "wx");
    await handle.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  if (await isStale(file)) await rm(file, { force: true });
  return false;
}

async function isStale(file: string): Promise<boolean> {
  const [text, entry] = await Promise.all([readFile(file, "utf8"), stat(file)]).catch(
    () => ["", undefined] as const,
  );
  if (entry === undefined) return false; // just released
  const age = Date.now() - entry.mtimeMs;
  let owner: { pid?: unknown; host?: unknown } = {};
  try {
    owner = JSON.parse(text) as typeof owner;
  } catch {
    return age > 10_000; // made, but not written: its process ended in between
  }
  if (owner.host !== hostname() || typeof owner.pid !== "number") return age > FOREIGN_LIFETIME;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}
