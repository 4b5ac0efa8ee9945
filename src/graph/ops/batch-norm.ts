/** Batch normalisation of images (Ioffe and Szegedy 2015): by the batch's statistics, and by recorded ones. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { createNode, output } from "../graph.ts";
import { dimAt, sameShape, sizeOf } from "../shape.ts";
import { reshape, sum } from "./broadcast.ts";
import { add, div, mul, sqrt, sub } from "./elementwise.ts";
import { mean } from "./reduce.ts";

const PER_CHANNEL = [0, 2, 3];

/** [C] → [C, 1, 1]: broadcast over a batch of images. */
function channels(x: Value): Value {
  return reshape(x, [dimAt(x.shape, 0), 1, 1]);
}

function checkShapes(name: string, [x, ...vectors]: readonly TensorType[]): void {
  const shapes = [x?.shape ?? [], ...vectors.map(({ shape }) => shape)];
  const [images = [], ...others] = shapes;
  if (images.length !== 4 || others.some((shape) => !sameShape(shape, [dimAt(images, 1)]))) {
    throw new ShapeError(name, shapes, "[N, C, H, W] and vectors of [C]");
  }
}

/** Outputs: y; then the mean, the biased variance and 1/√(variance + epsilon), each [C]. */
const batchNormTrainingOp: OpDefinition<{ epsilon: number }> = {
  name: "batchNormTraining",
  differentiableOutputs: 1,
  infer: (inputs) => {
    checkShapes("batchNormTraining", inputs);
    const [x, gamma] = inputs;
    return [x, gamma, gamma, gamma];
  },
  gradient: ({ inputs: [x, gamma], outputs: [, average, , invStd], grad }) => {
    const count = sizeOf(x.shape) / dimAt(x.shape, 1);
    const normalised = mul(sub(x, channels(average)), channels(invStd));
    const byBeta = sum(grad, PER_CHANNEL);
    const byGamma = sum(mul(grad, normalised), PER_CHANNEL);
    const byMean = channels(mul(byBeta, 1 / count));
    const byVariance = mul(normalised, channels(mul(byGamma, 1 / count)));
    const centred = sub(sub(grad, byMean), byVariance);
    return [mul(centred, channels(mul(gamma, invStd))), byGamma, byBeta];
  },
  lower: ([x, gamma, beta], { epsilon }) => {
    const average = mean(x, PER_CHANNEL);
    const centred = sub(x, channels(average));
    const variance = mean(mul(centred, centred), PER_CHANNEL);
    const invStd = div(1, sqrt(add(variance, epsilon)));
    return [add(mul(centred, channels(mul(gamma, invStd))), channels(beta)), average, variance, invStd];
  },
};

/**
 * Normalises each channel over batch and area. x: [N, C, H, W], gamma and beta: [C] → y [N, C, H, W] and, to be
 * looked at only (they carry no gradient), the mean and the biased variance, [C].
 */
export function batchNormTraining(
  x: Value,
  gamma: Value,
  beta: Value,
  { epsilon = 1e-5 } = {},
): { y: Value; mean: Value; variance: Value } {
  const node = createNode(batchNormTrainingOp, [x, gamma, beta], { epsilon });
  return { y: output(node, 0), mean: output(node, 1), variance: output(node, 2) };
}

/**
 * Normalises each channel by given statistics: one multiplication and one addition. x: [N, C, H, W]; gamma, beta, mean,
 * variance: [C] → [N, C, H, W].
 */
export function batchNormInference(
  x: Value,
  gamma: Value,
  beta: Value,
  average: Value,
  variance: Value,
  { epsilon = 1e-5 } = {},
): Value {
  checkShapes("batchNormInference", [x, gamma, beta, average, variance]);
  const scale = div(gamma, sqrt(add(variance, epsilon)));
  return add(mul(x, channels(scale)), channels(sub(beta, mul(average, scale))));
}
