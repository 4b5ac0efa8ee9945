/** Layer normalisation over the last axis (Ba et al. 2016), biased variance. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { createNode, output } from "../graph.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { reshape } from "./broadcast.ts";
import { add, div, mul, sqrt, sub } from "./elementwise.ts";
import { columnSum } from "./matmul.ts";
import { mean } from "./reduce.ts";

/** Outputs: the normalised value, and per row the mean and 1/√(variance + eps), which the gradient reuses. */
const layerNormOp: OpDefinition<{ epsilon: number }> = {
  name: "layerNorm",
  differentiableOutputs: 1,
  infer: ([x, weight, bias]) => {
    const features = dimAt(x.shape, -1);
    if (weight.shape.length !== 1 || weight.shape[0] !== features || bias.shape[0] !== features) {
      throw new ShapeError("layerNorm", [x.shape, weight.shape, bias.shape], `a weight and a bias of [${features}]`);
    }
    const row: TensorType = { dtype: x.dtype, shape: x.shape.with(-1, 1) };
    return [x, row, row];
  },
  gradient: ({ inputs: [x, weight], outputs: [, average, invStd], grad }) => {
    const features = dimAt(x.shape, -1);
    const rows = [sizeOf(x.shape) / features, features];
    const normalised = mul(sub(x, average), invStd);
    const scaled = mul(grad, weight);
    const byVariance = mul(normalised, mean(mul(scaled, normalised), -1, { keepDims: true }));
    return [
      mul(sub(sub(scaled, mean(scaled, -1, { keepDims: true })), byVariance), invStd),
      columnSum(reshape(mul(grad, normalised), rows)),
      columnSum(reshape(grad, rows)),
    ];
  },
  evaluate: ([x, weight, bias], { epsilon }) => {
    const features = dimAt(x.shape, -1);
    const rows = x.data.length / features;
    const result = new Float64Array(x.data.length);
    const averages = new Float64Array(rows);
    const invStds = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const values = x.data.subarray(row * features, (row + 1) * features);
      const average = values.reduce((total, value) => total + value, 0) / features;
      const variance = values.reduce((total, value) => total + (value - average) ** 2, 0) / features;
      const invStd = 1 / Math.sqrt(variance + epsilon);
      averages[row] = average;
      invStds[row] = invStd;
      for (const [i, value] of values.entries()) {
        result[row * features + i] = (value - average) * invStd * (weight.data[i] ?? 1) + (bias.data[i] ?? 0);
      }
    }
    return [result, averages, invStds];
  },
  onnx: (_, { epsilon }) => ({ type: "LayerNormalization", attributes: { axis: -1, epsilon: { float: epsilon } } }),
  lower: ([x, weight, bias], { epsilon }, target) => {
    if (target !== "webgpu") return undefined;
    const average = mean(x, -1, { keepDims: true });
    const centred = sub(x, average);
    const invStd = div(1, sqrt(add(mean(mul(centred, centred), -1, { keepDims: true }), epsilon)));
    return [add(mul(mul(centred, invStd), weight), bias), average, invStd];
  },
};

/** x: [..., D], weight and bias: [D] → (x − mean) / √(var + epsilon) · weight + bias, over the last axis. */
export function layerNorm(x: Value, weight: Value, bias: Value, { epsilon = 1e-6 } = {}): Value {
  return output(createNode(layerNormOp, [x, weight, bias], { epsilon }), 0);
}

