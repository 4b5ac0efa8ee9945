/** The ranks below a launcher, by /proc. Linux only. */
import { readdirSync, readFileSync } from "node:fs";

/** Process numbers of the Node processes that a launcher started, by rank. */
export function rankProcesses(launcher: number): number[] {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const parents = new Map(processes.map((pid) => [Number(pid), parentOf(pid)]));
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === launcher || isBelow(parent));
  };
  const ranks = [...parents.keys()].flatMap((pid) => {
    const rank = isBelow(pid) ? rankOf(pid) : undefined;
    return rank === undefined ? [] : [{ pid, rank }];
  });
  return ranks.toSorted((a, b) => a.rank - b.rank).map(({ pid }) => pid);
}

function parentOf(pid: string): number | undefined {
  const text = read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return text === "" ? undefined : Number(fields[1]);
}

/** Undefined for a launcher's own helpers, and for what a rank has started itself. */
function rankOf(pid: number): number | undefined {
  if (!read(`/proc/${pid}/cmdline`).includes("main.ts")) return undefined;
  const rank = /(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)/.exec(read(`/proc/${pid}/environ`))?.[1];
  return rank === undefined ? undefined : Number(rank);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
