/**
 * The file that holds a checkpoint's weights, from what people name: a file, a run folder, a model folder, an address, a Hub
 * id, the name of a model with pretrained weights. What is not on this machine is fetched once.
 */
import { readFile, stat } from "node:fs/promises";
import type { ProgressListener } from "../../data/download/download-file.ts";
import { isAddress, pulledWeightsFile, pullWeights } from "../../data/download/download-weights.ts";
import { DataError, DeitError, firstLine } from "../../errors.ts";
import type { WeightsChoice } from "../../formats/find-weights.ts";
import { firstIn, MODEL_WEIGHTS, RUN_AVERAGED, RUN_WEIGHTS } from "../../formats/model-folder.ts";
import { foreignFile } from "../../formats/describe-unknown-file.ts";
import { openSafetensors } from "../../formats/safetensors-file.ts";
import { openTensorFile } from "../../formats/tensor-file.ts";
import { isOffline } from "../../interop/hub-access.ts";
import type { HubId } from "../../interop/hub-cache.ts";
import { cachedWeights, parseHubId } from "../../interop/hub-cache.ts";
import type { PretrainedWeights } from "../../models/pretrained.ts";
import { pretrainedOf } from "../../models/pretrained.ts";
import { isModelName } from "../../models/registry.ts";
import { inspectOnnx } from "../onnx/onnx-inspection.ts";
import { shellWord } from "../../printable.ts";

export interface LocateOptions {
  /** Of a run folder: "model" its trained weights, "ema" the averaged ones. */
  readonly weights?: WeightsChoice | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws DataError when there is none, or when it cannot be fetched */
export async function locateCheckpoint(given: string, options: LocateOptions = {}): Promise<string> {
  const found = await stat(given).catch(() => undefined);
  if (found !== undefined) return found.isDirectory() ? inFolder(given, options) : given;
  if (isAddress(given))
    return pullWeights(given, { ...options, check: async (part) => checkWeights(part, given) });
  const released = pretrainedOf(given);
  if (released !== undefined)
    return locateCheckpoint(
      await pretrainedPlace(released, async (place) => void (await locateCheckpoint(place, options))),
      options,
    );
  const id = await hubId(given);
  if (id === undefined) {
    if (isModelName(given))
      throw new DataError(given, `${given} is a model without pretrained weights`, {
        code: "checkpoint/not-found",
        hint: "Give a file or a run folder with weights of it; deit models --pretrained lists models with weights.",
      });
    throw new DataError(given, `there is no checkpoint ${given}: no run, file or folder of that name`, {
      code: "checkpoint/not-found",
      hint: "Give a .safetensors, .pth or .onnx file, a run folder, a model folder, a Hub id (owner/name), an address, or a model of deit models --pretrained.",
    });
  }
  const cached = await cachedWeights(id);
  if (cached !== undefined) return cached;
  const { downloadModel } = await import("../../interop/hub-download.ts");
  return inFolder(await downloadModel(id, options));
}

/**
 * Whether a download is a file of weights: no log-in page, nothing cut off. Weights with a hash are checked by that.
 * @throws DataError
 */
async function checkWeights(part: string, url: string): Promise<void> {
  try {
    if (/\.onnx(?:[?#]|$)/i.test(url)) {
      const bytes = await readFile(part);
      const foreign = foreignFile(bytes.subarray(0, 64));
      if (foreign !== undefined) throw new DeitError(foreign.what, { code: "checkpoint/foreign-file" });
      inspectOnnx(bytes);
    } else await (await openTensorFile(part, { sharded: false })).close();
  } catch (cause) {
    const reason = firstLine(cause).replaceAll(`${part}: `, "").replaceAll(part, "it");
    throw new DataError(url, `${url}: the downloaded file does not hold weights: ${reason}`, {
      code: "download/damaged",
      hint: "The download was deleted. Check the address in a browser: a log-in page or an error may stand there.",
      cause,
    });
  }
}

/** Whether a checkpoint is named by something else than a place on this machine: an address, a Hub id, a model's name. */
export async function isElsewhere(given: string): Promise<boolean> {
  if ((await stat(given).catch(() => undefined)) !== undefined) return false;
  return isAddress(given) || pretrainedOf(given) !== undefined || (await hubId(given)) !== undefined;
}

/**
 * Where pretrained weights are or can be had from: the Hub id or address that is on this machine, else the first that
 * `fetch` brings there.
 * @throws DataError when there is none
 */
export async function pretrainedPlace(
  { name, hubIds, url }: PretrainedWeights,
  fetch: (place: string) => Promise<void>,
  { otherwise = "" }: { otherwise?: string } = {},
): Promise<string> {
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
    name,
    `the pretrained ${name} is not on this machine, and could not be fetched:\n${reasons.map((reason) => `- ${reason}`).join("\n")}`,
    {
      code: "checkpoint/not-found",
      hint: `${otherwise ? `${otherwise}put` : "Put"} the file there: ${pulledWeightsFile(url)}`,
    },
  );
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
  if (owner === "runs") return undefined; // where runs are made, unless --output-dir says otherwise
  return (await stat(owner).catch(() => undefined))?.isDirectory() ? undefined : id;
}

async function inFolder(folder: string, { weights }: LocateOptions = {}): Promise<string> {
  const best = await firstIn(folder, RUN_WEIGHTS.slice(0, 1));
  const kind = best === undefined || weights === undefined ? undefined : await kindOf(best);
  const isOther = kind !== undefined && kind !== (weights === "ema" ? "averaged" : "trained");
  const ofRun = weights === "ema" ? RUN_AVERAGED : RUN_WEIGHTS.slice(1);
  const names = [...(isOther ? ofRun : [...RUN_WEIGHTS, ...ofRun]), ...MODEL_WEIGHTS];
  const file = await firstIn(folder, names);
  if (file === undefined) {
    const isRun = (await firstIn(folder, ["args.yaml"])) !== undefined;
    const problem = isRun
      ? `the run ${folder} has no weights yet`
      : `the folder ${folder} has no weights: none of ${[...new Set(names)].join(", ")}`;
    throw new DataError(folder, problem, {
      code: "checkpoint/not-found",
      hint:
        weights === "ema" && best !== undefined
          ? "A run keeps averaged weights with --model-ema. Leave out --weights ema to take the trained ones."
          : isRun
            ? `It writes them after its first epoch: go on with deit train ${shellWord(folder)}`
            : "Give a run folder, a model folder, or a file of weights.",
    });
  }
  return file;
}

/** Whether a run's best weights are the trained or the averaged ones; undefined when the file does not say. */
async function kindOf(file: string): Promise<string | undefined> {
  await using opened = await openSafetensors(file);
  return opened.metadata["weights"];
}
