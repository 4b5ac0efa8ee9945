/**
 * The oracle: evaluates a graph in plain float64 (values of type float16 are rounded to it), one element at a time. Slow on purpose; every operation,
 * gradient, pass and device is tested against it.
 */
import { DeitError } from "../errors.ts";
import type { Tensor64, Value } from "./graph.ts";
import { at, inputName, isInput, operands, topologicalOrder } from "./graph.ts";
import { lower } from "./passes/lower.ts";
import { sizeOf } from "./shape.ts";

/** Evaluates `values`, given the inputs by name as flat row-major numbers. */
export function evaluate(
  values: readonly Value[],
  feeds: Readonly<Record<string, ArrayLike<number>>> = {},
): Float64Array[] {
  const plain = lower(values, "portable");
  const results = new Map<Value, Tensor64>();
  for (const node of topologicalOrder(plain)) {
    if (isInput(node)) {
      const value = at(node.outputs, 0);
      const data = feeds[inputName(node)];
      if (data?.length !== sizeOf(value.shape)) {
        throw new DeitError(
          `input ${inputName(node)}: got ${data === undefined ? "nothing" : `${data.length} numbers`}; expected ${sizeOf(value.shape)}`,
          { code: "program/feeds" },
        );
      }
      results.set(value, { shape: value.shape, data: Float64Array.from(data) });
      continue;
    }
    if (node.op.evaluate === undefined)
      throw new DeitError(`${node.op.name} has no evaluation`, { code: "graph/no-form" });
    const inputs = node.inputs.map((input) => tensorOf(results, input));
    const outputs = node.op.evaluate(operands(inputs), node.attributes, node.outputs);
    for (const [i, value] of node.outputs.entries()) {
      const data = at(outputs, i);
      results.set(value, { shape: value.shape, data: value.dtype === "float16" ? toHalves(data) : data });
    }
  }
  return plain.map((value) => tensorOf(results, value).data);
}

/** Rounded to float16, as whatever computes in it. */
function toHalves(data: Float64Array): Float64Array {
  return Float64Array.from(Float16Array.from(data));
}

function tensorOf(results: ReadonlyMap<Value, Tensor64>, value: Value): Tensor64 {
  const tensor = results.get(value);
  if (tensor === undefined) throw new Error(`${value.node.op.name} was not evaluated before its use`);
  return tensor;
}
