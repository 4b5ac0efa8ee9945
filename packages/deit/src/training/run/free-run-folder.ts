/** Where a run goes when nobody says: the folder of the same run, so that it resumes, or else the next number. */
import { readdir } from "node:fs/promises";
import type { DataOptions, GivenImages, TrainingDataOptions } from "../../data/open.ts";
import { openDatasets } from "../../data/open.ts";
import { isRunFolder, readRun, RUN_FILES } from "./run-folder.ts";
import { LOCK_FILE } from "./run-lock.ts";
import { readRecord } from "./run-record.ts";
import { asJson, differingOptions, SAME_TRAINING } from "./same-options.ts";

export interface FreeRunFolder {
  readonly folder: string;
  /** Why it is not the first: what that one holds. */
  readonly taken: string | undefined;
}

/** All options of the new run. */
type RunOptions = Readonly<Record<string, unknown>> &
  DataOptions & { readonly outputDir: string; readonly epochs: number };

/** `runs/photos`, or `runs/photos-2` and so on where that is a run of other options, or complete on other images. */
export async function freeRunFolder(options: RunOptions, images?: GivenImages): Promise<FreeRunFolder> {
  const base = options.outputDir;
  let taken: string | undefined;
  for (let number = 1; ; number++) {
    const folder = number === 1 ? base : `${base}-${number}`;
    const content = await contentOf(folder, options, images);
    if (content === undefined) return { folder, taken };
    taken ??= `${folder} ${content}`;
  }
}

/** What a folder holds; undefined when it holds nothing to lose, or the very run. */
async function contentOf(
  folder: string,
  options: RunOptions,
  images: GivenImages | undefined,
): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined || names.length === 0) return undefined; // what cannot be read is said when it is opened
  if (!(await isRunFolder(folder))) return "is not a run folder";
  const isUsed = [RUN_FILES.state, RUN_FILES.best, RUN_FILES.last, LOCK_FILE].some((name) =>
    names.includes(name),
  );
  if (!isUsed) return undefined; // it never saved: it starts anew
  const run = await readRun(folder).catch(() => undefined);
  if (run === undefined) return "holds a damaged run";
  const [first, ...others] = differingOptions(run.args, asJson(options), SAME_TRAINING);
  if (first === undefined)
    return run.log.length < options.epochs ? undefined : otherImages(folder, { ...options, given: images });
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `holds a run with other options (${first.key}: ${first.there} there, ${first.given} now${more})`;
}

/** Whether a complete run was trained on fewer or more images; one that is not complete goes on with its own. */
async function otherImages(folder: string, options: TrainingDataOptions): Promise<string | undefined> {
  const record = await readRecord(folder).catch(() => undefined); // a damaged one is said when it is opened
  if (record === undefined) return undefined;
  const { train, validation, unused, ownValidation } = record.images;
  const before = train + unused + (ownValidation ? 0 : validation);
  const { length } = (await openDatasets(options)).whole;
  return length === before
    ? undefined
    : `holds a complete run on other images (${before} there, ${length} now)`;
}
