/** Looking at a machine that may be odd in any way: what cannot be read or run is undefined, never an error. */

import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const TIMEOUT_MS = 4000;

/** What `look` returns, or undefined where it throws. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

export function readText(path: string): string | undefined {
  return attempt(() => readFileSync(path, "utf8"));
}

/** Full paths of a folder's entries, sorted; none where it cannot be read. */
export function entries(folder: string): string[] {
  return (attempt(() => readdirSync(folder)) ?? []).toSorted().map((name) => join(folder, name));
}

/** A program's standard output; undefined where it is missing, fails or takes too long. */
export function outputOf(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    try {
      execFile(
        command,
        args,
        { timeout: TIMEOUT_MS, windowsHide: true, maxBuffer: 1 << 24 },
        (error, stdout) => resolve(error === null ? stdout : undefined),
      );
    } catch {
      resolve(undefined);
    }
  });
}
