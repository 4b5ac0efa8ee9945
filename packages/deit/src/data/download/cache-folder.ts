/** Where pulled datasets and weights live: the cache folder of the user, by each system's custom. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { DataError } from "../../errors.ts";

/** `DEIT_CACHE` if it is set, else ~/.cache/deit-ts (or XDG_CACHE_HOME), ~/Library/Caches/deit-ts, %LOCALAPPDATA%\deit-ts. */
export function cacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  if (environment["DEIT_CACHE"]) return resolve(environment["DEIT_CACHE"]);
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "deit-ts");
  if (platform === "win32")
    return join(environment["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "deit-ts");
  return join(environment["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "deit-ts");
}

/** The disk's complaints about a cache, as its user needs them: which folder, and the variable that names another. */
export function cacheFailure(
  cause: unknown,
  { folder, variable }: { folder: string; variable: string },
): DataError | undefined {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (cause instanceof DataError) return undefined;
  // Node says ENOENT when it cannot make folders on a disk that is for reading only
  const isUnnamed =
    code === "ENOENT" && cause instanceof Error && "syscall" in cause && cause.syscall === "mkdir";
  if (isUnnamed || ["EACCES", "EROFS", "EPERM", "ENOTDIR", "EEXIST"].includes(code)) {
    const why = isUnnamed ? "" : ` (${code})`;
    return new DataError(folder, `the cache folder ${folder} cannot be written${why}`, {
      code: "files/not-written",
      hint: `Change its permissions, or set ${variable} to another folder.`,
      cause,
    });
  }
  if (code !== "ENOSPC" && code !== "EDQUOT") return undefined;
  return new DataError(folder, `there is no space left in the cache folder ${folder}`, {
    code: "files/not-written",
    hint: `Free some and start the same command again, which resumes where it stopped; or set ${variable} to a folder on another disk.`,
    cause,
  });
}
