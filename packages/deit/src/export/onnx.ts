/**
 * A model with its weights inside as one ONNX file, for batches of any size: the program of evaluation is what ships.
 * Input `pixel_values` [batch, 3, H, W], normalised; output `logits` [batch, K] of the joint classifier.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConfigError } from "../errors.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { encodeGeometry } from "../formats/preprocessing-metadata.ts";
import { ModelProtoSchema, StringStringEntryProtoSchema } from "../graph/generated/onnx_pb.ts";
import { create } from "@bufbuild/protobuf";
import { deployedProgram } from "../models/deploy.ts";
import { dynamicBatch } from "./dynamic-batch.ts";
import { withPreprocessing } from "./preprocessing-graph.ts";

/** The operations that are written are those of opsets 18 to 20; the later ones did not change what they do. */
export const OPSETS = [20, 21, 22, 23] as const;

export interface OnnxExportOptions {
  /** Version of the ONNX operators, one of {@link OPSETS}. */
  readonly opset?: number;
  /** Take images, `images` uint8 [batch, height, width, 3] of any size, in place of normalised pixels. */
  readonly preprocessing?: boolean;
}

/** @throws ConfigError for an opset that is not among {@link OPSETS} */
export function deployedModel(
  loaded: Pick<LoadedModel, "model" | "tensors" | "preprocessing" | "metadata">,
  { opset = OPSETS[0], preprocessing: prepares = false }: OnnxExportOptions = {},
): Uint8Array {
  if (!OPSETS.some((known) => known === opset)) {
    throw new ConfigError("opset", `opset ${opset}: one of ${OPSETS.join(", ")} was expected`, {
      code: "options/value",
      hint: "20 is read by all runtimes since 2023.",
    });
  }
  const { model, tensors, preprocessing, metadata } = loaded;
  const bytes = dynamicBatch(
    (batchSize) => deployedProgram(model, tensors, { batchSize, target: "portable" }).model,
  );
  const proto = fromBinary(ModelProtoSchema, prepares ? withPreprocessing(bytes, preprocessing) : bytes);
  for (const entry of proto.opsetImport) if (entry.domain === "") entry.version = BigInt(opset);
  const facts = {
    model: model.name,
    input_size: JSON.stringify(preprocessing.inputSize),
    ...encodeGeometry(preprocessing),
    mean: JSON.stringify(preprocessing.mean),
    std: JSON.stringify(preprocessing.std),
    ...(metadata.classes && { classes: JSON.stringify(metadata.classes) }),
  };
  proto.metadataProps.push(
    ...Object.entries(facts).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  );
  return toBinary(ModelProtoSchema, proto);
}
