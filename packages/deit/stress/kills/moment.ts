/** A process that is killed at a random moment of its life, or just after it wrote. */
import { spawn } from "node:child_process";
import { watch } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../src/random.ts";

/** How long and how busy an undisturbed process is. */
export interface Life {
  readonly milliseconds: number;
  /** Changes that are seen in the folder. */
  readonly changes: number;
}

export interface End {
  readonly killed: boolean;
  readonly code: number | null;
  readonly milliseconds: number;
  readonly changes: number;
  readonly stderr: string;
}

/** A process that does not end by itself within this time hangs. */
const LONGEST_MS = 900_000;

/** Runs Node with `args`; with `life` it is killed: half of the time at any moment, else soon after any change in `folder`. */
export async function live(
  args: readonly string[],
  {
    folder,
    env = {},
    kill,
  }: {
    folder: string;
    env?: Readonly<Record<string, string>> | undefined;
    kill?: { readonly life: Life; readonly random: Random } | undefined;
  },
): Promise<End> {
  const start = performance.now();
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env, NO_COLOR: "1" },
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-5000)));
  let killed = false;
  const end = (): void => {
    if (child.exitCode === null) killed = child.kill("SIGKILL");
  };
  let timer = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
  let [changes, fatal] = [0, Infinity];
  if (kill !== undefined) {
    const { life, random } = kill;
    if (random.integer(2) === 0 || life.changes === 0) {
      clearTimeout(timer);
      timer = setTimeout(end, random.uniform(0, life.milliseconds));
    } else fatal = 1 + random.integer(life.changes);
  }
  const watcher = watch(folder, { recursive: true }, () => {
    if (++changes === fatal) void sleep(kill === undefined ? 0 : kill.random.uniform(0, 3)).then(end);
  });
  watcher.on("error", () => {}); // of a folder that came and went while it was being watched
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  watcher.close();
  return { killed, code, milliseconds: performance.now() - start, changes, stderr };
}
