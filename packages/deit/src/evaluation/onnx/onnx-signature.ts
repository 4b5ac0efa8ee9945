/**
 * What goes in and out of an ONNX file, and what it says about itself. Weights are passed over unread: a damaged
 * or hostile file costs no more memory than its own bytes.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { ValueInfoProto } from "../../graph/generated/onnx_pb.ts";
import { ValueInfoProtoSchema } from "../../graph/generated/onnx_pb.ts";
import { ENTRY, GRAPH, MODEL, NODE, TENSOR, visit } from "./onnx-wire.ts";

export interface OnnxValue {
  readonly name: string;
  /** "float32"; "unknown type" for one that is not an image's. */
  readonly dtype: string;
  /** Length of each axis, undefined where it is not fixed; undefined where not even the rank is. */
  readonly dims: readonly (number | undefined)[] | undefined;
}

/** An operation: its type, and the names of its inputs. */
export interface OnnxNode {
  readonly type: string;
  readonly inputs: readonly string[];
}

export interface OnnxSignature {
  /** Without the weights, which old files list among their inputs. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: number;
  /** The operation of the main graph that makes a value; undefined for inputs and weights. Reads the file once more. */
  producerOf(name: string): OnnxNode | undefined;
  /** Sets of operations that it needs; every whole file names one. */
  readonly opsets: number;
  /** Whether values of weights lie in another file. */
  readonly external: boolean;
  /** metadata_props, of at most some megabytes. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** A name out of a file, for a message. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}

/** Names, types and shapes, for a message. */
export function describeValues(values: readonly OnnxValue[]): string {
  const lines = values.slice(0, 6).map(({ name, dtype, dims }) => {
    const lengths = dims?.slice(0, 8).map((length) => length ?? "?");
    return `${quoted(name)} ${dtype} [${lengths?.join(", ") ?? "…"}]`;
  });
  return [...lines, ...(values.length > 6 ? ["…"] : [])].join(", ") || "nothing";
}

/** TensorProto.DataLocation; 0, which onnx itself writes, is inside. */
const EXTERNAL = 1;
const DTYPES: Readonly<Record<number, string>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  6: "int32",
  7: "int64",
  8: "string",
  9: "bool",
  10: "float16",
  11: "float64",
  16: "bfloat16",
};

/** Bytes that all inputs, outputs and metadata may take together; real files need some kilobytes. */
const LARGEST = 2 ** 22;
/** Of one operation, that are looked at. */
const MOST_INPUTS = 16;

/** @throws Error of some kind when the bytes are not a protocol buffer of this shape */
export function readOnnxSignature(model: Uint8Array): OnnxSignature {
  const inputs = new Map<string, OnnxValue>();
  const outputs: OnnxValue[] = [];
  const counts = { nodes: 0, opsets: 0, bytes: 0 };
  const metadata = new Map<string, string>();
  const value = (bytes: Uint8Array): OnnxValue => {
    counts.bytes += bytes.length + 2;
    if (counts.bytes > LARGEST) throw new RangeError("too many inputs and outputs");
    return valueOf(fromBinary(ValueInfoProtoSchema, bytes));
  };
  visit(model, {
    [MODEL.opset]: () => counts.opsets++,
    [MODEL.metadata]: (reader) => {
      const entry = reader.bytes();
      counts.bytes += entry.length + 2;
      if (counts.bytes > LARGEST) return;
      const [key, text] = entryOf(entry);
      metadata.set(key, text);
    },
    [MODEL.graph]: (reader) =>
      visit(reader.bytes(), {
        [GRAPH.node]: () => counts.nodes++,
        [GRAPH.output]: (values) => outputs.push(value(values.bytes())),
        [GRAPH.input]: (values) => {
          const one = value(values.bytes());
          inputs.set(one.name, one);
        },
      }),
  });
  const external = takeWeights(model, inputs);
  const { nodes, opsets } = counts;
  return {
    inputs: [...inputs.values()],
    outputs,
    nodes,
    opsets,
    external,
    metadata,
    producerOf: (name) => producerOf(model, name),
  };
}

/** Nodes are looked through anew, so that no more of them is ever in memory than one. */
function producerOf(model: Uint8Array, name: string): OnnxNode | undefined {
  let found: OnnxNode | undefined;
  const node = (bytes: Uint8Array): void => {
    let makes = false;
    visit(bytes, {
      [NODE.output]: (reader) => {
        makes ||= reader.string() === name;
      },
    });
    if (!makes) return;
    let type = "";
    const inputs: string[] = [];
    visit(bytes, {
      [NODE.type]: (reader) => (type = reader.string()),
      [NODE.input]: (reader) => {
        if (inputs.length < MOST_INPUTS) inputs.push(reader.string());
      },
    });
    found = { type, inputs };
  };
  visit(model, {
    [MODEL.graph]: (reader) => visit(reader.bytes(), { [GRAPH.node]: (nodes) => node(nodes.bytes()) }),
  });
  return name === "" ? undefined : found;
}

/** Removes weights from the inputs; returns whether some lie in another file. */
function takeWeights(model: Uint8Array, inputs: Map<string, OnnxValue>): boolean {
  let external = false;
  const weight = (bytes: Uint8Array): void => {
    let [name, outside] = ["", false];
    visit(bytes, {
      [TENSOR.name]: (reader) => (name = reader.string()),
      [TENSOR.location]: (reader) => (outside = reader.int32() === EXTERNAL),
    });
    inputs.delete(name);
    external ||= outside;
  };
  visit(model, {
    [MODEL.graph]: (reader) =>
      visit(reader.bytes(), { [GRAPH.initializer]: (weights) => weight(weights.bytes()) }),
  });
  return external;
}

function entryOf(entry: Uint8Array): [key: string, value: string] {
  const found: [string, string] = ["", ""];
  visit(entry, {
    [ENTRY.key]: (reader) => (found[0] = reader.string()),
    [ENTRY.value]: (reader) => (found[1] = reader.string()),
  });
  return found;
}

function valueOf({ name, type }: ValueInfoProto): OnnxValue {
  const tensor = type?.value.case === "tensorType" ? type.value.value : undefined;
  return {
    name,
    dtype: DTYPES[tensor?.elemType ?? 0] ?? "unknown type",
    dims: tensor?.shape?.dim.map((dim) => {
      const length = dim.value.case === "dimValue" ? Number(dim.value.value) : 0;
      return length > 0 ? length : undefined;
    }),
  };
}
