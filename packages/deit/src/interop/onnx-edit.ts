/** What transformations of ONNX models share: reading their bytes, their constants, and writing new nodes and constants. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CheckpointError, FormatError } from "../errors.ts";
import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
} from "../graph/generated/onnx_pb.ts";
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from "../graph/generated/onnx_pb.ts";

/** TensorProto.DataType */
export const TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
} as const;

/** AttributeProto.AttributeType */
const ATTRIBUTE = { float: 1, int: 2, tensor: 4, floats: 6, ints: 7 } as const;

/** A model that is being changed. */
export interface OnnxEdit {
  readonly model: ModelProto;
  readonly graph: GraphProto;
  /** Constants by name: initialisers, and what Constant and Identity nodes make of values known before a run. */
  readonly constants: Map<string, TensorProto>;
  /** A name that nothing has, `base` if possible. */
  readonly unique: (base: string) => string;
}

/**
 * Reads a model; Constant nodes, and Identity nodes of constants, become initialisers.
 * @param external whether weights may lie in another file
 * @throws FormatError when the bytes are not an ONNX model, CheckpointError when its weights lie elsewhere
 */
export function openOnnx(bytes: Uint8Array, { external = false }: { external?: boolean } = {}): OnnxEdit {
  const model = parse(bytes);
  const { graph } = model;
  if (graph === undefined || graph.node.length === 0 || model.opsetImport.length === 0) throw noModel();
  const constants = new Map<string, TensorProto>();
  for (const tensor of graph.initializer) constants.set(tensor.name, tensor);
  const names = new Set([...graph.initializer, ...graph.input].map(({ name }) => name));
  const results = new Set(graph.output.map(({ name }) => name));
  graph.node = graph.node.filter((node) => {
    for (const name of node.output) names.add(name);
    const [name = ""] = node.output;
    const value = node.opType === "Constant" ? constantOf(node) : identityOf(node, constants);
    if (value === undefined || results.has(name)) return true;
    constants.set(name, create(TensorProtoSchema, { ...value, name }));
    return false;
  });
  if (!external) for (const tensor of constants.values()) checkInside(tensor);
  graph.initializer = [...constants.values()];
  const unique = (base: string): string => {
    let name = base;
    for (let i = 1; names.has(name); i++) name = `${base}_${i}`;
    names.add(name);
    return name;
  };
  return { model, graph, constants, unique };
}

/** The changed model: constants that are used no more are left out, as are the types of inner values. */
export function closeOnnx({ model, graph, constants }: OnnxEdit): Uint8Array {
  const used = new Set([
    ...graph.node.flatMap(({ input }) => input),
    ...graph.output.map(({ name }) => name),
  ]);
  graph.initializer = [...constants.values()].filter(({ name }) => used.has(name));
  graph.input = graph.input.filter(({ name }) => used.has(name) || !constants.has(name));
  graph.valueInfo = [];
  return toBinary(ModelProtoSchema, model);
}

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw noModel(cause);
  }
}

function noModel(cause?: unknown): FormatError {
  return new FormatError("the model", "these bytes are not an ONNX model", {
    code: "onnx/damaged",
    hint: "The file may be cut off or of another format. Export or download it again.",
    cause,
  });
}

/** The value of a Constant node, whose forms are many. */
function constantOf({ attribute: [value] }: NodeProto): TensorProto | undefined {
  if (value === undefined) return undefined;
  if (value.t !== undefined) return value.t;
  const { name, f, i, floats, ints } = value;
  if (name === "value_float") return tensorOf("", Float32Array.of(f), []);
  if (name === "value_floats") return tensorOf("", Float32Array.from(floats), [floats.length]);
  if (name === "value_int") return tensorOf("", BigInt64Array.of(i), []);
  if (name === "value_ints") return tensorOf("", BigInt64Array.from(ints), [ints.length]);
  return undefined;
}

function identityOf(
  { opType, input: [source = ""] }: NodeProto,
  constants: ReadonlyMap<string, TensorProto>,
): TensorProto | undefined {
  return opType === "Identity" ? constants.get(source) : undefined;
}

/** @throws CheckpointError for float32 values that are not in these bytes */
function checkInside({ name, dataType, dims, rawData, floatData }: TensorProto): void {
  if (dataType !== TYPE.float32) return;
  const values = dims.reduce((product, dim) => product * Number(dim), 1);
  if (rawData.byteLength === 4 * values || floatData.length === values) return;
  throw new CheckpointError(`the model's weight ${JSON.stringify(name.slice(0, 60))} is not inside it`, {
    code: "onnx/weights-outside",
    hint: "Save it with its weights inside: torch.onnx.export(…, external_data=False), or onnx.save(onnx.load(path), one_file).",
  });
}

/** Values of a float32 constant. */
export function floatsOf({ rawData, floatData }: TensorProto): Float32Array {
  return rawData.byteLength > 0
    ? new Float32Array(Uint8Array.from(rawData).buffer)
    : Float32Array.from(floatData);
}

type Data = Float32Array | Float16Array | Int8Array | Uint8Array | Int32Array | BigInt64Array;

function typeOf(data: Data): number {
  if (data instanceof Float32Array) return TYPE.float32;
  if (data instanceof Float16Array) return TYPE.float16;
  if (data instanceof Int8Array) return TYPE.int8;
  if (data instanceof Uint8Array) return TYPE.uint8;
  return data instanceof Int32Array ? TYPE.int32 : TYPE.int64;
}

export function tensorOf(name: string, data: Data, dims: readonly number[]): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: typeOf(data),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

export interface NewNode {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number>>;
  readonly domain?: string;
}

/** A node named after its first output; its attributes are integers. */
export function nodeOf(
  opType: string,
  { inputs, outputs, attributes = {}, domain = "" }: NewNode,
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    domain,
    name: outputs[0] ?? "",
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) =>
      create(AttributeProtoSchema, { name, type: ATTRIBUTE.int, i: BigInt(value) }),
    ),
  });
}

export function attributeOf({ attribute }: NodeProto, name: string): AttributeProto | undefined {
  return attribute.find((candidate) => candidate.name === name);
}

/** Version of the standard operations, or of a domain's. */
export function opsetOf({ opsetImport }: ModelProto, domain = ""): number | undefined {
  const found = opsetImport.find(
    (entry) => entry.domain === domain || (domain === "" && entry.domain === "ai.onnx"),
  );
  return found && Number(found.version);
}
