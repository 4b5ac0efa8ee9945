/**
 * The file that holds a checkpoint's weights, from what people name: a file, a run folder, a model folder, an address, a Hub
 * id. What is not on this machine is fetched once.
 */
import { stat } from "node:fs/promises";
import type { ProgressListener } from "../data/download.ts";
import { isAddress, pulledWeightsFile, pullWeights } from "../data/pull-weights.ts";
import { DataError } from "../errors.ts";
import { firstIn, MODEL_WEIGHTS, RUN_WEIGHTS } from "../formats/model-folder.ts";
import type { HubId } from "../interop/hub-cache.ts";
import { cachedWeights, parseHubId } from "../interop/hub-cache.ts";

export interface LocateOptions {
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws DataError when there is none, or when it cannot be fetched */
export async function locateCheckpoint(given: string, options: LocateOptions = {}): Promise<string> {
  const found = await stat(given).catch(() => undefined);
  if (found !== undefined) return found.isDirectory() ? inFolder(given) : given;
  if (isAddress(given)) return pullWeights(given, options);
  const id = await hubId(given);
  if (id === undefined) {
    throw new DataError(given, `there is no checkpoint ${given}`, {
      hint: "Give a .safetensors, .pth or .onnx file, a run folder, a model folder, a Hub id (owner/name) or an address.",
    });
  }
  const cached = await cachedWeights(id);
  if (cached !== undefined) return cached;
  const { downloadModel } = await import("../interop/hub-download.ts");
  return inFolder(await downloadModel(id, options));
}

/** The file, if that is on this machine; nothing is fetched, and no hash is checked. */
export async function findCheckpoint(given: string): Promise<string | undefined> {
  const isFile = async (path: string): Promise<boolean> =>
    (await stat(path).catch(() => undefined))?.isFile() ?? false;
  if (isAddress(given))
    return (await isFile(pulledWeightsFile(given))) ? pulledWeightsFile(given) : undefined;
  if ((await stat(given).catch(() => undefined)) !== undefined) return locateCheckpoint(given);
  const id = await hubId(given);
  return id && cachedWeights(id);
}

/** An id, unless it looks like a path of this machine: the name of a weights file, or something in a folder that is here. */
async function hubId(given: string): Promise<HubId | undefined> {
  const id = parseHubId(given);
  if (id === undefined || given.startsWith("hf-hub:")) return id;
  if (/\.(?:safetensors|pth|pt|bin|onnx|json)$/.test(given)) return undefined;
  const [owner = ""] = given.split("/");
  return (await stat(owner).catch(() => undefined))?.isDirectory() ? undefined : id;
}

async function inFolder(folder: string): Promise<string> {
  const names = [...RUN_WEIGHTS, ...MODEL_WEIGHTS];
  const file = await firstIn(folder, names);
  if (file !== undefined) return file;
  throw new DataError(folder, `the folder ${folder} has no weights: none of ${names.join(", ")}`, {
    hint: "A run writes them after its first epoch.",
  });
}
