/**
 * The graph: values, the nodes that make them, and how an operation is defined. A graph has no object of its
 * own: it is whatever its outputs reach. Nodes are immutable and checked when they are built, so a shape error
 * points at the line that wrote it. This file knows no particular operation.
 */
import type { Shape } from "./shape.ts";
import { sizeOf } from "./shape.ts";
import { ShapeError } from "../errors.ts";

export type DType = "float32" | "float16" | "int64" | "int32" | "bool" | "uint8";

/** Element type and static shape of a tensor. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * Where a graph is to run: it decides how composite operations are written out. `portable` is plain ONNX; `cpu8` and
 * `cpu16` are the CPU where convolutions may take their channels in blocks of so many (ops/blocked.ts), with `-chains` where
 * the runtime has our own operation for elementwise ones, too (ops/chain.ts).
 */
export type Target = "cpu" | BlockedTarget | `${BlockedTarget}-chains` | "webgpu" | "portable";
type BlockedTarget = "cpu8" | "cpu16";

export function isCpu(target: Target): boolean {
  return target.startsWith("cpu");
}

/** Channels in a block, on targets that have blocked convolutions. */
export function blockOf(target: Target): 8 | 16 | undefined {
  return target.startsWith("cpu8") ? 8 : target.startsWith("cpu16") ? 16 : undefined;
}

/** Whether elementwise operations may be one of our own. */
export function hasChains(target: Target): boolean {
  return target.endsWith("-chains");
}

/** A tensor in the graph: output `index` of `node`. */
export interface Value extends TensorType {
  readonly node: Node;
  readonly index: number;
}

export interface Node {
  readonly id: number;
  readonly op: OpDefinition<Attributes>;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
  readonly outputs: readonly Value[];
  /** Which part of a program it belongs to, as a path; for errors and profiles. See `inScope`. */
  readonly scope: string;
  /** The node that this one computes again, for a gradient that did not keep its results (gradient.ts). */
  readonly recomputes?: Node;
}

export type Attributes = Readonly<Record<string, unknown>>;

/** A number stands for a scalar constant: float32, or float16 beside a value of that type. */
export type Operand = Value | number;

