/**
 * A program with its weights inside. As state they are split and packed anew in every run, which for one image takes as
 * long as the model; as constants ONNX Runtime does that once, when it loads the program.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProtoSchema } from "../graph/generated/onnx_pb.ts";
import type { Program } from "../graph/program.ts";

/** TensorProto.DataType */
const FLOAT = 1;

/** Puts values of the state that a program only reads into it; they are inputs no more. */
export function frozenProgram(program: Program, values: Readonly<Record<string, Float32Array>>): Program {
  const model = fromBinary(ModelProtoSchema, program.model);
  const { graph } = model;
  if (graph === undefined) throw new TypeError(`${program.name} has no graph`);
  const isFrozen = (name: string): boolean => Object.hasOwn(values, name);
  graph.input = graph.input.filter(({ name }) => !isFrozen(name));
  for (const [name, data] of Object.entries(values)) {
    if (!(name in program.state)) continue;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    graph.initializer.push(
      create(TensorProtoSchema, { name, dims: [BigInt(data.length)], dataType: FLOAT, rawData }),
    );
  }
  const without = <T>(entries: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(entries).filter(([name]) => !isFrozen(name)));
  return {
    ...program,
    model: toBinary(ModelProtoSchema, model),
    inputs: without(program.inputs),
    state: without(program.state),
  };
}
