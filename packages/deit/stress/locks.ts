/** Processes that compete for one lock and are killed at random: never two holders, no long wait, nothing left. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contendForLock } from "../tests/helpers/lock-contest.ts";
import type { PartResult } from "./report.ts";

const LONGEST_WAIT = 5000;

export async function stressLocks({
  seconds,
  seed,
  onFault = () => {},
}: {
  seconds: number;
  seed: number;
  onFault?: (text: string) => void;
}): Promise<PartResult> {
  const folder = await mkdtemp(join(tmpdir(), "deit-locks-"));
  try {
    const path = join(folder, "lock");
    const { entered, together, longestWait, left } = await contendForLock(path, { seed, seconds });
    const faults = [
      ...Array.from({ length: together }, () => "two held the lock"),
      ...(longestWait > LONGEST_WAIT ? [`one waited ${longestWait} ms`] : []),
      ...left.map((name) => `${name} is left over`),
    ];
    faults.forEach((fault) => onFault(fault));
    return { count: entered, faults, worstSeconds: longestWait / 1000, worstBytes: undefined };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
