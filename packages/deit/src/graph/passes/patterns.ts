/** What the passes look for: linear layers, sums with a vector, and who reads a value. */
import type { Node, Value } from "../graph.ts";
import { at, constantNumber, topologicalOrder } from "../graph.ts";
import { unshaped } from "../ops/broadcast.ts";

/** The operation that made a value, if it has this name. */
export function madeBy(value: Value, name: string): Node | undefined {
  return value.node.op.name === name ? value.node : undefined;
}

/** A linear layer: x [rows, in] · Wᵀ + b with W [out, in], b [out]. */
export interface LinearNode {
  readonly x: Value;
  readonly weight: Value;
  readonly bias: Value | undefined;
}

export function asLinear({ op, inputs, attributes }: Node): LinearNode | undefined {
  const { transA, transB, alpha } = attributes;
  if (op.name !== "gemm" || transA !== false || transB !== true || alpha !== 1) return undefined;
  return { x: at(inputs, 0), weight: at(inputs, 1), bias: inputs[2] };
}

/** The other operand of `add` or `mul` with a vector over the last axis [D]: y = rest ∘ vector. */
export function withVector(value: Value, op: "add" | "mul"): { rest: Value; vector: Value } | undefined {
  const node = madeBy(value, op);
  if (node === undefined) return undefined;
  const [rest, vector] = [at(node.inputs, 0), at(node.inputs, 1)];
  const fits = vector.shape.length === 1 && rest.shape.length > 1 && vector.shape[0] === rest.shape.at(-1);
  return fits && constantNumber(vector) === undefined ? { rest, vector } : undefined;
}

/** The nodes that read each value of a graph, reshapes seen through; `outputs` counts for who reads the outputs. */
export function readersOf(outputs: readonly Value[]): (value: Value) => readonly (Node | "outputs")[] {
  const readers = new Map<Value, (Node | "outputs")[]>();
  const add = (value: Value, reader: Node | "outputs"): void => {
    const source = unshaped(value);
    readers.set(source, [...(readers.get(source) ?? []), reader]);
  };
  for (const node of topologicalOrder(outputs))
    if (node.op.name !== "reshape") for (const value of node.inputs) add(value, node);
  for (const value of outputs) add(value, "outputs");
  return (value) => readers.get(value) ?? [];
}
