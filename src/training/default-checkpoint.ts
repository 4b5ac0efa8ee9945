/** What a fine-tuning starts from when nothing is named: DeiT-Ti, from wherever it is or can be had. */
import { pulledWeightsFile } from "../data/pull-weights.ts";
import { DataError, DeitError, firstLine } from "../errors.ts";
import { findCheckpoint, locateCheckpoint } from "../evaluation/locate-checkpoint.ts";
import { isOffline } from "../interop/hub-access.ts";
import { PRETRAINED } from "../models/pretrained.ts";

const MODEL = "deit_tiny_patch16_224";

/** Brings a checkpoint onto this machine; files and folders are there. */
export type FetchCheckpoint = (given: string) => Promise<void>;

export async function fetchSilently(given: string): Promise<void> {
  await locateCheckpoint(given);
}

/** @throws DataError that says what to do, when it is neither on this machine nor to be had */
export async function defaultCheckpoint(fetch: FetchCheckpoint): Promise<string> {
  const { hubIds = [], url = "" } = PRETRAINED.find(({ model }) => model === MODEL) ?? {};
  for (const place of [...hubIds, url]) if ((await findCheckpoint(place)) !== undefined) return place;
  const reasons: string[] = [];
  for (const place of [...hubIds.slice(0, 1), ...(isOffline() ? [] : [url])]) {
    try {
      await fetch(place);
      return place;
    } catch (error) {
      if (!(error instanceof DeitError)) throw error;
      reasons.push(firstLine(error));
    }
  }
  throw new DataError(
    MODEL,
    `the pretrained ${MODEL} is not on this machine, and could not be fetched:\n${reasons.map((reason) => `- ${reason}`).join("\n")}`,
    {
      code: "checkpoint/not-found",
      hint: `Give weights that you have (--finetune model.safetensors), put the file there: ${pulledWeightsFile(url)}, or train without any (deit train).`,
    },
  );
}
