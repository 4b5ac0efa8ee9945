/**
 * Known datasets, fetched into the user's cache folder: `datasets/<name>/` with a manifest of sizes and hashes. It is
 * there whole or not at all (made beside and renamed), checked when it is asked for again, and pulled by one
 * process at a time.
 */
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { DataError } from "../../errors.ts";
import { cacheFailure, cacheFolder } from "./cache-folder.ts";
import type { CifarName } from "../cifar.ts";
import { hashFile, isNoSpace, type ProgressListener } from "./download-file.ts";
import { withLock } from "../lock.ts";
import { PULL_RECIPES, type PullRecipe } from "./origins.ts";

export interface PullOptions {
  /** The folder that holds `datasets/` and `downloads/`; default the user's cache folder. */
  readonly cacheDir?: string | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Pulled {
  readonly name: CifarName;
  /** Folder of the files; `locateDataset` knows it. */
  readonly path: string;
  /** Where it came from. */
  readonly origin: string;
  /** It had been pulled before; its files were checked now. */
  readonly wasThere: boolean;
  readonly bytes: number;
}

/** Makes sure that the dataset is in the cache folder, whole. Throws DataError: no network, no space, damaged files. */
export async function pullDataset(name: CifarName, options: PullOptions = {}): Promise<Pulled> {
  return pullRecipe(PULL_RECIPES[name], options);
}

/** Folder of a dataset that was pulled before. Checks sizes only. Throws DataError that tells how to pull it. */
export async function pulledDataset(
  name: CifarName,
  { cacheDir = cacheFolder() }: PullOptions = {},
): Promise<string> {
  const { path } = places(name, cacheDir);
  if (await hasSizes(path, await readManifest(path))) return path;
  throw new DataError(path, `${name} is not in the cache folder ${cacheDir}`, {
    code: "data/not-found",
    hint: `Get it with: deit data pull ${name}`,
  });
}

/** As `pullDataset`, from any recipe. */
export async function pullRecipe(recipe: PullRecipe, options: PullOptions = {}): Promise<Pulled> {
  const { cacheDir = cacheFolder(), onProgress, signal } = options;
  const { path, downloads, lock } = places(recipe.name, cacheDir);
  try {
    await mkdir(join(cacheDir, "datasets"), { recursive: true });
    await mkdir(downloads, { recursive: true });
    return await withLock(
      lock,
      async () => {
        await removeUnfinished(path);
        const pulled =
          (await checkPulled(recipe, path, onProgress)) ??
          (await fetchRecipe(recipe, { cacheDir, onProgress, signal }));
        for (const name of [recipe.archive, `${recipe.archive}.part`])
          await rm(join(downloads, name), { force: true });
        return pulled;
      },
      {
        signal,
        onWait: () => onProgress?.({ what: "waiting for another pull of it", done: 0, total: undefined }),
      },
    );
  } catch (cause) {
    if (isNoSpace(cause)) throw noSpace(recipe, cacheDir, cause);
    throw cacheFailure(cause, { folder: cacheDir, variable: "DEIT_CACHE" }) ?? cause;
  }
}

interface Manifest {
  readonly origin: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

function places(name: string, cacheDir: string): { path: string; downloads: string; lock: string } {
  const path = join(cacheDir, "datasets", name);
  return { path, downloads: join(cacheDir, "downloads"), lock: `${path}.lock` };
}

/** What a pull that was killed has unpacked. */
async function removeUnfinished(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder))
    if (name.startsWith(`${basename(path)}.new-`))
      await rm(join(folder, name), { recursive: true, force: true });
}

