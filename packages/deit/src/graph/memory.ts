/**
 * The memory that a lowered graph wants while it runs, by the lifetime of its values: made when their node runs, gone after
 * their last reader. An estimate: a runtime may choose another order, and its allocator leaves gaps.
 */
import type { Node, TensorType, Value } from "./graph.ts";
import { constantData, at, isInput, topologicalOrder } from "./graph.ts";
import { sizeOf } from "./shape.ts";

const BYTES: Readonly<Record<TensorType["dtype"], number>> = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  bool: 1,
  uint8: 1,
};

/** Operations that may write their result over an operand of the same size that nobody else reads. */
const IN_PLACE = new Set(
  "add sub mul div neg exp log sqrt erf tanh sigmoid relu gelu abs ceil clip softmax optimizationBarrier".split(
    " ",
  ),
);

export function bytesOf({ dtype, shape }: TensorType): number {
  return BYTES[dtype] * sizeOf(shape);
}

/** The most bytes that inner values take at one time; inputs, constants and outputs lie elsewhere. */
export function workingBytes(outputs: readonly Value[]): number {
  const order = topologicalOrder(outputs).filter((node) => !isLeaf(node));
  // A reshaped value is the same memory.
  const owners = new Map<Value, Value>();
  const ownerOf = (value: Value): Value => owners.get(value) ?? value;
  const readers = new Map<Value, number>();
  for (const { op, inputs, outputs: made } of order) {
    if (op.name === "reshape") owners.set(at(made, 0), ownerOf(at(inputs, 0)));
    for (const value of inputs) readers.set(ownerOf(value), (readers.get(ownerOf(value)) ?? 0) + 1);
  }
  const elsewhere = new Set(outputs.map(ownerOf));
  const live = new Map<Value, number>();
  let total = 0;
  let most = 0;
  for (const { op, inputs, outputs: made } of order) {
    const given = inputs.map(ownerOf);
    for (const value of made) {
      const bytes = bytesOf(value);
      if (ownerOf(value) !== value || elsewhere.has(value) || !readers.has(value)) continue;
      const reused = IN_PLACE.has(op.name)
        ? given.find((input) => readers.get(input) === 1 && live.get(input) === bytes)
        : undefined;
      live.set(value, bytes);
      if (reused === undefined) total += bytes;
      else live.delete(reused);
    }
    most = Math.max(most, total);
    for (const value of given) {
      const left = (readers.get(value) ?? 0) - 1;
      readers.set(value, left);
      if (left > 0) continue;
      total -= live.get(value) ?? 0;
      live.delete(value);
    }
  }
  return most;
}

function isLeaf(node: Node): boolean {
  return isInput(node) || constantData(at(node.outputs, 0)) !== undefined;
}
