/**
 * Image embeddings of an ONNX file: its output of pooled features, the class token of its last hidden state, or what its
 * classifier reads. What is not an output yet becomes one by bytes behind the file's own: protocol buffers one after the
 * other are one, with the lists of both.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { CheckpointError } from "../../errors.ts";
import { ModelProtoSchema } from "../../graph/generated/onnx_pb.ts";
import { linearMaker } from "./onnx-answers.ts";
import type { OnnxSignature, OnnxValue } from "./onnx-signature.ts";
import { describeValues } from "./onnx-signature.ts";

/** What exporters call an image's embedding, best first: CLIP and SigLIP, transformers, timm and others. */
const NAMES = [
  "image_embeds",
  "pooler_output",
  "image_embeddings",
  "image_features",
  "embeddings",
  "embedding",
  "features",
  "sentence_embedding",
];
const TOKENS = "last_hidden_state";
/** Of a classifier that names nothing: its scores. */
const SCORES = /^(?:logits|scores?|prob|probs|probabilities|class|classes)$/i;
/** What we add, numbered where a file has it already. */
const ADDED = "deit.embedding";

export interface OnnxEmbedding {
  /** The file's bytes, perhaps with one more output. */
  readonly model: Uint8Array;
  readonly output: { readonly name: string; readonly columns: number | undefined };
  /** What was taken, where the file does not call it an embedding. */
  readonly note: string | undefined;
}

/** `isClassifier`: it names its classes. @throws CheckpointError for a file that has none */
export function embeddingInside(
  file: string,
  { model, signature, isClassifier }: { model: Uint8Array; signature: OnnxSignature; isClassifier: boolean },
): OnnxEmbedding {
  const added = freeName(signature);
  const floats = signature.outputs.filter(({ dtype }) => dtype === "float32");
  const rows = floats.filter(({ dims }) => dims?.length === 2);
  const named = NAMES.map((name) => rows.find((value) => value.name === name)).find((value) => value);
  if (named !== undefined) return asItIs(model, named);
  const tokens = floats.find(({ name, dims }) => name === TOKENS && dims?.length === 3);
  if (tokens !== undefined) {
    return {
      model: joined(model, { graph: classToken(tokens.name, added) }),
      output: { name: added, columns: tokens.dims?.[2] },
      note: `${file}: its embedding is the class token of ${TOKENS}`,
    };
  }
  const [only, second] = rows;
  const read = only === undefined ? undefined : linearMaker(signature, only.name)?.inputs[0];
  if (only !== undefined && second === undefined) {
    if (!SCORES.test(only.name) && !isClassifier)
      return { ...asItIs(model, only), note: `${file}: its output ${only.name} is taken as the embedding` };
    // A graph's inputs and weights have no producer: features are computed.
    if (read !== undefined && signature.producerOf(read) !== undefined) {
      return {
        model: joined(model, { graph: flattened(read, added) }),
        output: { name: added, columns: undefined },
        note: `${file}: its embedding is what its classifier reads (${read})`,
      };
    }
  }
  throw new CheckpointError(
    `${file} gives no image embedding: expected a float32 output [batch, width] such as image_embeds, or ${TOKENS} [batch, tokens, width]; it returns ${describeValues(signature.outputs)}`,
    {
      code: "teacher/no-embedding",
      hint: "Export its image encoder with its pooled features as an output, or learn from its logits (--distillation-type soft).",
    },
  );
}

function asItIs(model: Uint8Array, { name, dims }: OnnxValue): OnnxEmbedding {
  return { model, output: { name, columns: dims?.[1] }, note: undefined };
}

function freeName({ producerOf }: OnnxSignature): string {
  let name = ADDED;
  for (let i = 1; producerOf(name) !== undefined; i++) name = `${ADDED}.${i}`;
  return name;
}

type Model = Parameters<typeof create<typeof ModelProtoSchema>>[1];
type Graph = NonNullable<NonNullable<Model>["graph"]>;

/** Row 0 of the tokens [B, N, D]. */
function classToken(tokens: string, name: string): Graph {
  const index = `${name}.index`;
  return {
    node: [
      {
        opType: "Gather",
        name,
        input: [tokens, index],
        output: [name],
        attribute: [{ name: "axis", type: INT, i: 1n }],
      },
    ],
    initializer: [{ name: index, dataType: INT64, int64Data: [0n] }],
    output: [rowsOfFloats(name)],
  };
}

/** What is read [B, C] or, by a convolution, [B, C, 1, 1] as rows. */
function flattened(value: string, name: string): Graph {
  return {
    node: [{ opType: "Flatten", name, input: [value], output: [name] }],
    output: [rowsOfFloats(name)],
  };
}

const FLOAT = 1;
const INT64 = 7;
/** AttributeProto.Type */
const INT = 2;

function rowsOfFloats(name: string): NonNullable<Graph["output"]>[number] {
  return { name, type: { value: { case: "tensorType", value: { elemType: FLOAT } } } };
}

/** A model with more in it. */
export function joined(model: Uint8Array, more: Model): Uint8Array {
  const added = toBinary(ModelProtoSchema, create(ModelProtoSchema, more));
  const all = new Uint8Array(model.length + added.length);
  all.set(model);
  all.set(added, model.length);
  return all;
}
