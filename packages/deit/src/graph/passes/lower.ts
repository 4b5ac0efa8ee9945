/** Lowering: composite operations written out as other ones, in the form that is fastest on the target. */
import type { Target, Value } from "../graph.ts";
import { at, operands, topologicalOrder } from "../graph.ts";
import { rewrite } from "./rewrite.ts";

/** Writes out every operation that the target does not have as one. */
export function lower(values: readonly Value[], target: Target): readonly Value[] {
  let current = values;
  for (;;) {
    let changed = false;
    const used = usedValues(current);
    current = rewrite(current, (node, inputs) => {
      const wanted = node.outputs.map((value) => used.has(value));
      const outputs = node.op.lower?.(operands(inputs), node.attributes, target, wanted);
      changed ||= outputs !== undefined;
      return outputs;
    }).outputs;
    if (!changed) return current;
  }
}

/** What `values` are, or depend on. What is computed again has to be computed in the same way both times. */
function usedValues(values: readonly Value[]): Set<Value> {
  const order = topologicalOrder(values);
  const used = new Set([...values, ...order.flatMap((node) => node.inputs)]);
  for (const { recomputes, outputs } of order) {
    for (const [i, value] of (recomputes?.outputs ?? []).entries())
      if (used.has(at(outputs, i))) used.add(value);
  }
  return used;
}
