/** What weights are called in folders: those of runs, of Hugging Face's models, of transformers.js. */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { firstLine, FormatError } from "../errors.ts";
import { shardNames } from "./shard-index.ts";

/** Of a run of ours, best first. */
export const RUN_WEIGHTS: readonly string[] = ["best.safetensors", "last.safetensors"];

/** The same with averaged weights. */
export const RUN_AVERAGED: readonly string[] = ["ema.safetensors"];

/** The image half of CLIP and SigLIP in a folder of transformers.js. */
export const VISION_WEIGHTS: readonly string[] = ["onnx/vision_model.onnx", "vision_model.onnx"];

/** Of a model, best first: safetensors run nothing, and hold their types and shapes up front. */
export const MODEL_WEIGHTS: readonly string[] = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
  "onnx/model.onnx",
  "model.onnx",
  ...VISION_WEIGHTS,
];

/** What is read beside the weights, where it is there. */
export const MODEL_SETTINGS: readonly string[] = ["config.json", "preprocessor_config.json"];

/** The folder of the model whose weights a file holds: transformers.js's are in a folder of it, onnx/. */
export function modelFolder(file: string): string {
  const folder = dirname(file);
  return basename(folder) === "onnx" ? dirname(folder) : folder;
}

export function isIndex(name: string): boolean {
  return name.endsWith(".index.json");
}

/** Settings of a model's folder are some kilobytes, with 21,843 class names 2 MB. */
const LARGEST_SETTINGS = 8 * 1024 * 1024;

/**
 * A file of settings beside weights; undefined when there is none.
 * @throws FormatError (checkpoint/damaged-settings) when it is there and cannot be read
 */
export async function readSettings(file: string): Promise<string | undefined> {
  try {
    const stats = await stat(file);
    if (!stats.isFile()) return undefined;
    if (stats.size <= LARGEST_SETTINGS) return await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new FormatError(file, `cannot be read: ${firstLine(cause)}`, {
      code: "checkpoint/damaged-settings",
      hint: "Check its permissions.",
      cause,
    });
  }
  throw new FormatError(file, "is far larger than settings and class names are", {
    code: "checkpoint/damaged-settings",
    hint: "If it does not belong to the model, remove it; otherwise get it again.",
  });
}

/** The first of `names` that the folder has; undefined when it has none. */
export async function firstIn(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const file = join(folder, name);
    if (await isThere(file)) return file;
  }
  return undefined;
}

/** Whether the file is there, and for an index all files that it names. */
export async function isWhole(file: string): Promise<boolean> {
  if (!(await isThere(file))) return false;
  if (!isIndex(file)) return true;
  for (const name of await shardNames(file)) if (!(await isThere(join(dirname(file), name)))) return false;
  return true;
}

async function isThere(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
