/** A file of weights in memory, to start a run from: what a page has fetched. safetensors, under any names that are known. */
import { ConfigError, FormatError } from "../errors.ts";
import { architectureOf, describeForeign } from "../formats/architecture.ts";
import { timmView } from "../formats/key-maps.ts";
import { decodeModelMetadata } from "../formats/model-metadata.ts";
import { parseSafetensors, toFloat32 } from "../formats/safetensors.ts";
import type { FloatTensor, Tensor } from "../formats/safetensors.ts";
import { identifyConvnets, identifyModel } from "../models/identify.ts";
import type { WeightSource } from "./initial-weights.ts";

/** @throws FormatError for bytes that are no safetensors file; `name` is how messages call it */
export function weightsInMemory(
  bytes: Uint8Array,
  { name = "the checkpoint" }: { name?: string } = {},
): WeightSource {
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
    expectModel({ inputSize }) {
      if (own.model !== undefined) return { name: own.model };
      const architecture = architectureOf(file.tensors);
      const model =
        architecture === undefined
          ? identifyConvnets(file.tensors)[0]
          : identifyModel(architecture, { inputSize: own.inputSize ?? inputSize });
      if (model !== undefined) return model;
      throw new ConfigError(
        "model",
        `${name} does not say which model it is, and ${describeForeign(file.tensors)}`,
        {
          code: "checkpoint/unknown-model",
          hint: "Take weights of a DeiT or of another model that is known here.",
        },
      );
    },
  };
}
