/** Whether images that a run holds out are images that the run it starts from was trained on: they are not unseen then. */
import { basename, dirname, resolve } from "node:path";
import { partKeys, scoped, type PartedImages } from "../../data/recorded-images.ts";
import type { TrainingPlan } from "../plan.ts";
import { isRunFolder, readRun } from "./run-folder.ts";
import { readRecordedImages } from "./run-record.ts";

/** A sentence about such images; undefined where there are none, or where nothing is known of them. */
export async function seenBefore(
  { data, finetune }: Pick<TrainingPlan, "data" | "finetune">,
  opened: PartedImages,
): Promise<string | undefined> {
  if (finetune === undefined || !opened.automaticSplit || data.dataPath == null) return undefined;
  const { path } = finetune;
  const run = /^(?:best|last|ema)\.safetensors$/.test(basename(path)) ? dirname(path) : path;
  if (!(await isRunFolder(run))) return undefined;
  const { dataPath } = (await readRun(run)).args;
  if (typeof dataPath !== "string" || resolve(dataPath) !== resolve(data.dataPath)) return undefined;
  const before = await readRecordedImages(run);
  if (before?.images === undefined) return undefined;
  const held = partKeys(opened).validation;
  const seen = held.filter((key) => before.images?.get(scoped(key, "train", before))?.part === "train");
  if (seen.length === 0) return undefined;
  return `${seen.length} of the ${held.length} images that are held out are among those that ${run} was trained on, which this run starts from: expect less on new ones (the same --seed and --val-split hold the same images out)`;
}
