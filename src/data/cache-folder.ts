/** Where pulled datasets live: the cache folder of the user, by each system's custom. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

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
