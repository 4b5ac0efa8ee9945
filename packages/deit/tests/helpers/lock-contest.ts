/** Processes that compete for one lock and are killed at random: who was inside, how often, and how long it was waited for. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "../../src/data/lock.ts";
import { createRandom } from "../../src/random.ts";

export interface LockContest {
  /** Times that a process was inside. */
  readonly entered: number;
  /** Of these, times that another living one was. */
  readonly together: number;
  readonly killed: number;
  /** The longest wait, in ms. */
  readonly longestWait: number;
  /** What is left in the folder at the end, once everybody has ended by itself and one more has had the lock. */
  readonly left: readonly string[];
}

export async function contendForLock(
  path: string,
  { seed, seconds, processes = 4 }: { seed: number; seconds: number; processes?: number },
): Promise<LockContest> {
  const random = createRandom(seed, "contest");
  const until = Date.now() + seconds * 1000;
  const counts = { entered: 0, together: 0, killed: 0, longestWait: 0 };
  let children = 0;
  const hear = (line: string): void => {
    const { waited, alone } = JSON.parse(line) as { waited: number; alone: boolean };
    counts.entered++;
    if (!alone) counts.together++;
    counts.longestWait = Math.max(counts.longestWait, waited);
  };
  const start = (): { child: ChildProcess; ended: Promise<void> } => {
    const file = fileURLToPath(new URL("lock-contender.ts", import.meta.url));
    const child = spawn(process.execPath, [file, path, `${seed}${children++}`, String(until)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      lines.forEach(hear);
    });
    return { child, ended: new Promise((resolve) => child.on("close", () => resolve())) };
  };
  const contenders = Array.from({ length: processes }, start);
  while (Date.now() < until - 1000) {
    await new Promise((resolve) => setTimeout(resolve, 100 + 500 * random.uniform()));
    const index = random.integer(processes);
    const victim = contenders[index];
    if (victim === undefined || victim.child.exitCode !== null) continue;
    victim.child.kill("SIGKILL");
    await victim.ended;
    counts.killed++;
    contenders[index] = start();
  }
  await Promise.all(contenders.map(({ ended }) => ended));
  await withLock(path, async () => {}); // on a busy machine those that began last may not have had their turn
  const name = basename(path);
  const left = (await readdir(dirname(path))).filter(
    (file) => file.includes(name) && !file.endsWith(".inside"),
  );
  return { ...counts, left };
}
