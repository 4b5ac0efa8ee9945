/** What a lock file says (lock.ts), and whether the process behind it still lives. Node only. */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

/** Who holds a lock. The start time tells a process from a later one that got the same number. */
export interface Holder {
  readonly pid: number;
  /** In the system's own units, or null where it does not tell (elsewhere than Linux). */
  readonly startTime: string | null;
  readonly hostname: string;
}

export async function thisProcess(): Promise<Holder> {
  return { pid: process.pid, startTime: await startTimeOf(process.pid), hostname: hostname() };
}

/** Undefined for what was cut off or is not a holder. */
export function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startTime, hostname: host } = JSON.parse(text) as Record<string, unknown>;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0 || typeof host !== "string")
      return undefined;
    return { pid, startTime: typeof startTime === "string" ? startTime : null, hostname: host };
  } catch {
    return undefined;
  }
}

/** Whether the holder is of this machine. Of others nobody can ask whether they live. */
export function isHere(holder: Holder): boolean {
  return holder.hostname === hostname();
}

/** Whether a process of this number runs on this machine. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's.
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  return (await startTimeOf(pid)) !== "dead";
}

/** Whether a holder of this machine lives. */
export async function isAlive(holder: Holder): Promise<boolean> {
  if (!(await isRunning(holder.pid))) return false;
  const startTime = await startTimeOf(holder.pid);
  return startTime === null || holder.startTime === null || startTime === holder.startTime;
}

/** Start of a process from /proc (clock ticks since boot); "dead" for one that ended but was not yet collected. */
async function startTimeOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return stat === null ? null : startTimeIn(stat);
}

/**
 * From the text of /proc/PID/stat. The first thread of a killed process is a zombie at once; others may be within a call
 * that still writes or removes a file, and until they have ended, too, the process is not dead.
 */
export function startTimeIn(stat: string): string | null {
  // The name in parentheses may hold anything; the fields after it are state (3rd), …, threads (20th), …, start time (22nd).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const hasEnded = /^[ZX]$/.test(fields[0] ?? "") && Number(fields[17]) <= 1;
  return hasEnded ? "dead" : (fields[19] ?? null);
}
