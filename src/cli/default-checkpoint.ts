/** What `deit finetune ./photos` starts from when nothing is named: DeiT-Ti, from wherever it is or can be had. */
import { DataError, DeitError, firstLine } from "../errors.ts";
import { fetchCheckpoint } from "./fetch-checkpoint.ts";

const MODEL = "deit_tiny_patch16_224";

/** @throws DataError that says what to do, when it is neither on this machine nor to be had */
export async function defaultCheckpoint(): Promise<string> {
  const { PRETRAINED } = await import("../models/pretrained.ts");
  const { findCheckpoint } = await import("../evaluation/locate-checkpoint.ts");
  const { pulledWeightsFile } = await import("../data/pull-weights.ts");
  const { isOffline } = await import("../interop/hub-access.ts");
  const { hubIds = [], url = "" } = PRETRAINED.find(({ model }) => model === MODEL) ?? {};
  for (const place of [...hubIds, url]) if ((await findCheckpoint(place)) !== undefined) return place;
  const reasons: string[] = [];
  for (const place of [...hubIds.slice(0, 1), ...(isOffline() ? [] : [url])]) {
    try {
      await fetchCheckpoint(place);
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
      hint: `Give weights that you have (--finetune model.safetensors), put the file there: ${pulledWeightsFile(url)}, or train without any (deit train).`,
    },
  );
}
