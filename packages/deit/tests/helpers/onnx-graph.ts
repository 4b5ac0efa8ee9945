/** Small ONNX classifiers of other makers: pixel_values [b, 3, 8, 8] → mean of each channel → matrix → whatever comes last. */
import { create, toBinary } from "@bufbuild/protobuf";
import type {
  AttributeProto,
  GraphProto,
  NodeProto,
  TensorProto,
} from "../../src/graph/generated/onnx_pb.ts";
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from "../../src/graph/generated/onnx_pb.ts";
import { FLOAT32, INT64, onnxFile } from "./onnx-file.ts";
import { fromBinary } from "@bufbuild/protobuf";

export type Attribute = number | string | readonly number[] | TensorProto | GraphProto;

/** [operation, inputs, output, attributes]. */
export type Step = readonly [
  type: string,
  inputs: readonly string[],
  output: string,
  attributes?: Readonly<Record<string, Attribute>>,
];

export interface GraphFile {
  /** Rows of channels, columns of classes. */
  readonly matrix: readonly (readonly number[])[];
  /** From `scores` to `answers`. */
  readonly tail?: readonly Step[];
  /** What the output says it is, default what it is. */
  readonly columns?: number | string;
  readonly constants?: readonly TensorProto[];
  readonly metadata?: Readonly<Record<string, string>>;
}

export function graphFile({
  matrix,
  tail = [["Identity", ["scores"], "answers"]],
  columns = matrix[0]?.length ?? 0,
  constants = [],
  metadata = {},
}: GraphFile): Uint8Array {
  const shell = fromBinary(
    ModelProtoSchema,
    onnxFile({
      inputs: { pixel_values: [FLOAT32, ["b", 3, 8, 8]] },
      outputs: { answers: [FLOAT32, ["b", columns]] },
      metadata,
    }),
  );
  const steps: Step[] = [
    ["GlobalAveragePool", ["pixel_values"], "pooled"],
    ["Flatten", ["pooled"], "means"],
    ["MatMul", ["means", "matrix"], "scores"],
    ...tail,
  ];
  const dims = [matrix.length, matrix[0]?.length ?? 0];
  if (shell.graph) {
    shell.graph.node = steps.map(node);
    shell.graph.initializer = [floats("matrix", dims, matrix.flat()), ...constants];
  }
  return toBinary(ModelProtoSchema, shell);
}

export function node([opType, input, output, attributes = {}]: Step): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    input: [...input],
    output: [output],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

export function graph(
  steps: readonly Step[],
  outputs: readonly string[],
  tensors: readonly TensorProto[] = [],
): GraphProto {
  return create(GraphProtoSchema, {
    name: "inner",
    node: steps.map(node),
    initializer: [...tensors],
    output: outputs.map((name) => ({ name })),
  });
}

export function floats(name: string, dims: readonly number[], values: readonly number[]): TensorProto {
  const rawData = new Uint8Array(Float32Array.from(values).buffer);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: FLOAT32, rawData });
}

export function integers(name: string, values: readonly number[]): TensorProto {
  const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return create(TensorProtoSchema, { name, dims: [BigInt(values.length)], dataType: INT64, rawData });
}

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: 3, s: new TextEncoder().encode(value) });
  if ("$typeName" in value)
    return value.$typeName === "onnx.GraphProto"
      ? create(AttributeProtoSchema, { name, type: 5, g: value })
      : create(AttributeProtoSchema, { name, type: 4, t: value });
  return create(AttributeProtoSchema, { name, type: 7, ints: value.map(BigInt) });
}
