import { fromBinary } from "@bufbuild/protobuf";
import type { GraphProto } from "../../src/graph/generated/onnx_pb.ts";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import type { Program } from "../../src/graph/program.ts";

/** The graph in a program's model. */
export function graphOf({ model }: Program): Partial<GraphProto> {
  return fromBinary(ModelProtoSchema, model).graph ?? {};
}

/** Its operations, in their order. */
export function nodeTypes(program: Program): string[] {
  return graphOf(program).node?.map(({ opType }) => opType) ?? [];
}
