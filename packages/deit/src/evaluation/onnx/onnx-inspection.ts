/**
 * What no image classifier needs and a hostile file has, refused before anything runs: loops, weights of other files inside
 * operations, and values that a few bytes make huge (ConstantOfShape, Expand, Tile, Resize, …), as far as constants say how
 * large. Graphs inside operations and functions are looked through, too.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { TensorProto } from "../../graph/generated/onnx_pb.ts";
import { TensorProtoSchema } from "../../graph/generated/onnx_pb.ts";
import { ATTRIBUTE, FUNCTION, GRAPH, MODEL, NODE, readIntegers, SPARSE, TENSOR, visit } from "./onnx-wire.ts";

/** Why a file is refused; `problem` completes "model.onnx …". */
export interface OnnxProblem {
  readonly problem: string;
  readonly hint: string;
}

/** Elements that a value may get from constants: 256 MiB of float32. */
const MOST_ELEMENTS = 2 ** 26;
/** How much larger than its input a value may get. */
const MOST_TIMES = 2 ** 12;
const MOST_NODES = 2 ** 20;
const DEEPEST = 16;
/** A tensor of sizes is no longer than this, in elements and bytes. */
const SIZES = 64;
const SMALL_TENSOR = 2 ** 10;

const REPEATING: ReadonlySet<string> = new Set(["Loop", "Scan", "SequenceMap"]);
/** Values that sizes are computed from here. */
type Known = Map<string, readonly number[]>;

class Refused extends Error {
  readonly found: OnnxProblem;
  constructor(problem: string, hint: string) {
    super(problem);
    this.found = { problem, hint };
  }
}

/** The first thing that cannot be accepted; undefined for an ordinary model. @throws Error when the bytes are not an ONNX file */
export function inspectOnnx(model: Uint8Array): OnnxProblem | undefined {
  const inspection = new Inspection();
  try {
    visit(model, {
      [MODEL.graph]: (reader) => inspection.graph(reader.bytes(), new Map(), 0),
      [MODEL.functions]: (reader) =>
        visit(reader.bytes(), { [FUNCTION.node]: (nodes) => inspection.node(nodes.bytes(), new Map(), 1) }),
    });
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.found;
    throw error;
  }
}

class Inspection {
  private nodes = 0;

  /** Nodes stand in the order in which they run, weights may stand behind them. */
  graph(bytes: Uint8Array, known: Known, depth: number): void {
    if (depth > DEEPEST)
      throw new Refused(`has graphs inside graphs, more than ${DEEPEST} deep`, "No exporter writes that.");
    visit(bytes, {
      [GRAPH.initializer]: (reader) => this.tensor(reader.bytes(), known, depth),
      [GRAPH.sparseInitializer]: (reader) => this.sparse(reader.bytes()),
    });
    visit(bytes, { [GRAPH.node]: (reader) => this.node(reader.bytes(), known, depth) });
  }

  node(bytes: Uint8Array, known: Known, depth: number): void {
    if (++this.nodes > MOST_NODES)
      throw new Refused(`has more than ${MOST_NODES} operations`, "It is damaged, or made to be slow.");
    const node: SeenNode = { type: "", inputs: [], outputs: [], attributes: new Map() };
    visit(bytes, {
      [NODE.type]: (reader) => (node.type = reader.string()),
      [NODE.input]: (reader) => {
        const name = reader.string();
        if (node.inputs.length < SIZES) node.inputs.push(name);
      },
      [NODE.output]: (reader) => {
        const name = reader.string();
        if (node.outputs.length < SIZES) node.outputs.push(name);
      },
      [NODE.attribute]: (reader) => this.attribute(reader.bytes(), { node, known, depth }),
    });
    if (REPEATING.has(node.type)) {
      throw new Refused(
        `repeats a part of itself (${node.type}) without a limit`,
        "Image classifiers need no loops: export it with them unrolled (torch.onnx.export of a traced model).",
      );
    }
    checkSizes(node, known);
    const value = valueOf(node, known);
    const [output] = node.outputs;
    if (value !== undefined && value.length <= SIZES && output !== undefined) known.set(output, value);
  }

