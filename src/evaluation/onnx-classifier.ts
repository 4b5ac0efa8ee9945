/**
 * What an ONNX image classifier of any maker says about itself: where pictures go in and logits come out, found by their
 * shapes, and what lies beside the file in transformers.js' layout (normalisation, resolution, names of classes).
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { z } from "zod";
import type { Normalisation } from "../augmentation/normalisation.ts";
import { CheckpointError, DataError, FormatError } from "../errors.ts";
import type { GraphProto, ModelProto, ValueInfoProto } from "../graph/generated/onnx_pb.ts";
import { ModelProtoSchema } from "../graph/generated/onnx_pb.ts";

export interface OnnxClassifier {
  readonly file: string;
  readonly model: Uint8Array;
  readonly input: {
    readonly name: string;
    readonly layout: "NCHW" | "NHWC";
    /** [height, width]; undefined when any will do. */
    readonly size: readonly [number, number] | undefined;
    /** The only batch size that the file takes; undefined when any will do. */
    readonly batch: number | undefined;
  };
  readonly output: { readonly name: string; readonly numClasses: number | undefined };
  /** preprocessor_config.json's. */
  readonly normalisation: Normalisation | undefined;
  readonly inputSize: readonly [number, number] | undefined;
  /** Side of the crop by the shorter side of the resized picture. */
  readonly cropRatio: number | undefined;
  /** Names by index: config.json's, else those in the file. */
  readonly classes: readonly string[] | undefined;
}

/** Protocol buffers, and so ONNX files in one piece, end here. */
const LARGEST = 2 ** 31;

/** @throws DataError when there is no such file, FormatError when it is no ONNX file, CheckpointError when it is no classifier */
export async function readOnnxClassifier(file: string): Promise<OnnxClassifier> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) throw new DataError(file, `there is no file ${file}`);
  if (found.size === 0 || found.size >= LARGEST) {
    const problem = found.size === 0 ? "is empty" : "is larger than 2 GiB, more than an ONNX file can be";
    throw new FormatError(file, problem, { hint: "Export or download it again." });
  }
  const model = new Uint8Array(await readFile(file));
  const proto = parse(file, model);
  const { graph } = proto;
  if (graph === undefined || graph.node.length === 0) {
    throw new FormatError(file, "is no ONNX model: there is no graph in it", {
      hint: "Give an .onnx file, or name a safetensors file by its own ending.",
    });
  }
  checkWhole(file, graph);
  return {
    file,
    model,
    input: pictureInput(file, graph),
    output: logitsOutput(file, graph),
    ...(await readPreprocessor(file)),
    classes: (await readClasses(file)) ?? classesInside(proto),
  };
}

function parse(file: string, bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new FormatError(file, "is no ONNX model: its bytes cannot be read as one", {
      hint: "It may be cut off, or another kind of file. Export or download it again.",
      cause,
    });
  }
}

/** TensorProto.data_location, which our subset of the format leaves out. */
const DATA_LOCATION = 14;

function checkWhole(file: string, { initializer }: GraphProto): void {
  const outside = initializer.find(({ $unknown }) => $unknown?.some(({ no }) => no === DATA_LOCATION));
  if (outside === undefined) return;
  throw new CheckpointError(`${file} keeps its weights in another file (${outside.name} and others)`, {
    hint: "Save it with its weights inside: onnx.save(onnx.load(path), one_file, save_as_external_data=False).",
  });
}

/** Length of an axis where it is fixed. */
type Dims = readonly (number | undefined)[];

function dimsOf({ type }: ValueInfoProto): Dims | undefined {
  const tensor = type?.value.case === "tensorType" ? type.value.value : undefined;
  return tensor?.shape?.dim.map(({ value }) => {
    const length = value.case === "dimValue" ? Number(value.value) : 0;
    return length > 0 ? length : undefined;
  });
}

/** ONNX's numbers of element types. */
const FLOAT32 = 1;
const NAMES: Readonly<Record<number, string>> = {
  1: "float32",
  2: "uint8",
  6: "int32",
  7: "int64",
  10: "float16",
};

function elementType({ type }: ValueInfoProto): number {
  return type?.value.case === "tensorType" ? type.value.value.elemType : 0;
}

function describe(values: readonly ValueInfoProto[]): string {
  const lines = values.slice(0, 6).map((value) => {
    const dims = dimsOf(value)?.map((length) => length ?? "?");
    return `${value.name} ${NAMES[elementType(value)] ?? "of another type"} [${dims?.join(", ") ?? "…"}]`;
  });
  return lines.join(", ") + (values.length > 6 ? ", …" : "") || "nothing";
}

