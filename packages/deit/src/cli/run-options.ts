/** Which images a run was made with, for the commands that use its model afterwards. */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { loadRecipe } from "../config/recipe.ts";
import { resolveTrainOptions } from "../config/resolve.ts";
import type { TrainOptions } from "../config/schema.ts";
import type { DataOptions } from "../data/open.ts";
import type { RecordedImages } from "../data/recorded-images.ts";

/** The options a run was started with, in its folder. */
export const RUN_OPTIONS_FILE = "args.yaml";

/** A run's models, which may be named themselves. */
const RUN_MODEL = /^(?:best|last|ema)\.safetensors$/;

/** The folder of a run that its model is exported to, as it ends. */
export const RUN_EXPORT = "transformers-js";

/** Where the images of a run are, and how they were split. */
export type RunData = Required<Omit<DataOptions, "recorded">>;

/**
 * The images of the run in the folder `path`, or of the one whose model the file `path` is; undefined when it is not a run.
 * @throws ConfigError for a damaged one
 */
export async function runData(path: string): Promise<RunData | undefined> {
  const options = await recordedOptions(path);
  if (options === undefined) return undefined;
  const { dataPath, dataSet, valSplit, holdOut, seed, numTrain } = options;
  return { dataPath, dataSet, valSplit, holdOut, seed, numTrain };
}

/** The checkpoint that taught such a run; undefined where none did. */
export async function runTeacher(path: string): Promise<string | undefined> {
  return (await recordedOptions(path))?.teacherPath ?? undefined;
}

async function recordedOptions(path: string): Promise<TrainOptions | undefined> {
  const file = join(runFolder(path), RUN_OPTIONS_FILE);
  const isRun = (await stat(file).catch(() => undefined))?.isFile() ?? false;
  if (!isRun) return undefined;
  return resolveTrainOptions([await loadRecipe(file)]).options;
}

/** The images that the run in that place kept a list of; undefined where there is none. @throws FormatError for a damaged list */
export async function runImages(path: string): Promise<RecordedImages | undefined> {
  const { readRecordedImages } = await import("../training/run/run-record.ts");
  return readRecordedImages(runFolder(path));
}

/** The folder of the run that is named by itself, by one of its models, or by what was exported in it. */
export function runFolder(path: string): string {
  if (RUN_MODEL.test(basename(path))) return dirname(path);
  // the export's folder, a file of it, or one of its onnx/
  const exported = [path, dirname(path), dirname(dirname(path))].find(
    (place) => basename(place) === RUN_EXPORT,
  );
  return exported === undefined ? path : dirname(exported);
}
