/**
 * Exports are made beside their place and put there when they are whole: what was there before stays until then, also when
 * the process is killed. What killed ones left is removed by the next export to the same place.
 */
import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describeWriteFailure } from "../formats/atomic-file.ts";
import { isAbandoned, OWNER } from "../formats/left-overs.ts";

const OLD = ".old";

/**
 * Runs `work`, which makes the file or folder that it is given, and names others after it if it needs more; then puts it at
 * `out`. @throws DeitError when the disk is full or not to be written
 */
export async function staged<T>(out: string, work: (place: string) => Promise<T>): Promise<T> {
  const place = join(dirname(out), `.${basename(out)}.${OWNER}.partial`);
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
    const [, owner, more] = /^((?:[0-9a-f]{8}-)?\d+)\.partial(\..+)?$/.exec(name.slice(start.length)) ?? [];
    const path = join(folder, name);
    if (owner === undefined || !(owner === OWNER || (await isAbandoned(path, owner)))) continue;
    const isLost = more === OLD && (await stat(out).catch(() => undefined)) === undefined;
    await (isLost ? rename(path, out) : rm(path, { recursive: true, force: true }));
  }
}

async function partsOf(place: string): Promise<string[]> {
  const names = await readdir(dirname(place)).catch(() => []);
  return names.filter((name) => name.startsWith(basename(place))).map((name) => join(dirname(place), name));
}
