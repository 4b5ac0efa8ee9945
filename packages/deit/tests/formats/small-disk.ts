/** A small disk of its own, to fill it for real: a tmpfs, where this machine lets us mount one (Linux, root). */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallDisk {
  readonly path: string;
  unmount(): void;
}

/** Whether {@link mountSmallDisk} is permitted here: the tests that need it skip otherwise. */
export function canMountSmallDisk(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    mountSmallDisk({ kib: 4 }).unmount();
    return true;
  } catch {
    return false;
  }
}

/** Mount it in a hook, not while tests are collected: hooks of tests that do not run would leave it mounted. */
export function mountSmallDisk({ kib }: { kib: number }): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "deit-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", path], { stdio: "ignore" });
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  return {
    path,
    unmount() {
      execFileSync("umount", [path]);
      rmdirSync(path);
    },
  };
}
