/**
 * Unfinished files and folders say in their names which process makes them, so that what a killed one left is known, and
 * removed by whoever writes there next. Node only.
 */
import { createHash, randomBytes } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";

/** Of another machine (a shared disk) nobody can ask whether the process lives. */
const FOREIGN_LIFETIME = 24 * 60 * 60 * 1000;
const HOST = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);

/** This process in a name: eight hexadecimal digits of its machine, its number. */
export const OWNER = `${HOST}-${process.pid}`;

/** A name for an unfinished file beside `base`, new with every call. */
export function temporaryName(base: string): string {
  return `.${base}.${OWNER}-${randomBytes(3).toString("hex")}.tmp`;
}

/** Names of {@link temporaryName}, and of locks that are being made (data/lock.ts). */
const TEMPORARY = /^\..+\.(?:([0-9a-f]{8}-\d+)-[0-9a-f]{6}|[0-9a-f]{12})\.tmp$/;

/** Whether a file of this name is an unfinished write. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

/** Whether the process that made `path` can no longer be at it. `owner`: as {@link OWNER}, or a number alone. */
export async function isAbandoned(path: string, owner: string): Promise<boolean> {
  const [, host, pid] = /^(?:([0-9a-f]{8})-)?(\d+)$/.exec(owner) ?? [];
  if (host !== undefined && host !== HOST) {
    const touched = (await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity;
    return Date.now() - touched > FOREIGN_LIFETIME;
  }
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "EPERM"); // another user's
  }
}

/** Folders that this process has looked through. */
const cleared = new Set<string>();

/** Removes unfinished files of killed processes from a folder, when this process writes there for the first time. */
export async function clearTemporaries(folder: string): Promise<void> {
  const path = resolve(folder);
  if (cleared.has(path)) return;
  cleared.add(path);
  for (const name of await readdir(path).catch(() => [])) {
    const owner = TEMPORARY.exec(name)?.[1];
    if (owner !== undefined && (await isAbandoned(join(path, name), owner)))
      await rm(join(path, name), { force: true }).catch(() => {});
  }
}
