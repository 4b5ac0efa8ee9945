/** The file that holds a checkpoint's weights, from what people name: a file, a run folder, a model folder, a Hub id. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { cachedModel, hubCacheFolder, isHubId } from "../interop/hub-cache.ts";

/** What a folder's weights may be called, best first. */
const NAMES = [
  "best.safetensors",
  "last.safetensors",
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
] as const;

/** @throws DataError when there is none */
export async function locateCheckpoint(given: string): Promise<string> {
  const found = await stat(given).catch(() => undefined);
  if (found === undefined) {
    const cached = await cachedModel(given);
    if (cached !== undefined) return locateCheckpoint(cached);
    throw new DataError(given, `there is no checkpoint ${given}`, {
      hint: isHubId(given)
        ? `Nor is it a model in the Hub's cache, ${hubCacheFolder()}. Get it there (hf download ${given.replace(/@.*/, "")}), or give the path of its model.safetensors.`
        : "Give a .safetensors, .pth or .onnx file, a run folder or a model folder.",
    });
  }
  if (!found.isDirectory()) return given;
  for (const name of NAMES) {
    const file = join(given, name);
    if ((await stat(file).catch(() => undefined)) !== undefined) return file;
  }
  throw new DataError(given, `the folder ${given} has no weights: none of ${NAMES.join(", ")}`, {
    hint: "A run writes them after its first epoch.",
  });
}
