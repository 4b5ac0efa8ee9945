/**
 * An image encoder and embeddings of texts as one ONNX classifier: cosine of the image's embedding and each text's, times the
 * logit scale (CLIP, Radford et al. 2021, https://arxiv.org/abs/2103.00020). All that takes a classifier takes it: labels,
 * teachers, their caches, evaluation.
 */
import { create } from "@bufbuild/protobuf";
import { ConfigError } from "../errors.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { encodeGeometry } from "../formats/preprocessing-metadata.ts";
import type { ValueInfoProto } from "../graph/generated/onnx_pb.ts";
import { StringStringEntryProtoSchema, ValueInfoProtoSchema } from "../graph/generated/onnx_pb.ts";
import { input } from "../graph/graph.ts";
import { optimizeOutputs } from "../graph/passes/forward.ts";
import { compile } from "../graph/program.ts";
import { closeOnnx, nodeOf, openOnnx, tensorOf, TYPE } from "../interop/onnx-edit.ts";
import { featuresOf, featureWidth, forwardWithTokens } from "../models/features.ts";
import { frozenScope } from "../models/deploy.ts";
import { evaluationContext } from "../nn/context.ts";
import { dynamicBatch } from "./dynamic-batch.ts";
import { taughtBy } from "./teacher-licence.ts";
import type { TextEmbeddings } from "./text-embeddings.ts";

/** CLIP's, after its training. */
const LOGIT_SCALE = 100;

export interface ZeroShotOptions {
  /** The image encoder: a checkpoint or an ONNX file, opened as `openClassifier` does. */
  readonly teacher: {
    readonly path: string;
    readonly model?: string | undefined;
    readonly weights?: string | undefined;
    readonly inputSize?: number | undefined;
    readonly mean?: readonly [number, number, number] | undefined;
    readonly std?: readonly [number, number, number] | undefined;
  };
  readonly text: TextEmbeddings;
  /** Default: as the text embeddings say, else 100. */
  readonly logitScale?: number | undefined;
  /** The ONNX file that is written. */
  readonly file: string;
}

/**
 * Writes the classifier; returns what the user should know of the encoder, a sentence each.
 * @throws ConfigError for embeddings of other widths, and what `openClassifier` throws
 */
export async function writeZeroShot({
  teacher: { path, model, weights, inputSize, mean, std },
  text,
  logitScale = text.logitScale ?? LOGIT_SCALE,
  file,
}: ZeroShotOptions): Promise<readonly string[]> {
  const preprocessing = { mean, std };
  await using encoder = await openClassifier(path, {
    model,
    weights,
    inputSize,
    preprocessing,
    embedding: true,
  });
  const { source } = encoder;
  const width = "onnx" in source ? source.numClasses : featureWidth(source.model);
  if (width !== text.width)
    throw new ConfigError(
      "classes",
      `embeddings of texts have ${text.width} numbers, those of images by ${encoder.name} ${width}`,
      {
        code: "teacher/other-width",
        hint: "Both have to come from the two encoders of one model.",
      },
    );
  const edit = openOnnx("onnx" in source ? source.onnx.model : encoderOf(source), { external: true });
  const { model: proto, graph, constants, unique } = edit;
  const embedding = "onnx" in source ? source.onnx.output.name : FEATURES;
  const [unit, logits] = [unique("unit_embedding"), unique("logits")];
  const columns = unique("text_embeddings");
  constants.set(columns, tensorOf(columns, textColumns(text, logitScale), [width, text.classes.length]));
  graph.node.push(
    nodeOf("LpNormalization", { inputs: [embedding], outputs: [unit], attributes: { axis: -1, p: 2 } }),
    nodeOf("MatMul", { inputs: [unit, columns], outputs: [logits] }),
  );
  graph.output = [logitsInfo(logits, text.classes.length)];
  const { name, licence } = await taughtBy(path);
  const { preprocessing: used } = encoder;
  const facts = {
    classes: JSON.stringify(text.classes),
    ...encodeGeometry(used),
    mean: JSON.stringify(used.mean),
    std: JSON.stringify(used.std),
    input_size: JSON.stringify(encoder.inputSize),
    image_encoder: name,
    ...(licence !== undefined && { license: licence }),
  };
  proto.metadataProps = Object.entries(facts).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  await writeFileAtomic(file, closeOnnx(edit), { what: "the zero-shot teacher" });
  return encoder.notes;
}

const FEATURES = "features";

/** A model of this package up to its heads, for batches of any size. */
function encoderOf({ model, tensors }: LoadedModel): Uint8Array {
  return dynamicBatch((batchSize) => {
    const images = input("pixel_values", "float32", [batchSize, 3, ...model.config.inputSize]);
    const { tokens } = forwardWithTokens(model, images, frozenScope(tensors), evaluationContext());
    const outputs = optimizeOutputs({ [FEATURES]: featuresOf(tokens) });
    return compile({ name: model.name, target: "portable", outputs }).model;
  });
}

/** Rows of length 1 times the scale, as columns [width, classes]. */
function textColumns({ data, width, classes }: TextEmbeddings, scale: number): Float32Array {
  const count = classes.length;
  const columns = new Float32Array(data.length);
  for (let row = 0; row < count; row++) {
    const own = data.subarray(row * width, (row + 1) * width);
    const norm = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
    for (const [i, x] of own.entries()) columns[i * count + row] = (scale * x) / norm;
  }
  return columns;
}

function logitsInfo(name: string, classes: number): ValueInfoProto {
  const dim = [
    { value: { case: "dimParam", value: "batch" } },
    { value: { case: "dimValue", value: BigInt(classes) } },
  ] as const;
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType: TYPE.float32, shape: { dim: [...dim] } } } },
  });
}
