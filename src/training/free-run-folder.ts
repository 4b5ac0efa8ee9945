/** Where a run goes when nobody says: the folder of the same run, so that it resumes, or else the next number. */
import { readdir } from "node:fs/promises";
import { isRunFolder, readRun, RUN_FILES } from "./run-folder.ts";
import { LOCK_FILE } from "./run-lock.ts";
import { asJson, differingOptions, SAME_TRAINING } from "./same-options.ts";

export interface FreeRunFolder {
  readonly folder: string;
  /** Why it is not the first: what that one holds. */
  readonly taken: string | undefined;
}

/** `runs/photos`, or `runs/photos-2` and so on where that is a run of other options. `options`: all of the new run. */
export async function freeRunFolder(
  options: Readonly<Record<string, unknown>> & { readonly outputDir: string },
): Promise<FreeRunFolder> {
  const base = options.outputDir;
  let taken: string | undefined;
  for (let number = 1; ; number++) {
    const folder = number === 1 ? base : `${base}-${number}`;
    const content = await contentOf(folder, options);
    if (content === undefined) return { folder, taken };
    taken ??= `${folder} ${content}`;
  }
}

/** What a folder holds; undefined when it holds nothing to lose, or the very run. */
async function contentOf(
  folder: string,
  options: Readonly<Record<string, unknown>>,
): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined || names.length === 0) return undefined; // what cannot be read is said when it is opened
  if (!(await isRunFolder(folder))) return "is no run folder";
  const isUsed = [RUN_FILES.state, RUN_FILES.best, RUN_FILES.last, LOCK_FILE].some((name) =>
    names.includes(name),
  );
  if (!isUsed) return undefined; // it never saved: it starts anew
  const run = await readRun(folder).catch(() => undefined);
  if (run === undefined) return "holds a damaged run";
  const [first, ...others] = differingOptions(run.args, asJson(options), SAME_TRAINING);
  if (first === undefined) return undefined;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `holds a run with other options (${first.key}: ${first.there} there, ${first.given} now${more})`;
}
