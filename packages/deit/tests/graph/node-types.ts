import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import type { Program } from "../../src/graph/program.ts";

/** The operations of a program's model, in their order. */
export function nodeTypes({ model }: Program): string[] {
  return fromBinary(ModelProtoSchema, model).graph?.node.map(({ opType }) => opType) ?? [];
}
