/**
 * Execution order. A runtime may compute independent values in any order, but recomputation saves memory only when it
 * runs late, and gradients of weights when they run early. `after` adds a false dependency, which fixes the order without
 * changing the value.
 */
import type { OpDefinition, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import { reshape, sum } from "./broadcast.ts";
import { add, cast, mul } from "./elementwise.ts";
import { concat, slice } from "./layout.ts";

type None = Readonly<Record<string, never>>;

/** An optimization barrier: x times a 1 that is computed, so that no optimizer can remove it. */
const optimizationBarrierOp: OpDefinition<None> = {
  name: "optimizationBarrier",
  infer: ([x]) => [x],
  evaluate: ([x]) => [x.data],
  onnx: () => ({ type: "Mul" }),
};

const afterOp: OpDefinition<None> = {
  name: "after",
  infer: ([x]) => [x],
  gradient: ({ grad }) => [grad],
  lower: ([x, ...others]) => {
    const firsts = others.map((value) => slice(reshape(value, [-1]), { axis: 0, end: 1 }));
    const one = add(mul(sum(concat(firsts, 0)), 0), 1);
    return [apply(optimizationBarrierOp, [x, cast(one, x.dtype)], {})];
  },
};

/**
 * x, bit for bit, computed only after the others, which must be finite and float32. NaN if the first element of one of
 * them is not finite: that step is lost anyway.
 */
export function after(x: Value, others: readonly Value[]): Value {
  return others.length === 0 ? x : apply(afterOp, [x, ...others], {});
}
