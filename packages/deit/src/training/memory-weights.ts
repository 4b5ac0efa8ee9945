/** A safetensors file in memory, as a page has fetched it: weights to start a run from, or a whole model to ask. Any names that are known. */
import { completePreprocessing, mergePreprocessing } from "../augmentation/preprocessing.ts";
import { DEIT_PREPROCESSING } from "../augmentation/preprocessing.ts";
import { CheckpointError, ConfigError, FormatError } from "../errors.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { architectureOf, describeForeign } from "../formats/architecture.ts";
import { timmView } from "../formats/key-maps.ts";
import type { ModelMetadata } from "../formats/model-metadata.ts";
import { decodeModelMetadata } from "../formats/model-metadata.ts";
import { decodePreprocessing } from "../formats/preprocessing-metadata.ts";
import { parseSafetensors, toFloat32 } from "../formats/safetensors.ts";
import type { FloatTensor, Tensor } from "../formats/safetensors.ts";
import { identifyConvnets, identifyModel } from "../models/identify.ts";
import type { Model } from "../models/registry.ts";
import { createModel } from "../models/registry.ts";
import { checkTensors } from "../nn/check-tensors.ts";
import { modelLayout } from "../nn/parameters.ts";
import type { WeightSource } from "./initial-weights.ts";

/** Weights in memory, which also know the whole model that they are of. */
export interface MemoryWeights extends WeightSource {
  readonly metadata: Partial<ModelMetadata>;
  expectModel(options?: { inputSize?: readonly [number, number] | undefined }): Model;
}

/**
 * A model with its weights, from the bytes of a safetensors file.
 * @throws FormatError, ConfigError for weights of no known model, CheckpointError when tensors are missing or not finite
 */
export async function modelInMemory(
  bytes: Uint8Array,
  { name = "the checkpoint" }: { name?: string } = {},
): Promise<LoadedModel> {
  const source = weightsInMemory(bytes, { name });
  const model = source.expectModel();
  const names = [...source.file.tensors.keys()];
  const tensors = new Map(
    await Promise.all(names.map(async (tensor) => [tensor, await source.file.readFloat32(tensor)] as const)),
  );
  checkTensors(modelLayout(model), tensors);
  const broken = names.find((tensor) => tensors.get(tensor)?.data.every(Number.isFinite) === false);
  if (broken !== undefined)
    throw new CheckpointError(`${broken} of ${name} has values that are not finite`, {
      code: "checkpoint/not-finite",
      hint: "Its training diverged, or the file is damaged: take an earlier checkpoint.",
    });
  const { metadata } = parseSafetensors(bytes, { file: name });
  const said = mergePreprocessing(decodePreprocessing(metadata, { file: name }), DEIT_PREPROCESSING);
  const preprocessing = completePreprocessing(model.config.inputSize, said);
  return { model, tensors, metadata: source.metadata, preprocessing, file: name, notes: source.notes };
}

/** @throws FormatError for bytes that are not a safetensors file; `name` is how messages call it */
export function weightsInMemory(
  bytes: Uint8Array,
  { name = "the checkpoint" }: { name?: string } = {},
): MemoryWeights {
  const { tensors, metadata } = parseSafetensors(bytes, { file: name });
  const read = (tensor: string): Tensor => {
    const found = tensors.get(tensor);
    if (found !== undefined) return found;
    throw new FormatError(name, `has no tensor ${JSON.stringify(tensor)}`, { code: "checkpoint/missing" });
  };
  const close = async (): Promise<void> => {};
  const file = timmView({
    path: name,
    metadata,
    tensors,
    read: async (tensor) => read(tensor),
    readFloat32: async (tensor): Promise<FloatTensor> => {
      const stored = read(tensor);
      return { shape: stored.shape, data: toFloat32(stored) };
    },
    close,
    [Symbol.asyncDispose]: close,
  });
  const own = decodeModelMetadata(metadata, { file: name });
  return {
    path: name,
    file,
    metadata: own,
    notes: file.notes,
    expectModel({ inputSize } = {}) {
      if (own.model !== undefined)
        return createModel(own.model, { numClasses: own.classes?.length, inputSize: own.inputSize });
      const architecture = architectureOf(file.tensors);
      const model =
        architecture === undefined
          ? identifyConvnets(file.tensors)[0]
          : identifyModel(architecture, { inputSize: own.inputSize ?? inputSize });
      if (model !== undefined) return model;
      throw new ConfigError(
        "model",
        `${name} does not name its model, and ${describeForeign(file.tensors)}`,
        {
          code: "checkpoint/unknown-model",
          hint: "Use weights of a DeiT or of another supported model.",
        },
      );
    },
  };
}
