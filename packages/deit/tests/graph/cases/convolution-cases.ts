/** Cases of convolutions, pooling and batch normalisation. */
import type { Value } from "../../../src/graph/graph.ts";
import * as ops from "../../../src/graph/ops.ts";
import { type OpCase, floats, opCase, others, positive, values } from "./op-case.ts";

// 48 numbers, no two within 0.1: what is the largest does not change under a small step.
const pixels = Array.from({ length: 48 }, (_, i) => ((i * 29) % 48) * 0.11 - 2.6);

/** One product for each pixel of the result. */
function smallConvolution(
  x: Value,
  weight: Value,
  { stride = 1, padding = 0, groups = 1 }: { stride?: number; padding?: number; groups?: number },
): Value {
  const [batch = 1] = x.shape;
  const [outChannels = 1, , height = 1, width = 1] = weight.shape;
  const sides = { before: padding, after: padding };
  const padded = ops.pad(ops.pad(x, { axis: 2, ...sides }), { axis: 3, ...sides });
  const [, , rows = 1, columns = 1] = padded.shape;
  const kernels = ops.transpose(ops.reshape(weight, [groups, outChannels / groups, -1]));
  const lines: Value[] = [];
  for (let top = 0; top + height <= rows; top += stride) {
    const pixelsOfLine: Value[] = [];
    for (let left = 0; left + width <= columns; left += stride) {
      const band = ops.slice(padded, { axis: 2, start: top, end: top + height });
      const patch = ops.slice(band, { axis: 3, start: left, end: left + width });
      const product = ops.matmul(ops.reshape(patch, [batch, groups, 1, -1]), kernels);
      pixelsOfLine.push(ops.reshape(product, [batch, outChannels, 1, 1]));
    }
    lines.push(ops.concat(pixelsOfLine, 3));
  }
  return ops.concat(lines, 2);
}