/** A tensor of the interpreter: every dtype is held as float64 (booleans as 0 and 1). */
export interface Tensor64 {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** What an ONNX node is made of; `inputs` default to the operation's own. */
export interface OnnxNode {
  readonly type: string;
  readonly domain?: string;
  readonly inputs?: readonly string[];
  readonly attributes?: Readonly<
    Record<string, number | string | readonly number[] | { readonly float: number }>
  >;
}

/** What an operation needs to write itself as ONNX. */
export interface OnnxWriter {
  /** ONNX name of a value. */
  name(value: Value): string;
  /** Name of an int64 constant, [length] (or a scalar for a number). */
  int64(values: readonly number[] | number): string;
  /** Name of a scalar constant, float32 unless `dtype` says float16. */
  scalar(value: number, dtype?: DType): string;
}

/** An operation's operands: as many as it takes. Each definition knows its own number, so none has to check. */
export type Operands<T> = readonly [T, T, T, T, T, T, T, T, ...T[]];

export interface GradientContext<A> {
  readonly inputs: Operands<Value>;
  readonly outputs: Operands<Value>;
  /** Gradient of the loss by the first output. */
  readonly grad: Value;
  /** Gradient by every output, for operations with several; undefined where the loss does not depend on it. */
  readonly grads: readonly (Value | undefined)[];
  readonly attributes: A;
}

/**
 * An operation: its shape rule, gradient, oracle and ONNX form, side by side. Composite operations (attention,
 * layer normalisation, …) have `lower` instead of `onnx` and `evaluate`: they are written out as other
 * operations, in the form that is fastest on the target; their `portable` form is their oracle.
 */
export interface OpDefinition<A extends Attributes> {
  readonly name: string;
  /** Types of the outputs. @throws ShapeError */
  infer(inputs: Operands<TensorType>, attributes: A): readonly TensorType[];
  /** Outputs that a loss may depend on, when not all: the others are there for the gradient to reuse. */
  readonly differentiableOutputs?: number;
  /** Gradients by the inputs, undefined where there is none. */
  gradient?(context: GradientContext<A>): readonly (Value | undefined)[];
  /** Of products (of matrices, of kernels with pixels): how many terms are added up for one number, at most. */
  terms?(inputs: Operands<TensorType>, attributes: A): number;
  /** The oracle, in float64. */
  evaluate?(inputs: Operands<Tensor64>, attributes: A, types: readonly TensorType[]): readonly Float64Array[];
  onnx?(inputs: Operands<Value>, attributes: A, writer: OnnxWriter): OnnxNode;
  /**
   * The same values by other operations, or undefined when the target has this one as it is. `used` tells which
   * outputs are wanted: what only a gradient reuses need not be computed without one.
   */
  lower?(
    inputs: Operands<Value>,
    attributes: A,
    target: Target,
    used: readonly boolean[],
  ): readonly Value[] | undefined;
  /** A simpler equal value, or undefined. */
  simplify?(inputs: Operands<Value>, attributes: A): Value | undefined;
}

/** A list as the operands of an operation whose number was right when its node was made. */
export function operands<T>(list: readonly T[]): Operands<T> {
  return list as unknown as Operands<T>;
}

let nextId = 0;
let currentScope = "";

/**
 * Builds a part of a graph under a name: its nodes carry the path of all names around them (`blocks.3/attn`), through
 * lowering and simplification into the names of ONNX nodes. It changes nothing that is computed.
 */
export function inScope<T>(name: string, build: () => T): T {
  return atScope(currentScope === "" ? name : `${currentScope}/${name}`, build);
}

/** The same under a whole path, whatever is around. */
export function atScope<T>(path: string, build: () => T): T {
  const outer = currentScope;
  currentScope = path;
  try {
    return build();
  } finally {
    currentScope = outer;
  }
}

/** Adds one node. The typed functions of ops/ are what to call; this is what they call. */
export function createNode<A extends Attributes>(
  op: OpDefinition<A>,
  inputs: readonly Value[],
  attributes: A,
  { recomputes }: Pick<Node, "recomputes"> = {},
): Node {
  const outputs: Value[] = [];
  const node: Node = {
    id: nextId++,
    op,
    inputs,
    attributes,
    outputs,
    scope: currentScope,
    ...(recomputes && { recomputes }),
  };
  for (const [index, type] of op.infer(operands(inputs), attributes).entries()) {
    outputs.push({ node, index, dtype: type.dtype, shape: type.shape });
  }
  return node;
}

/** The first output of a new node: what most operations return. */
export function apply<A extends Attributes>(
  op: OpDefinition<A>,
  inputs: readonly Value[],
  attributes: A,
): Value {
  return output(createNode(op, inputs, attributes), 0);
}

export function output(node: Node, index: number): Value {
  const value = node.outputs[index];
  if (value === undefined) throw new RangeError(`${node.op.name} has no output ${index}`);
  return value;
}

/** Element `index` of a list that is known to have it: operation inputs and outputs, mostly. */
export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no element ${index} in a list of ${list.length}`);
  return item;
}

// Inputs and constants: the leaves.

const inputOp: OpDefinition<TensorType & { readonly name: string; readonly [key: string]: unknown }> = {
  name: "input",
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
};

/** A named input of the program. */
export function input(name: string, dtype: DType, shape: Shape): Value {
  return apply(inputOp, [], { name, dtype, shape });
}

export type ConstantData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

const constantOp: OpDefinition<
  TensorType & { readonly data: ConstantData; readonly [key: string]: unknown }
> = {
  name: "constant",
  infer: (_, { dtype, shape, data }) => {
    if (data.length !== sizeOf(shape)) throw new ShapeError("constant", [shape], `${data.length} elements`);
    return [{ dtype, shape }];
  },
  evaluate: (_, { data }) => [toFloat64(data)],
};

/** The oracle's copy. From typed array to typed array it is many times as fast as number by number. */
export function toFloat64(data: ConstantData): Float64Array {
  return data instanceof BigInt64Array ? Float64Array.from(data, Number) : new Float64Array(data);
}

/** A tensor that is written into the program. Not copied: do not change `data` afterwards. */
export function constant(data: ConstantData, shape: Shape = [data.length], dtype: DType = "float32"): Value {
  return apply(constantOp, [], { dtype, shape, data });
}

/** A float32 scalar, []. */
export function scalar(value: number): Value {
  return constant(Float64Array.of(value), []);
}

/** A constant filled with one number, kept as a scalar that is expanded where it must be. `beside`: what it meets. */
export function operand(value: Operand, beside?: Operand): Value {
  if (typeof value !== "number") return value;
  const isHalf = typeof beside === "object" && beside.dtype === "float16";
  return isHalf ? constant(Float64Array.of(value), [], "float16") : scalar(value);
}

export function isInput(node: Node): boolean {
  return node.op === inputOp;
}

/** Name of an input node. */
export function inputName(node: Node): string {
  return String(node.attributes["name"]);
}

/** The data of a constant, or undefined for any other value. */
export function constantData(value: Value): ConstantData | undefined {
  if (value.node.op !== constantOp) return undefined;
  const data = value.node.attributes["data"];
  return ArrayBuffer.isView(data) ? (data as ConstantData) : undefined;
}

/** The number that a one-element or uniform small constant holds, or undefined. */
export function constantNumber(value: Value): number | undefined {
  const data = constantData(value);
  return data?.length === 1 ? Number(data[0]) : undefined;
}

/** Every node the values depend on, inputs before users. */
export function topologicalOrder(values: Iterable<Value>): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  for (const value of values) {
    if (!seen.has(value.node)) stack.push({ node: value.node, next: 0 });
    seen.add(value.node);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const child = top.node.inputs[top.next++];
      if (child === undefined) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(child.node)) {
        seen.add(child.node);
        stack.push({ node: child.node, next: 0 });
      }
    }
  }
  return order;
}
