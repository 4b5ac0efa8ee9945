/** What a fine-tuning starts from when nothing is named: DeiT-Ti, from wherever it is or can be had. */
import { locateCheckpoint, pretrainedPlace } from "../evaluation/checkpoints/locate-checkpoint.ts";
import { pretrainedOf } from "../models/pretrained.ts";

const MODEL = "deit_tiny_patch16_224";

/** Brings a checkpoint onto this machine; files and folders are there. */
export type FetchCheckpoint = (given: string) => Promise<void>;

export async function fetchSilently(given: string): Promise<void> {
  await locateCheckpoint(given);
}

/** @throws DataError that says what to do, when it is neither on this machine nor to be had */
export async function defaultCheckpoint(fetch: FetchCheckpoint): Promise<string> {
  const released = pretrainedOf(MODEL);
  if (released === undefined) throw new Error(`${MODEL} has no pretrained weights`);
  const otherwise =
    "Give weights that you have (--finetune model.safetensors), train without any (deit train), or ";
  return pretrainedPlace(released, fetch, { otherwise });
}