async function fetchRecipe(
  recipe: PullRecipe,
  { cacheDir, onProgress, signal }: PullOptions & { cacheDir: string },
): Promise<Pulled> {
  const { path, downloads } = places(recipe.name, cacheDir);
  const free = await statfs(cacheDir).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => Infinity,
  );
  if (free < recipe.space) throw noSpace(recipe, cacheDir, undefined, free);
  const failures: string[] = [];
  for (const origin of recipe.origins) {
    const into = await mkdtemp(`${path}.new-`);
    try {
      await origin.fetch({ into, downloads, onProgress, signal });
      const manifest = await makeManifest(recipe, into, origin.name);
      await writeFile(join(into, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
      await chmod(into, 0o755); // mkdtemp's is private
      await rm(path, { recursive: true, force: true });
      await rename(into, path);
      return describePulled(recipe, path, manifest, false);
    } catch (cause) {
      signal?.throwIfAborted();
      if (!(cause instanceof DataError) || isNoSpace(cause)) throw cause;
      failures.push(
        `- ${origin.name}: ${cause.message.replace(`${origin.name}: `, "").replaceAll("\n", " ")}`,
      );
    } finally {
      await rm(into, { recursive: true, force: true });
    }
  }
  throw new DataError(path, `${recipe.name} could not be fetched:\n${failures.join("\n")}`, {
    code: "download/failed",
    hint: `Check the network, or get ${recipe.archive} by other means, put it into ${downloads} and pull again.`,
  });
}

const MANIFEST = "manifest.json";

async function makeManifest(recipe: PullRecipe, folder: string, origin: string): Promise<Manifest> {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const [name, expected] of Object.entries(recipe.files)) {
    const bytes = await stat(join(folder, name)).then(
      (entry) => entry.size,
      () => 0,
    );
    if (bytes !== expected)
      throw new DataError(origin, `${name} has ${bytes} bytes: expected ${expected}`, {
        code: "download/damaged",
      });
    files[name] = { bytes, sha256: await hashFile(join(folder, name), "sha256") };
  }
  return { origin, files };
}

const manifestSchema: z.ZodType<Manifest> = z.object({
  origin: z.string(),
  files: z
    .record(z.string(), z.object({ bytes: z.number(), sha256: z.string() }))
    .refine((files) => Object.keys(files).length > 0),
});

async function readManifest(folder: string): Promise<Manifest | undefined> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, MANIFEST), "utf8")));
  } catch {
    return undefined; // none, or damaged: then the files cannot be trusted either
  }
}

async function hasSizes(folder: string, manifest: Manifest | undefined): Promise<boolean> {
  if (manifest === undefined) return false;
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    const size = await stat(join(folder, name)).then(
      (entry) => entry.size,
      () => -1,
    );
    if (size !== bytes) return false;
  }
  return true;
}

/** The dataset if it is there and unchanged since it was pulled; undefined if it has to be pulled (again). */
async function checkPulled(
  recipe: PullRecipe,
  path: string,
  onProgress: ProgressListener | undefined,
): Promise<Pulled | undefined> {
  const manifest = await readManifest(path);
  if (manifest === undefined || !(await hasSizes(path, manifest))) return undefined;
  const total = Object.keys(recipe.files).length;
  let done = 0;
  for (const name of Object.keys(recipe.files)) {
    const known = manifest.files[name];
    if (known === undefined || (await hashFile(join(path, name), "sha256")) !== known.sha256)
      return undefined;
    onProgress?.({ what: "checking", done: ++done, total });
  }
  return describePulled(recipe, path, manifest, true);
}

function describePulled(
  { name, files }: PullRecipe,
  path: string,
  { origin }: Manifest,
  wasThere: boolean,
): Pulled {
  return { name, path, origin, wasThere, bytes: Object.values(files).reduce((sum, bytes) => sum + bytes, 0) };
}

function noSpace({ name, space }: PullRecipe, cacheDir: string, cause?: unknown, free?: number): DataError {
  const there = free === undefined ? "" : `, ${Math.floor(free / 1e6)} MB are free`;
  return new DataError(
    cacheDir,
    `no space in ${cacheDir}: ${name} needs ${Math.ceil(space / 1e6)} MB${there}`,
    {
      code: "files/not-written",
      hint: "Free some, or set DEIT_CACHE to a folder on another disk.",
      ...(cause !== undefined && { cause }),
    },
  );
}
