/**
 * Exports are made beside their place and put there when they are whole: what was there before stays until then, also when
 * the process is killed. What killed ones left is removed by the next export to the same place.
 */
import { createHash } from "node:crypto";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { describeWriteFailure } from "../formats/atomic-file.ts";

/** Of another machine (a shared disk) nobody can ask whether the process lives. */
const FOREIGN_LIFETIME = 24 * 60 * 60 * 1000;
const HOST = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
const OLD = ".old";

/**
 * Runs `work`, which makes the file or folder that it is given, and names others after it if it needs more; then puts it at
 * `out`. @throws DeitError when the disk is full or not to be written
 */
export async function staged<T>(out: string, work: (place: string) => Promise<T>): Promise<T> {
  const place = join(dirname(out), `.${basename(out)}.${HOST}-${process.pid}.partial`);
  try {
    await clearLeftOvers(out);
    const result = await work(place);
    await takePlace(place, out);
    return result;
  } catch (error) {
    throw await describeWriteFailure(error, { path: out, what: "the export" });
  } finally {
    for (const path of await partsOf(place)) await rm(path, { recursive: true, force: true });
  }
}

/** A file is replaced in one step, a folder in two; between them the old one can be found again by the next export. */
async function takePlace(place: string, out: string): Promise<void> {
  const there = await stat(out).catch(() => undefined);
  const isFile = await stat(place).then((entry) => entry.isFile());
  if (there === undefined || (there.isFile() && isFile)) return rename(place, out);
  const old = `${place}${OLD}`;
  await rename(out, old);
  await rename(place, out).catch(async (error: unknown) => {
    await rename(old, out);
    throw error;
  });
}

async function clearLeftOvers(out: string): Promise<void> {
  const folder = dirname(out);
  const start = `.${basename(out)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start)) continue;
    const [, host, pid, more] =
      /^(?:([0-9a-f]{8})-)?(\d+)\.partial(\..+)?$/.exec(name.slice(start.length)) ?? [];
    const path = join(folder, name);
    if (pid === undefined || (await isInUse(path, { host, pid: Number(pid) }))) continue;
    const isLost = more === OLD && (await stat(out).catch(() => undefined)) === undefined;
    await (isLost ? rename(path, out) : rm(path, { recursive: true, force: true }));
  }
}

async function isInUse(
  path: string,
  { host, pid }: { host: string | undefined; pid: number },
): Promise<boolean> {
  if (host !== undefined && host !== HOST)
    return (
      Date.now() -
        (await stat(path).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        )) <
      FOREIGN_LIFETIME
    );
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"; // another user's
  }
}

async function partsOf(place: string): Promise<string[]> {
  const names = await readdir(dirname(place)).catch(() => []);
  return names.filter((name) => name.startsWith(basename(place))).map((name) => join(dirname(place), name));
}