  private attribute(
    bytes: Uint8Array,
    { node, known, depth }: { node: SeenNode; known: Known; depth: number },
  ): void {
    let name = "";
    const numbers: number[] = [];
    const inner = (reader: BinaryReader): void => {
      const tensor = reader.bytes();
      const values = new Map<string, readonly number[]>();
      this.tensor(tensor, values, depth, true);
      numbers.push(...([...values.values()][0] ?? []));
    };
    const integers = (reader: BinaryReader, wire: WireType): void =>
      readIntegers(reader, wire, numbers, SIZES);
    const graph = (reader: BinaryReader): void => this.graph(reader.bytes(), new Map(known), depth + 1);
    visit(bytes, {
      [ATTRIBUTE.name]: (reader) => (name = reader.string()),
      [ATTRIBUTE.i]: integers,
      [ATTRIBUTE.ints]: integers,
      [ATTRIBUTE.t]: inner,
      [ATTRIBUTE.tensors]: inner,
      [ATTRIBUTE.g]: graph,
      [ATTRIBUTE.graphs]: graph,
      [ATTRIBUTE.sparse]: (reader) => this.sparse(reader.bytes()),
      [ATTRIBUTE.sparses]: (reader) => this.sparse(reader.bytes()),
    });
    if (node.attributes.size < SIZES) node.attributes.set(name, numbers);
  }

  /** Small ones of integers are remembered: sizes are computed from them. `isInside`: an operation's own, not a weight. */
  private tensor(bytes: Uint8Array, known: Known, depth: number, isInside = depth > 0): void {
    let isExternal = false;
    const dims: number[] = [];
    visit(bytes, {
      [TENSOR.location]: (reader) => (isExternal = reader.int32() === 1),
      [TENSOR.dims]: (reader, wire) => readIntegers(reader, wire, dims, SIZES),
    });
    const count = productOf(dims);
    // the smallest types have two elements in a byte
    if (!isExternal && count > 2 * bytes.length)
      throw new Refused(`has a weight of ${count} elements in ${bytes.length} bytes`, "It is damaged.");
    if (isExternal && isInside) {
      throw new Refused(
        "has weights of another file inside an operation",
        "They would be looked for in the folder that this program was started in. Save it with its weights inside.",
      );
    }
    if (bytes.length > SMALL_TENSOR || isExternal || count > SIZES) return;
    const tensor = fromBinary(TensorProtoSchema, bytes);
    const values = valuesOf(tensor);
    if (values !== undefined) known.set(tensor.name, values);
  }

  private sparse(bytes: Uint8Array): void {
    const dims: number[] = [];
    const tensor = (reader: BinaryReader): void => this.tensor(reader.bytes(), new Map(), 1);
    visit(bytes, {
      [SPARSE.values]: tensor,
      [SPARSE.indices]: tensor,
      [SPARSE.dims]: (reader, wire) => readIntegers(reader, wire, dims, SIZES),
    });
    refuseSize("a sparse weight", productOf(dims), MOST_ELEMENTS);
  }
}

interface SeenNode {
  type: string;
  readonly inputs: string[];
  readonly outputs: string[];
  /** Integers of an attribute, or of its tensor. */
  readonly attributes: Map<string, readonly number[]>;
}

