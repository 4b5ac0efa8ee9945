/**
 * One ONNX model for batches of any size, from a program that is traced for a fixed one: traced for two sizes, the two
 * models differ in nothing but what depends on the batch, which is then computed from the input's own shape.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeitError } from "../errors.ts";
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from "../graph/generated/onnx_pb.ts";
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from "../graph/generated/onnx_pb.ts";

/** Sizes that no other dimension of a model has. */
const SIZES = [11, 13] as const;
const [SMALL, LARGE] = SIZES;
const INT64 = 7;
const STATIC = "static";

/**
 * @param trace the model's bytes for a batch size; the same nodes whatever the size, the batch the first axis of the inputs
 * @param options.batch name of the free dimension
 * @throws DeitError when something depends on the batch in a way that cannot be written
 */
export function dynamicBatch(
  trace: (batchSize: number) => Uint8Array,
  { batch = "batch" }: { batch?: string } = {},
): Uint8Array {
  const [model, other] = SIZES.map((size) => fromBinary(ModelProtoSchema, trace(size)));
  const [graph, second] = [model?.graph, other?.graph];
  const input = graph?.input[0]?.name;
  if (model === undefined || graph === undefined || second === undefined || input === undefined)
    throw new DeitError("a model without inputs has no batch", { code: "export/batch" });
  if (graph.node.length !== second.node.length)
    throw unsupported(`${graph.node.length} and ${second.node.length} nodes`);
  const rewriter = new Rewriter(graph, second, input);
  const nodes = graph.node.flatMap((node, i) => rewriter.rewrite(node, second.node[i] ?? node));
  graph.node = [...rewriter.sizeNodes(), ...nodes];
  const used = new Set(graph.node.flatMap((node) => node.input));
  graph.initializer = [...graph.initializer, ...rewriter.added].filter(({ name }) => used.has(name));
  for (const info of [...graph.input, ...graph.output]) freeFirstAxis(info, batch);
  return toBinary(ModelProtoSchema, model);
}

class Rewriter {
  readonly added: TensorProto[] = [];
  private readonly constants: ReadonlyMap<string, TensorProto>;
  private readonly others: ReadonlyMap<string, TensorProto>;
  private readonly input: string;
  private readonly made = new Map<string, string>();
  private needsSize = false;

  constructor(graph: GraphProto, other: GraphProto, input: string) {
    this.constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
    this.others = new Map(other.initializer.map((tensor) => [tensor.name, tensor]));
    this.input = input;
  }

  /** The node, after those that compute what of its inputs depends on the batch. */
  rewrite(node: NodeProto, twin: NodeProto): NodeProto[] {
    if (node.opType !== twin.opType || node.input.length !== twin.input.length)
      throw unsupported(`${node.name} is ${node.opType} and ${twin.opType}`);
    if (!sameAttributes(node, twin)) throw unsupported(`attributes of ${node.name} (${node.opType})`);
    const before: NodeProto[] = [];
    node.input = node.input.map((name, i) => {
      const [constant, other] = [this.constants.get(name), this.others.get(twin.input[i] ?? "")];
      if (constant === undefined || other === undefined || sameTensor(constant, other)) return name;
      return constant.dataType === INT64
        ? this.integers(node, { values: integersOf(constant), others: integersOf(other), before })
        : this.repeated(node, { constant, other, before });
    });
    return [...before, node];
  }

  /** The size of the batch, [1], from the shape of the input. */
  sizeNodes(): NodeProto[] {
    if (!this.needsSize) return [];
    const shape = nodeOf("Shape", { inputs: [this.input], output: "batch_shape" });
    shape.attribute = [
      create(AttributeProtoSchema, { name: "start", type: 2, i: 0n }),
      create(AttributeProtoSchema, { name: "end", type: 2, i: 1n }),
    ];
    return [shape];
  }

  /** Integers that are base + slope · batch each. */
  private integers(
    node: NodeProto,
    { values, others, before }: { values: bigint[]; others: bigint[]; before: NodeProto[] },
  ): string {
    if (values.length !== others.length) throw unsupported(`an input of ${node.name} (${node.opType})`);
    const steps = BigInt(LARGE - SMALL);
    const slopes = values.map((value, i) => ((others[i] ?? value) - value) / steps);
    const bases = values.map((value, i) => value - (slopes[i] ?? 0n) * BigInt(SMALL));
    const exact = others.every((other, i) => other === (bases[i] ?? 0n) + (slopes[i] ?? 0n) * BigInt(LARGE));
    if (!exact) throw unsupported(`an input of ${node.name} (${node.opType})`);
    const changing = slopes.filter((slope) => slope !== 0n).length;
    if (node.opType === "Reshape" && changing === 1)
      return this.int64(bases.map((base, i) => (slopes[i] === 0n ? base : -1n)));
    return this.once(`size_${bases.join("_")}_by_${slopes.join("_")}`, (name) => {
      this.needsSize = true;
      before.push(
        nodeOf("Mul", { inputs: ["batch_shape", this.int64(slopes)], output: `${name}_part` }),
        nodeOf("Add", { inputs: [`${name}_part`, this.int64(bases)], output: name }),
      );
    });
  }

