/**
 * Order of execution. A runtime may compute what does not depend on each other in any order; recomputation must come
 * late, and gradients of weights early, or nothing is saved. So a value is made to depend on others, and stays as it is.
 */
import type { OpDefinition, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import { reshape, sum } from "./broadcast.ts";
import { add, cast, mul } from "./elementwise.ts";
import { concat, slice } from "./layout.ts";

type None = Readonly<Record<string, never>>;

/** x times a 1 that no optimizer knows to be one. */
const holdOp: OpDefinition<None> = {
  name: "hold",
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
    return [apply(holdOp, [x, cast(one, x.dtype)], {})];
  },
};

/**
 * x, bit for bit, but not before the (finite, float32) others have been computed. NaN where one of them begins with what
 * is not finite: then the step is lost anyway.
 */
export function after(x: Value, others: readonly Value[]): Value {
  return others.length === 0 ? x : apply(afterOp, [x, ...others], {});
}
