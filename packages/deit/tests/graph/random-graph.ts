/** Random small graphs of operations that keep values of moderate size, with much for the passes to find. */
import type { Value } from "../../src/graph/graph.ts";
import { constant, input } from "../../src/graph/graph.ts";
import * as ops from "../../src/graph/ops.ts";
import type { Random } from "../../src/random.ts";

export interface RandomGraph {
  readonly outputs: readonly Value[];
  readonly feeds: Readonly<Record<string, Float32Array>>;
}

type Step = (x: Value, y: Value, random: Random) => Value;

/** Every one takes and gives [4, 6]. */
const STEPS: readonly Step[] = [
  (x, y) => ops.tanh(ops.add(x, y)),
  (x, y) => ops.sub(x, y),
  (x, y) => ops.mul(ops.tanh(x), y),
  (x, y) => ops.div(x, ops.add(ops.mul(y, y), 1)),
  (x, y) => ops.maximum(x, y),
  (x) => ops.add(x, 0),
  (x) => ops.add(0, x),
  (x) => ops.sub(x, 0),
  (x) => ops.mul(x, ops.full([4, 6], 1)),
  (x) => ops.mul(1, x),
  (x) => ops.div(x, 1),
  (x) => ops.neg(ops.neg(x)),
  (x) => ops.reshape(ops.reshape(ops.reshape(x, [24]), [2, 12]), [4, 6]),
  (x) => ops.transpose(ops.transpose(x)),
  (x) => ops.reshape(ops.transpose(ops.transpose(ops.reshape(x, [2, 2, 6]), [1, 2, 0]), [2, 0, 1]), [4, 6]),
  (x) => ops.slice(x, { axis: 0 }),
  (x) => ops.slice(ops.pad(x, { axis: 1, before: 1, after: 2 }), { axis: 1, start: 1, end: 7 }),
  (x, y) => ops.concat([ops.slice(x, { axis: 0, end: 1 }), ops.slice(y, { axis: 0, start: 1 })], 0),
  (x, y) => {
    const [a = x, , c = x] = ops.split(x, [2, 2, 2], 1);
    return ops.concat([c, a, ops.slice(y, { axis: 1, end: 2 })], 1);
  },
  (x) => ops.sub(x, ops.mean(x, -1, { keepDims: true })),
  (x) => ops.add(ops.softmax(x), ops.softmax(x)),
  (x) => ops.logSoftmax(x, 0),
  (x, y) => ops.tanh(ops.matmul(ops.matmul(x, y, { transB: true, alpha: 0.5 }), y)),
  (x, y) => ops.select(ops.greater(x, y), x, ops.mul(y, 0.5)),
  (x) => ops.expand(ops.max(x, 0, { keepDims: true }), [4, 6]),
  (x) => ops.layerNorm(x, constant(new Float32Array(6).fill(1)), constant(new Float32Array(6).fill(0))),
  (_, y, random) => ops.add(y, constant(Float32Array.from({ length: 6 }, () => random.uniform(-1, 1)))),
  (x) => ops.mul(x, ops.exp(ops.sub(ops.full([6], 0.5), 1))), // all constants
  (x) => ops.gather(x, ops.cast(constant(Int32Array.of(3, 1, 1, 0), [4], "int32"), "int32"), 0),
];

/** A graph over two inputs of `length` random steps, each over values made before; a few of them are outputs. */
export function randomGraph(random: Random, length: number): RandomGraph {
  const values = [input("a", "float32", [4, 6]), input("b", "float32", [4, 6])];
  const pick = <T>(list: readonly T[]): T => {
    const item = list[random.integer(list.length)];
    if (item === undefined) throw new RangeError("an empty list");
    return item;
  };
  for (let i = 0; i < length; i++) values.push(pick(STEPS)(pick(values.slice(-6)), pick(values), random));
  const numbers = (): Float32Array => Float32Array.from({ length: 24 }, () => random.uniform(-1, 1));
  return {
    outputs: [pick(values), pick(values), ...values.slice(-1)],
    feeds: { a: numbers(), b: numbers() },
  };
}
