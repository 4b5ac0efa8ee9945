/** Softmax and log-softmax over one axis. */
import type { OpDefinition, Tensor64, Value } from "../graph.ts";
import { apply } from "../graph.ts";
import { dimAt, resolveAxis, sizeOf } from "../shape.ts";
import { sum } from "./broadcast.ts";
import { exp, log, mul, sub } from "./elementwise.ts";
import { max } from "./reduce.ts";

interface AxisOption extends Readonly<Record<string, unknown>> {
  readonly axis: number;
}

const softmaxOp: OpDefinition<AxisOption> = {
  name: "softmax",
  infer: ([x]) => [x],
  gradient: ({ outputs: [p], grad, attributes: { axis } }) => {
    const weighted = mul(p, grad);
    return [sub(weighted, mul(p, sum(weighted, axis, { keepDims: true })))];
  },
  evaluate: ([x], { axis }) => [alongAxis(x, axis, (row) => normalise(row).map(({ p }) => p))],
  onnx: (_, { axis }) => ({ type: "Softmax", attributes: { axis } }),
};

/** exp(x) / Σ exp(x) along one axis. */
export function softmax(x: Value, axis = -1): Value {
  return apply(softmaxOp, [x], { axis: resolveAxis("softmax", axis, x.shape) });
}

const logSoftmaxOp: OpDefinition<AxisOption> = {
  name: "logSoftmax",
  infer: ([x]) => [x],
  gradient: ({ outputs: [y], grad, attributes: { axis } }) => [
    sub(grad, mul(exp(y), sum(grad, axis, { keepDims: true }))),
  ],
  evaluate: ([x], { axis }) => [alongAxis(x, axis, (row) => normalise(row).map(({ logP }) => logP))],
  onnx: (_, { axis }) => ({ type: "LogSoftmax", attributes: { axis } }),
  // No kernel on WebGPU.
  lower: ([x], { axis }, target) => {
    if (target !== "webgpu") return undefined;
    const centred = sub(x, max(x, axis, { keepDims: true }));
    return [sub(centred, log(sum(exp(centred), axis, { keepDims: true })))];
  },
};

/** log softmax(x) along one axis. */
export function logSoftmax(x: Value, axis = -1): Value {
  return apply(logSoftmaxOp, [x], { axis: resolveAxis("logSoftmax", axis, x.shape) });
}

function normalise(row: readonly number[]): { p: number; logP: number }[] {
  const largest = Math.max(...row);
  const logTotal = Math.log(row.reduce((total, x) => total + Math.exp(x - largest), 0));
  return row.map((x) => ({ p: Math.exp(x - largest - logTotal), logP: x - largest - logTotal }));
}

/** Maps every row along an axis. */
function alongAxis(
  x: Tensor64,
  axis: number,
  f: (row: readonly number[]) => readonly number[],
): Float64Array {
  const inner = sizeOf(x.shape.slice(axis + 1));
  const length = dimAt(x.shape, axis);
  const result = new Float64Array(x.data.length);
  for (let i = 0; i < x.data.length / length; i++) {
    const start = Math.floor(i / inner) * length * inner + (i % inner);
    const row = Array.from({ length }, (_, j) => x.data[start + j * inner] ?? Number.NaN);
    for (const [j, value] of f(row).entries()) result[start + j * inner] = value;
  }
  return result;
}
