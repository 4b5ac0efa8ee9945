/**
 * A program with its weights inside. As state they are split and packed anew in every run, which for one image takes as
 * long as the model; as constants ONNX Runtime does that once, when it loads the program.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ModelProtoSchema, TensorProtoSchema } from "../graph/generated/onnx_pb.ts";
import type { Program, TensorType } from "../graph/program.ts";
import type { Tensors } from "../nn/parameters.ts";

/** TensorProto.DataType */
const FLOAT = 1;
/** Field numbers of onnx.proto. */
const GRAPH = 7;
const INITIALIZER = 5;
const RAW_DATA = 9;

/** Puts values in the place of inputs that have their names. */
export function frozenProgram(program: Program, tensors: Tensors): Program {
  const model = fromBinary(ModelProtoSchema, program.model);
  const { graph } = model;
  if (graph === undefined) throw new TypeError(`${program.name} has no graph`);
  graph.input = graph.input.filter(({ name }) => !tensors.has(name));
  const parts: Uint8Array[] = [toBinary(ModelProtoSchema, model)];
  const inputs: Record<string, TensorType> = {};
  for (const [name, type] of Object.entries(program.inputs)) {
    const tensor = tensors.get(name);
    if (tensor === undefined) inputs[name] = type;
    else parts.push(...initializer(name, type.shape, tensor.data));
  }
  return { ...program, model: joined(parts), inputs };
}

/**
 * A model that has this constant and nothing else: protocol buffers one after the other are one, with the lists of both.
 * Written as its beginning and its values, so that these are copied once.
 */
function initializer(name: string, shape: readonly number[], data: Float32Array): Uint8Array[] {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const header = toBinary(
    TensorProtoSchema,
    create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: FLOAT }),
  );
  const begin = (field: number, length: number): Uint8Array =>
    new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish();
  const rawBegin = begin(RAW_DATA, raw.length);
  const tensorLength = header.length + rawBegin.length + raw.length;
  const tensorBegin = begin(INITIALIZER, tensorLength);
  return [begin(GRAPH, tensorBegin.length + tensorLength), tensorBegin, header, rawBegin, raw];
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
