/** ONNX files as other programs write them: any inputs, outputs, metadata and weights around a single node. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { TensorProto, ValueInfoProto } from "../../src/graph/generated/onnx_pb.ts";
import {
  ModelProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from "../../src/graph/generated/onnx_pb.ts";

/** ONNX's number of the element type, and axes: a length, a name ("batch"), or nothing at all. */
export type ValueType = readonly [elemType: number, dims?: readonly (number | string)[]];

export const FLOAT32 = 1;
export const UINT8 = 2;
export const INT64 = 7;
export const FLOAT16 = 10;

/** AttributeProto.AttributeType */
const STRING = 3;

export interface OnnxFile {
  readonly inputs: Readonly<Record<string, ValueType>>;
  readonly outputs: Readonly<Record<string, ValueType>>;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Name → TensorProto.data_location (1: in another file). */
  readonly weights?: Readonly<Record<string, number>>;
  /** What the node is; by default it passes its input on. */
  readonly operation?: string;
  /** The node's attributes, texts. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export function onnxFile({
  inputs,
  outputs,
  metadata = {},
  weights = {},
  operation = "Identity",
  attributes = {},
}: OnnxFile): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 9n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "classifier",
      node: [
        {
          opType: operation,
          input: Object.keys(inputs),
          output: Object.keys(outputs),
          attribute: Object.entries(attributes).map(([name, text]) => ({
            name,
            type: STRING,
            s: new TextEncoder().encode(text),
          })),
        },
      ],
      initializer: Object.entries(weights).map(weight),
      input: Object.entries(inputs).map(valueInfo),
      output: Object.entries(outputs).map(valueInfo),
    },
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, model);
}

function weight([name, location]: [string, number]): TensorProto {
  const rawData = new Uint8Array(location === 0 ? 8 : 0);
  return create(TensorProtoSchema, {
    name,
    dims: [2n],
    dataType: FLOAT32,
    rawData,
    dataLocation: location,
  });
}

function valueInfo([name, [elemType, dims]]: [string, ValueType]): ValueInfoProto {
  const shape = dims && {
    dim: dims.map((dim) =>
      create(TensorShapeProto_DimensionSchema, {
        value:
          typeof dim === "number"
            ? { case: "dimValue", value: BigInt(dim) }
            : { case: "dimParam", value: dim },
      }),
    ),
  };
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: shape ? { elemType, shape } : { elemType } } },
  });
}