/** @throws Refused for a value that constants make too large */
function checkSizes({ type, inputs, attributes }: SeenNode, known: Known): void {
  const input = (index: number): readonly number[] | undefined => known.get(inputs[index] ?? "");
  const limit = (count: number | undefined, most: number): void => refuseSize(type, count, most);
  const each = (values: readonly number[] | undefined): number | undefined => values && productOf(values);
  switch (type) {
    case "ConstantOfShape":
      return limit(each(input(0)), MOST_ELEMENTS);
    case "Expand":
    case "MaxUnpool":
      return limit(each(type === "Expand" ? input(1) : input(2)), MOST_ELEMENTS);
    case "Tile":
      return limit(each(input(1)), MOST_TIMES);
    case "Upsample":
      return limit(each(input(1)), MOST_TIMES);
    case "Resize":
      limit(each(input(3)), MOST_ELEMENTS);
      return limit(each(input(2) ?? (inputs.length === 2 ? input(1) : undefined)), MOST_TIMES);
    case "Range": {
      const [start, end, step] = [input(0)?.[0], input(1)?.[0], input(2)?.[0]];
      if (start === undefined || end === undefined || step === undefined) return undefined;
      return limit(Math.abs((end - start) / step), MOST_ELEMENTS);
    }
    case "OneHot":
      return limit(input(1)?.[0], MOST_ELEMENTS);
    case "Pad": {
      const pads = input(1) ?? attributes.get("pads");
      return limit(pads && padded(pads), MOST_ELEMENTS);
    }
    case "RandomNormal":
    case "RandomUniform":
      return limit(each(attributes.get("shape")), MOST_ELEMENTS);
    case "Multinomial":
      return limit(attributes.get("sample_size")?.[0], MOST_ELEMENTS);
    case "HannWindow":
    case "HammingWindow":
    case "BlackmanWindow":
      return limit(input(0)?.[0], MOST_ELEMENTS);
    default: {
      const pads = attributes.get("pads");
      limit(pads && padded(pads), MOST_ELEMENTS);
      const strides = type === "ConvTranspose" ? attributes.get("strides") : undefined;
      limit(each(strides), MOST_TIMES);
      return limit(each(attributes.get("output_shape")), MOST_ELEMENTS);
    }
  }
}

/** Elements that padding makes of one: begins and ends of each axis. */
function padded(pads: readonly number[]): number {
  const half = pads.length / 2;
  return productOf(
    pads.slice(0, half).map((begin, i) => 1 + Math.max(0, begin) + Math.max(0, pads[half + i] ?? 0)),
  );
}

function refuseSize(what: string, count: number | undefined, most: number): void {
  if (count === undefined || count <= most) return;
  throw new Refused(
    `makes a value of ${count.toPrecision(3)} times ${most === MOST_TIMES ? "its input" : "one element"} (${what})`,
    "No image classifier needs a value this large: it would take all memory.",
  );
}

/** Integers that an operation computes from known ones; undefined for all others. */
function valueOf({ type, inputs, attributes }: SeenNode, known: Known): readonly number[] | undefined {
  if (type === "Constant")
    return attributes.get("value") ?? attributes.get("value_ints") ?? attributes.get("value_int");
  const values = inputs.map((name) => known.get(name));
  const [first, second] = values;
  if (first === undefined) return undefined;
  if (SAME.has(type)) return first;
  if (type === "Concat") return values.every((value) => value !== undefined) ? values.flat() : undefined;
  const compute = ARITHMETIC.get(type);
  if (compute === undefined || second === undefined) return undefined;
  return Array.from({ length: Math.max(first.length, second.length) }, (_, i) =>
    compute(first[i % first.length] ?? 0, second[i % second.length] ?? 0),
  );
}

const SAME: ReadonlySet<string> = new Set(["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"]);
const ARITHMETIC = new Map<string, (a: number, b: number) => number>([
  ["Add", (a, b) => a + b],
  ["Sub", (a, b) => a - b],
  ["Mul", (a, b) => a * b],
  ["Div", (a, b) => a / b],
  ["Pow", (a, b) => a ** b],
  ["Max", Math.max],
  ["Min", Math.min],
]);

/** −1 and 0, which shapes have for what is known otherwise, count as 1. */
function productOf(values: readonly number[]): number {
  return values.reduce((product, value) => product * Math.max(1, Math.abs(value)), 1);
}

/** Of float32 and integers; undefined for others. */
function valuesOf({ dataType, rawData, floatData, int32Data, int64Data }: TensorProto): number[] | undefined {
  const typed = [...floatData, ...int32Data, ...int64Data.map(Number)];
  if (typed.length > 0) return typed;
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  const count = (bytes: number): { length: number } => ({ length: Math.floor(rawData.length / bytes) });
  if (dataType === 1) return Array.from(count(4), (_, i) => view.getFloat32(4 * i, true));
  if (dataType === 6) return Array.from(count(4), (_, i) => view.getInt32(4 * i, true));
  return dataType === 7 ? Array.from(count(8), (_, i) => Number(view.getBigInt64(8 * i, true))) : undefined;
}