export const convolutions: OpCase[] = [
  ...(
    [
      ["3 × 3", [2, 3, 4, 5], [4, 3, 3, 3], { padding: 1 }],
      ["1 × 1", [2, 3, 3, 4], [5, 3, 1, 1], {}],
      ["1 × 1, every second pixel", [2, 3, 5, 4], [2, 3, 1, 1], { stride: 2 }],
      ["3 × 3, every second pixel, one row unmet", [2, 2, 6, 5], [3, 2, 3, 3], { stride: 2, padding: 1 }],
      ["groups", [2, 4, 4, 4], [6, 2, 3, 3], { padding: 1, groups: 2 }],
      ["groups, every second pixel", [2, 4, 4, 6], [4, 2, 3, 3], { stride: 2, padding: 1, groups: 2 }],
      ["a group for each channel", [1, 3, 4, 4], [3, 1, 3, 3], { padding: 1, groups: 3 }],
      ["no padding, oblong kernel", [1, 2, 4, 5], [2, 2, 2, 3], {}],
      ["1 × 1, groups", [2, 4, 3, 2], [2, 2, 1, 1], { groups: 2 }],
      ["3 × 3, no padding", [2, 2, 4, 3], [3, 2, 3, 3], {}],
      ["3 × 3, every third pixel, rows and columns unmet", [1, 1, 8, 7], [2, 1, 3, 3], { stride: 3 }],
      ["7 × 7, every second pixel", [1, 1, 7, 6], [2, 1, 7, 7], { stride: 2, padding: 3 }],
      ["padding beyond the kernel", [1, 1, 2, 2], [1, 1, 2, 2], { padding: 2 }],
    ] as const
  ).map(([name, x, weight, options]) =>
    opCase("conv2d", name, [floats(x), others(weight)], ([a, b]) => ops.conv2d(a, b, options), {
      reference: ([a, b]) => smallConvolution(a, b, options),
    }),
  ),
  // Shapes that the CPU computes over channels in blocks: too large for finite differences.
  ...(
    [
      ["blocks", [16, 16, 4, 3], [16, 16, 3, 3], { padding: 1 }],
      ["blocks, every second pixel", [16, 16, 5, 4], [32, 16, 3, 3], { stride: 2, padding: 1 }],
      ["blocks, a row and a column unmet", [16, 16, 6, 4], [16, 16, 3, 3], { stride: 2 }],
      ["blocks, oblong kernel", [16, 16, 2, 4], [16, 16, 1, 3], {}],
      ["blocks of outputs", [16, 3, 5, 4], [16, 3, 3, 3], { padding: 1 }],
      ["blocks, the last filled with zeros", [16, 5, 3, 4], [20, 5, 3, 3], { padding: 1 }],
      ["blocks, groups", [16, 32, 3, 3], [32, 16, 3, 3], { padding: 1, groups: 2 }],
      ["blocks, three groups", [16, 24, 3, 4], [24, 8, 3, 3], { padding: 1, groups: 3 }],
      ["blocks, groups of unlike sides", [16, 4, 3, 4], [16, 2, 3, 3], { stride: 2, padding: 1, groups: 2 }],
    ] as const
  ).map(([name, x, weight, options]) =>
    opCase("conv2d", name, [floats(x), others(weight)], ([a, b]) => ops.conv2d(a, b, options), {
      reference: ([a, b]) => smallConvolution(a, b, options),
      gradient: "devices",
    }),
  ),
  opCase(
    "conv2d",
    "blocks, with a bias",
    [floats([2, 16, 2, 3]), others([16, 16, 3, 3]), floats([16])],
    ([x, weight, bias]) => ops.conv2d(x, weight, { padding: 1, bias }),
    {
      reference: ([x, weight, bias]) =>
        ops.add(ops.conv2d(x, weight, { padding: 1 }), ops.reshape(bias, [16, 1, 1])),
      gradient: "devices",
    },
  ),
  opCase(
    "conv2d",
    "times a factor of each channel",
    [floats([2, 3, 4, 4]), others([2, 3, 3, 3]), floats([2])],
    ([x, weight, factor]) => ops.mul(ops.conv2d(x, weight, { padding: 1 }), ops.reshape(factor, [2, 1, 1])),
    {
      reference: ([x, weight, factor]) =>
        ops.conv2d(x, ops.mul(weight, ops.reshape(factor, [2, 1, 1, 1])), { padding: 1 }),
    },
  ),
  opCase(
    "conv2d",
    "with a bias",
    [floats([2, 3, 4, 4]), others([2, 3, 3, 3]), floats([2])],
    ([x, weight, bias]) => ops.conv2d(x, weight, { padding: 1, bias }),
    {
      reference: ([x, weight, bias]) =>
        ops.add(ops.conv2d(x, weight, { padding: 1 }), ops.reshape(bias, [2, 1, 1])),
    },
  ),
  ...(
    [
      ["2 × 2", { kernel: 2 }],
      ["3 × 3, every second pixel", { kernel: 3, stride: 2, padding: 1 }],
      ["overlapping", { kernel: 3, stride: 1 }],
      ["rows unmet", { kernel: 2, stride: 3 }],
    ] as const
  ).flatMap(([name, options]) => [
    opCase("maxPool2d", name, [values(pixels, [2, 1, 4, 6])], ([x]) => ops.maxPool2d(x, options)),
    opCase("averagePool2d", name, [floats([2, 2, 5, 4])], ([x]) => ops.averagePool2d(x, options)),
  ]),
  opCase(
    "batchNormTraining",
    "",
    [floats([3, 2, 3, 2]), others([2]), floats([2])],
    ([x, gamma, beta]) => ops.batchNormTraining(x, gamma, beta).y,
    {
      reference: ([x, gamma, beta]) => {
        const channels = (value: Value): Value => ops.reshape(value, [2, 1, 1]);
        const centred = ops.sub(x, channels(ops.mean(x, [0, 2, 3])));
        const variance = ops.mean(ops.mul(centred, centred), [0, 2, 3]);
        const scaled = ops.div(centred, channels(ops.sqrt(ops.add(variance, 1e-5))));
        return ops.add(ops.mul(scaled, channels(gamma)), channels(beta));
      },
    },
  ),
  opCase(
    "batchNormInference",
    "",
    [floats([2, 3, 2, 2]), others([3]), floats([3]), floats([3], { name: "mean" }), floats([3], positive)],
    ([x, gamma, beta, average, variance]) => ops.batchNormInference(x, gamma, beta, average, variance),
    {
      reference: ([x, gamma, beta, average, variance]) => {
        const channels = (value: Value): Value => ops.reshape(value, [3, 1, 1]);
        const std = channels(ops.sqrt(ops.add(variance, 1e-5)));
        const normalised = ops.div(ops.sub(x, channels(average)), std);
        return ops.add(ops.mul(normalised, channels(gamma)), channels(beta));
      },
    },
  ),
  opCase(
    "maxPool2d",
    "equal maxima",
    [values([1, 1, 0, 1, 1, 2, 0, 2, 2], [1, 1, 3, 3])],
    ([x]) => ops.maxPool2d(x, { kernel: 2, stride: 1 }),
    { gradient: "devices" }, // there is no derivative
  ),
  opCase(
    "batchNormTraining",
    "a large epsilon, far from zero",
    [floats([2, 3, 2, 2], { low: 9, high: 11 }), others([3]), floats([3])],
    ([x, gamma, beta]) => ops.batchNormTraining(x, gamma, beta, { epsilon: 0.5 }).y,
    { tolerance: 1e-5 }, // float32 holds 10 to 5e-7
  ),
  opCase(
    "batchNormTraining",
    "statistics",
    [floats([3, 2, 2, 3]), others([2]), floats([2])],
    ([x, gamma, beta]) => {
      const { mean, variance } = ops.batchNormTraining(x, gamma, beta);
      return [mean, variance];
    },
    {
      gradient: false,
      reference: ([x]) => {
        const average = ops.mean(x, [0, 2, 3]);
        return [average, ops.sub(ops.mean(ops.mul(x, x), [0, 2, 3]), ops.mul(average, average))];
      },
    },
  ),
];
