/** Batch normalisation of images (Ioffe and Szegedy 2015): by the batch's statistics, and by recorded ones. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, TensorType, Value } from "../graph.ts";
import { apply, createNode, output } from "../graph.ts";
import { dimAt, sameShape, sizeOf } from "../shape.ts";
import { reshape, sum } from "./broadcast.ts";
import { isFixed, scaledConvolution } from "./convolution.ts";
import { add, div, full, mul, neg, sqrt, sub } from "./elementwise.ts";
import { mean } from "./reduce.ts";

/** [C] → [C, 1, 1]: broadcast over a batch of images. */
function perPixel(x: Value): Value {
  return reshape(x, [dimAt(x.shape, 0), 1, 1]);
}

/** Mean and sum of each channel, [N, C, H, W] → [C]: one axis after the other is twice as fast as all at once. */
function channelMean(x: Value): Value {
  return mean(mean(x, [2, 3]), 0);
}
function channelSum(x: Value): Value {
  return sum(sum(x, [2, 3]), 0);
}

function checkShapes(name: string, [x, ...vectors]: readonly TensorType[]): void {
  const shapes = [x?.shape ?? [], ...vectors.map(({ shape }) => shape)];
  const [images = [], ...others] = shapes;
  if (images.length !== 4 || others.some((shape) => !sameShape(shape, [dimAt(images, 1)]))) {
    throw new ShapeError(name, shapes, "[N, C, H, W] and vectors of [C]");
  }
}

/** ONNX's BatchNormalization. */
const batchNormInferenceOp: OpDefinition<{ epsilon: number }> = {
  name: "batchNormInference",
  infer: (inputs) => {
    checkShapes("batchNormInference", inputs);
    return [inputs[0]];
  },
  gradient: ({ inputs: [x, gamma, , average, variance], grad, attributes: { epsilon } }) => {
    const invStd = div(1, sqrt(add(variance, epsilon)));
    const scale = mul(gamma, invStd);
    const byBeta = channelSum(grad);
    const byGamma = mul(channelSum(mul(grad, sub(x, perPixel(average)))), invStd);
    const byVariance = mul(mul(byGamma, mul(scale, invStd)), -0.5);
    return [mul(grad, perPixel(scale)), byGamma, byBeta, neg(mul(scale, byBeta)), byVariance];
  },
  evaluate: ([x, gamma, beta, average, variance], { epsilon }) => {
    const [, channels = 1, height = 1, width = 1] = x.shape;
    const y = x.data.map((value, i) => {
      const c = Math.floor(i / (height * width)) % channels;
      const std = Math.sqrt((variance.data[c] ?? NaN) + epsilon);
      return ((value - (average.data[c] ?? NaN)) / std) * (gamma.data[c] ?? NaN) + (beta.data[c] ?? NaN);
    });
    return [y];
  },
  onnx: (_, { epsilon }) => ({ type: "BatchNormalization", attributes: { epsilon: { float: epsilon } } }),
  lower: ([x, gamma, beta, average, variance], { epsilon }, target) => {
    const { scale, shift } = asFactor([gamma, beta, average, variance], epsilon);
    const folded = isFixed([...x.node.inputs.slice(1), scale, shift])
      ? scaledConvolution(x, scale, shift)
      : undefined;
    if (folded !== undefined) return [folded];
    return target === "webgpu" ? [add(mul(x, perPixel(scale)), perPixel(shift))] : undefined;
  },
};

/** Normalisation by recorded statistics as x·scale + shift. */
function asFactor(
  [gamma, beta, average, variance]: readonly [Value, Value, Value, Value],
  epsilon: number,
): { scale: Value; shift: Value } {
  const scale = div(gamma, sqrt(add(variance, epsilon)));
  return { scale, shift: sub(beta, mul(average, scale)) };
}

/**
 * `batchNormInference` of a convolution's result as a convolution with another kernel and a bias, whether they are trained
 * or not; undefined when x is not a convolution's. For those alone who use x for nothing else: it would be computed twice.
 */
export function foldedBatchNorm(
  x: Value,
  statistics: readonly [gamma: Value, beta: Value, mean: Value, variance: Value],
  { epsilon = 1e-5 } = {},
): Value | undefined {
  const { scale, shift } = asFactor(statistics, epsilon);
  return scaledConvolution(x, scale, shift);
}

/**
 * Normalises each channel by given statistics. x: [N, C, H, W]; gamma, beta, mean, variance: [C] → [N, C, H, W].
 * When x is a convolution, and all but its input are constants, both are written as one convolution with a bias.
 */
export function batchNormInference(
  x: Value,
  gamma: Value,
  beta: Value,
  average: Value,
  variance: Value,
  { epsilon = 1e-5 } = {},
): Value {
  return apply(batchNormInferenceOp, [x, gamma, beta, average, variance], { epsilon });
}

/** x·scale + shift by channel: ONNX's BatchNormalization does it in one pass. */
function affine(x: Value, scale: Value, shift: Value): Value {
  const { shape } = scale;
  return batchNormInference(x, scale, shift, full(shape, 0), full(shape, 1), { epsilon: 0 });
}

/** Outputs: y; the mean and the biased variance; then, for the gradient to reuse, 1/√(variance + epsilon) and x − mean. */
const batchNormTrainingOp: OpDefinition<{ epsilon: number }> = {
  name: "batchNormTraining",
  differentiableOutputs: 1,
  infer: (inputs) => {
    checkShapes("batchNormTraining", inputs);
    const [x, gamma] = inputs;
    return [x, gamma, gamma, gamma, x];
  },
  lower: ([x, gamma, beta], { epsilon }) => {
    const average = channelMean(x);
    const centred = sub(x, perPixel(average));
    const variance = channelMean(mul(centred, centred));
    const invStd = div(1, sqrt(add(variance, epsilon)));
    return [affine(centred, mul(gamma, invStd), beta), average, variance, invStd, centred];
  },
  // With x̂ = centred·invStd: dx = γ·invStd·(dy − mean(dy) − x̂·mean(dy·x̂)), one factor of dy and one of centred a channel.
  gradient: ({ inputs: [, gamma], outputs: [, , , invStd, centred], grad }) => {
    const scale = mul(gamma, invStd);
    const byBeta = channelMean(grad);
    const byGamma = mul(channelMean(mul(grad, centred)), invStd);
    const slope = neg(mul(invStd, byGamma));
    // The factor last: where x is a convolution, it goes into the kernel.
    const byX = mul(add(grad, affine(centred, slope, neg(byBeta))), perPixel(scale));
    const count = sizeOf(grad.shape) / sizeOf(gamma.shape);
    return [byX, mul(byGamma, count), mul(byBeta, count)];
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
