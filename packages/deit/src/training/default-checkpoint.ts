/** What a fine-tuning starts from when no checkpoint is named: DeiT-Ti or other released weights, from wherever they are or can be had. */
import { locateCheckpoint, pretrainedPlace } from "../evaluation/checkpoints/locate-checkpoint.ts";
import { pretrainedOf } from "../models/pretrained.ts";

const MODEL = "deit_tiny_patch16_224";

/** Brings a checkpoint onto this machine; files and folders are there. */
export type FetchCheckpoint = (given: string) => Promise<void>;

export async function fetchSilently(given: string): Promise<void> {
  await locateCheckpoint(given);
}

/** @throws DataError that says what to do, when it is neither on this machine nor to be had */
export async function defaultCheckpoint(
  fetch: FetchCheckpoint,
  { name = MODEL }: { name?: string | undefined } = {},
): Promise<string> {
  const released = pretrainedOf(name);
  if (released === undefined) throw new Error(`${name} has no pretrained weights`);
  const otherwise =
    "Give weights that you have (--finetune model.safetensors), train without any (deit train), or ";
  return pretrainedPlace(released, fetch, { otherwise });
}
