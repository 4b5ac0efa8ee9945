/** What a process and its descendants hold, from Linux' /proc. */
import { readdir, readFile } from "node:fs/promises";

export interface Usage {
  /**
   * In bytes: memory of no file, shares of what is shared. Pages of programs and libraries are left out: how much of them is a
   * process's depends on which others run.
   */
  readonly bytes: number;
  /** Processor seconds since the processes began. */
  readonly cpuSeconds: number;
}

const TICKS = 100; // of a second, on every Linux that Node runs on

/** Of a process and all its descendants that live now; undefined when it has ended. */
export async function usageOf(pid: number): Promise<Usage | undefined> {
  const found = new Map<number, { parent: number; cpuSeconds: number }>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/stat`, "latin1").catch(() => "");
    // "pid (name with anything) state ppid …", user and system ticks as fields 14 and 15
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    if (fields.length < 14) continue;
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS;
    found.set(Number(name), { parent: Number(fields[1]), cpuSeconds });
  }
  if (!found.has(pid)) return undefined;
  let [bytes, cpuSeconds] = [0, 0];
  for (const [process, { cpuSeconds: own }] of found) {
    let at: number | undefined = process;
    while (at !== undefined && at !== pid) at = found.get(at)?.parent;
    if (at === undefined) continue;
    const rollup = await readFile(`/proc/${process}/smaps_rollup`, "latin1").catch(() => "");
    for (const [, kib] of rollup.matchAll(/^Pss_(?:Anon|Shmem):\s+(\d+) kB$/gm)) bytes += 1024 * Number(kib);
    cpuSeconds += own;
  }
  return { bytes, cpuSeconds };
}

/** Growth that is none: the levels of a heap between two collections. */
const NOISE = 0.1;

/**
 * Whether memory is flat: the median of the last fifth of the samples is at most a tenth above that of the second fifth (the
 * first holds the start). In words what is wrong, else undefined.
 */
export function growth(samples: readonly number[]): string | undefined {
  const part = (index: number): number => {
    const at = (i: number): number => Math.round((i * samples.length) / 5);
    const sorted = samples.slice(at(index), at(index + 1)).toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  };
  if (samples.length < 10) return `${samples.length} samples say nothing`;
  const [early, late] = [part(1), part(4)];
  if (late <= early * (1 + NOISE)) return undefined;
  return `memory grew from ${Math.round(early / 1e6)} to ${Math.round(late / 1e6)} MB`;
}
