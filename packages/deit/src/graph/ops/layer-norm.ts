/** Layer normalisation over the last axis (Ba et al. 2016), biased variance. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { apply, createNode, output } from "../graph.ts";
import { dimAt } from "../shape.ts";
import { add, div, full, mul, sqrt, sub } from "./elementwise.ts";
import { mean } from "./reduce.ts";

/** ONNX's LayerNormalization. Outputs: the result, and per row the mean and 1/√(variance + eps). */
const layerNormalizationOp: OpDefinition<{ epsilon: number }> = {
  name: "layerNormalization",
  differentiableOutputs: 1,
  infer: ([x]) => {
    const row: TensorType = { dtype: x.dtype, shape: x.shape.with(-1, 1) };
    return [x, row, row];
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
  onnx: (_, { epsilon }) => ({
    type: "LayerNormalization",
    attributes: { axis: -1, epsilon: { float: epsilon } },
  }),
  lower: ([x, weight, bias], { epsilon }, target) => {
    if (target !== "webgpu") return undefined;
    const average = mean(x, -1, { keepDims: true });
    const centred = sub(x, average);
    const invStd = div(1, sqrt(add(mean(mul(centred, centred), -1, { keepDims: true }), epsilon)));
    return [add(mul(mul(centred, invStd), weight), bias), average, invStd];
  },
};

/** Outputs: x normalised, and 1/√(variance + eps), which the gradient reuses. */
const normalizeOp: OpDefinition<{ epsilon: number }> = {
  name: "normalize",
  differentiableOutputs: 1,
  infer: ([x]) => [x, { dtype: x.dtype, shape: x.shape.with(-1, 1) }],
  lower: ([x], { epsilon }) => {
    const shape = x.shape.slice(-1);
    const node = createNode(layerNormalizationOp, [x, full(shape, 1), full(shape, 0)], { epsilon });
    return [output(node, 0), output(node, 2)];
  },
  gradient: ({ outputs: [normalised, invStd], grad }) => {
    const byMean = mean(grad, -1, { keepDims: true });
    const byVariance = mul(normalised, mean(mul(grad, normalised), -1, { keepDims: true }));
    return [mul(sub(sub(grad, byMean), byVariance), invStd)];
  },
};

/**
 * (x − mean) / √(var + epsilon) over the last axis, with neither weight nor bias: those of a normalisation that
 * feeds linear layers cost nothing when they are folded into these (nn/linear.ts).
 */
export function normalize(x: Value, { epsilon = 1e-6 } = {}): Value {
  return apply(normalizeOp, [x], { epsilon });
}

/** x: [..., D], weight and bias: [D] → (x − mean) / √(var + epsilon) · weight + bias, over the last axis. */
export function layerNorm(x: Value, weight: Value, bias: Value, { epsilon = 1e-6 } = {}): Value {
  const features = dimAt(x.shape, -1);
  if (weight.shape.length !== 1 || weight.shape[0] !== features || bias.shape[0] !== features) {
    throw new ShapeError(
      "layerNorm",
      [x.shape, weight.shape, bias.shape],
      `a weight and a bias of [${features}]`,
    );
  }
  return add(mul(normalize(x, { epsilon }), weight), bias);
}