function pictureInput(file: string, { input, initializer }: GraphProto): OnnxClassifier["input"] {
  const weights = new Set(initializer.map(({ name }) => name));
  const inputs = input.filter(({ name }) => !weights.has(name));
  const [picture, ...others] = inputs.filter((value) => dimsOf(value)?.length === 4);
  const refuse = (problem: string, hint: string): never => {
    throw new CheckpointError(`${file} is no image classifier: ${problem}`, { hint });
  };
  if (picture === undefined || others.length > 0 || inputs.length > 1) {
    return refuse(
      `expected one input of pictures [batch, 3, height, width]; it takes ${describe(inputs)}`,
      "Give a model that takes pictures alone and returns logits.",
    );
  }
  if (elementType(picture) !== FLOAT32) {
    return refuse(
      `its pictures are ${NAMES[elementType(picture)] ?? "of another type"}, expected float32`,
      "Export it with float32 inputs and outputs (weights may be of any type).",
    );
  }
  const [batch, second, third, fourth] = dimsOf(picture) ?? [];
  const layout = second !== 3 && fourth === 3 ? "NHWC" : "NCHW";
  if (layout === "NCHW" && second !== undefined && second !== 3) {
    return refuse(`its pictures have ${second} channels, expected 3`, "Give a model for RGB pictures.");
  }
  const [height, width] = layout === "NCHW" ? [third, fourth] : [second, third];
  const size = height === undefined || width === undefined ? undefined : ([height, width] as const);
  return { name: picture.name, layout, size, batch };
}

function logitsOutput(file: string, { output }: GraphProto): OnnxClassifier["output"] {
  const floats = output.filter((value) => elementType(value) === FLOAT32);
  const rows = floats.filter((value) => (dimsOf(value)?.length ?? 2) === 2);
  const chosen = rows.find(({ name }) => name === "logits") ?? (rows.length === 1 ? rows[0] : undefined);
  if (chosen === undefined) {
    throw new CheckpointError(
      `${file} is no image classifier: expected one float32 output of logits [batch, classes]; it returns ${describe(output)}`,
      { hint: "Export it so that its logits are its only output of two axes, or call them `logits`." },
    );
  }
  return { name: chosen.name, numClasses: dimsOf(chosen)?.[1] };
}

const triple = z.tuple([z.number(), z.number(), z.number()]);
const side = z.union([
  z.number().transform((length) => [length, length] as const),
  z
    .object({ height: z.number(), width: z.number() })
    .transform(({ height, width }) => [height, width] as const),
  z.object({ shortest_edge: z.number() }).transform(({ shortest_edge: edge }) => [edge, edge] as const),
]);
const preprocessorSchema = z.object({
  do_normalize: z.boolean().default(true),
  do_rescale: z.boolean().default(true),
  do_center_crop: z.boolean().default(false),
  image_mean: triple.optional(),
  image_std: triple.optional(),
  size: side.optional(),
  crop_size: side.optional(),
});

async function readPreprocessor(
  file: string,
): Promise<Pick<OnnxClassifier, "normalisation" | "inputSize" | "cropRatio">> {
  const found = await readBeside(file, "preprocessor_config.json", preprocessorSchema);
  if (found === undefined) return { normalisation: undefined, inputSize: undefined, cropRatio: undefined };
  const { path, value } = found;
  if (!value.do_rescale) {
    throw new CheckpointError(`${path}: do_rescale is false: the model wants pictures of 0 to 255`, {
      hint: "Export it with the division by 255 outside, as usual, or put it inside the graph as a mean of 0 and a std of 1.",
    });
  }
  const { image_mean: mean, image_std: std, size, crop_size: crop, do_center_crop: crops } = value;
  const inputSize = crops && crop ? crop : size;
  return {
    normalisation: !value.do_normalize ? { mean: [0, 0, 0], std: [1, 1, 1] } : mean && std && { mean, std },
    inputSize,
    cropRatio: crops && crop && size ? Math.min(1, crop[0] / Math.min(...size)) : undefined,
  };
}

const labelsSchema = z.object({ id2label: z.record(z.string(), z.string()).optional() });

async function readClasses(file: string): Promise<string[] | undefined> {
  const found = await readBeside(file, "config.json", labelsSchema);
  return found?.value.id2label && inOrder(found.value.id2label);
}

/** { "0": "cat", "1": "dog" } → names by index; undefined when an index is missing. */
function inOrder(labels: Readonly<Record<string, string>>): string[] | undefined {
  const names = Array.from({ length: Object.keys(labels).length }, (_, i) => labels[String(i)]);
  return names.every((name) => name !== undefined) ? names : undefined;
}

const insideSchema = z.union([z.array(z.string()), z.record(z.string(), z.string()).transform(inOrder)]);

/** Exporters write names into the file's metadata under one of these keys, as JSON or a line each. */
function classesInside({ metadataProps }: ModelProto): readonly string[] | undefined {
  const text = metadataProps.find(({ key }) => ["classes", "labels", "names"].includes(key))?.value;
  if (text === undefined) return undefined;
  try {
    return insideSchema.parse(JSON.parse(text));
  } catch {
    const lines = text.split("\n").filter((line) => line !== "");
    return lines.length > 1 ? lines : undefined;
  }
}

/** A JSON file in the model's folder, or in the one above when that folder is called onnx. */
async function readBeside<T>(
  file: string,
  name: string,
  schema: z.ZodType<T>,
): Promise<{ path: string; value: T } | undefined> {
  const folder = dirname(file);
  const folders = basename(folder) === "onnx" ? [folder, dirname(folder)] : [folder];
  for (const path of folders.map((candidate) => join(candidate, name))) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    try {
      return { path, value: schema.parse(JSON.parse(text)) };
    } catch (cause) {
      throw new FormatError(path, `does not describe the model beside it`, {
        hint: "Mend or remove it; without it the pictures are normalised as ImageNet's.",
        cause,
      });
    }
  }
  return undefined;
}
