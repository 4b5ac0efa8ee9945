/** A trained model from what people name: a .safetensors file, or the folder of a run. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Normalisation } from "../augmentation/normalisation.ts";
import { IMAGENET_NORMALISATION } from "../augmentation/normalisation.ts";
import { CheckpointError, ConfigError, DataError } from "../errors.ts";
import type { ModelMetadata } from "../formats/model-metadata.ts";
import { decodeModelMetadata } from "../formats/model-metadata.ts";
import { readCheckpoint } from "../formats/safetensors-file.ts";
import type { Model } from "../models/registry.ts";
import { createModel } from "../models/registry.ts";
import type { Tensors } from "../nn/layout.ts";
import { checkTensors } from "../nn/layout.ts";
import { modelLayout } from "../optim/groups.ts";

export interface LoadedModel {
  readonly model: Model;
  readonly tensors: Tensors;
  /** What the file says of itself; nothing for files of other makers. */
  readonly metadata: Partial<ModelMetadata>;
  /** The file's, else ImageNet's. */
  readonly normalisation: Normalisation;
  /** Part of the resized picture that evaluation looks at; the file's, else DeiT's. */
  readonly cropRatio: number;
  readonly file: string;
}

export interface LoadModelOptions {
  /** Name of a registered model, for files that do not say what they are. */
  readonly model?: string | undefined;
  /** [height, width] or a side, when it is not the checkpoint's own. */
  readonly inputSize?: number | readonly [number, number] | undefined;
}

/** 224 of 256 pixels. */
const DEFAULT_CROP_RATIO = 0.875;

/**
 * Reads a checkpoint and finds its model: by `model`, else by what the file says.
 * @throws DataError, FormatError, ConfigError; CheckpointError when tensors do not fit the model
 */
export async function loadModel(
  checkpoint: string,
  { model: name, inputSize }: LoadModelOptions = {},
): Promise<LoadedModel> {
  const file = await checkpointFile(checkpoint);
  const { tensors, metadata: texts } = await readCheckpoint(file);
  const metadata = decodeModelMetadata(texts, { file });
  const chosen = name ?? metadata.model;
  if (chosen === undefined) {
    throw new ConfigError("model", `${file} does not say which model it is`, {
      hint: "Name it with --model, for example --model deit_tiny_patch16_224; deit models lists them.",
    });
  }
  const size = { inputSize: inputSize ?? metadata.inputSize };
  const { classWeight } = createModel(chosen, size);
  const numClasses = tensors.get(classWeight)?.shape[0] ?? metadata.classes?.length;
  const model = createModel(chosen, { numClasses, ...size });
  try {
    checkTensors(modelLayout(model), tensors);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const { missing, unexpected } = error;
    throw new CheckpointError(`${file} is no ${chosen}: ${error.message}`, {
      missing,
      unexpected,
      hint:
        metadata.model !== undefined && metadata.model !== chosen
          ? `The file says that it is ${metadata.model}: leave out --model.`
          : "Name the model that it was made for with --model, and its picture size with --input-size.",
    });
  }
  const { mean, std } = { ...IMAGENET_NORMALISATION, ...metadata };
  return { model, tensors, metadata, normalisation: { mean, std }, cropRatio: cropRatioOf(texts), file };
}

function cropRatioOf({ crop_ratio: text }: Readonly<Record<string, string>>): number {
  const ratio = Number(text);
  return ratio > 0 && ratio <= 1 ? ratio : DEFAULT_CROP_RATIO;
}

/** The file itself, or a run folder's best (else last) model. @throws DataError when there is none */
export async function checkpointFile(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    throw new DataError(path, `there is no checkpoint ${path}`, {
      hint: "Give a .safetensors or .onnx file, or a run folder.",
    });
  }
  if (!found.isDirectory()) return path;
  for (const name of ["best.safetensors", "last.safetensors", "model.safetensors"]) {
    const file = join(path, name);
    if ((await stat(file).catch(() => undefined)) !== undefined) return file;
  }
  throw new DataError(
    path,
    `the folder ${path} has no best.safetensors, last.safetensors or model.safetensors`,
    {
      hint: "A run writes them after its first epoch.",
    },
  );
}