  /** A constant that is the same for every image. */
  private repeated(
    node: NodeProto,
    { constant, other, before }: { constant: TensorProto; other: TensorProto; before: NodeProto[] },
  ): string {
    const dims = constant.dims.map(Number);
    const axis = dims.findIndex((dim, i) => dim === SMALL && Number(other.dims[i]) === LARGE);
    const single = axis < 0 ? undefined : firstAlong(constant.rawData, dims, axis);
    if (single === undefined) throw unsupported(`a constant of ${node.name} (${node.opType})`);
    return this.once(`${constant.name}_expanded`, (name) => {
      const dimsOfOne = dims.map((dim, i) => BigInt(i === axis ? 1 : dim));
      const { dataType } = constant;
      this.added.push(
        create(TensorProtoSchema, { name: `${name}_one`, dims: dimsOfOne, dataType, rawData: single }),
      );
      const values = dims.map(BigInt);
      const others = values.map((dim, i) => (i === axis ? BigInt(LARGE) : dim));
      const expand = nodeOf("Expand", { inputs: [`${name}_one`], output: name });
      const shape = this.integers(expand, { values, others, before });
      expand.input = [`${name}_one`, shape];
      before.push(expand);
    });
  }

  private int64(values: readonly bigint[]): string {
    return this.once(`${STATIC}_${values.join("_")}`.replaceAll("-", "m"), (name) => {
      const rawData = new Uint8Array(BigInt64Array.from(values).buffer);
      this.added.push(
        create(TensorProtoSchema, { name, dims: [BigInt(values.length)], dataType: INT64, rawData }),
      );
    });
  }

  private once(name: string, make: (name: string) => void): string {
    const known = this.made.get(name);
    if (known !== undefined) return known;
    this.made.set(name, name);
    make(name);
    return name;
  }
}

function nodeOf(opType: string, { inputs, output }: { inputs: string[]; output: string }): NodeProto {
  return create(NodeProtoSchema, { opType, name: output, input: inputs, output: [output] });
}

function integersOf({ rawData }: TensorProto): bigint[] {
  return [...new BigInt64Array(Uint8Array.from(rawData).buffer)];
}

/** The first slice along an axis, when all slices are that one. */
function firstAlong(bytes: Uint8Array, dims: readonly number[], axis: number): Uint8Array | undefined {
  const outer = dims.slice(0, axis).reduce((product, dim) => product * dim, 1);
  const [repeats, slice] = [dims[axis] ?? 1, bytes.byteLength / outer / (dims[axis] ?? 1)];
  const single = new Uint8Array(outer * slice);
  for (let o = 0; o < outer; o++) {
    const first = bytes.subarray(o * repeats * slice, (o * repeats + 1) * slice);
    for (let r = 1; r < repeats; r++) {
      const start = (o * repeats + r) * slice;
      if (!sameBytes(first, bytes.subarray(start, start + slice))) return undefined;
    }
    single.set(first, o * slice);
  }
  return single;
}

function sameTensor(a: TensorProto, b: TensorProto): boolean {
  return a.dims.join() === b.dims.join() && sameBytes(a.rawData, b.rawData);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < a.byteLength; i++) if (a[i] !== b[i]) return false;
  return true;
}

function sameAttributes(a: NodeProto, b: NodeProto): boolean {
  const text = ({ attribute }: NodeProto): string =>
    JSON.stringify(attribute, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return text(a) === text(b);
}

function freeFirstAxis({ type }: ValueInfoProto, batch: string): void {
  const value = type?.value;
  const first = value?.case === "tensorType" ? value.value.shape?.dim[0] : undefined;
  if (first !== undefined) first.value = { case: "dimParam", value: batch };
}

function unsupported(what: string): DeitError {
  return new DeitError(`this model cannot be written for batches of any size: ${what} depend on it`, {
    code: "export/batch",
  });
}
