/**
 * Convolution, pooling and batch normalisation against PyTorch, computed in float64: outputs and every gradient, by the
 * interpreter and on every device. Recorded by tests/golden/convolution/record.py.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Operands, Value } from "../../src/graph/graph.ts";
import { constant, input, operands } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import type { Shape } from "../../src/graph/shape.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor, SeededKind } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";
import { expectClose, feedsFor } from "./compare.ts";

interface Recording {
  readonly y: PackedTensor;
  /** By the inputs of the operation, in its order. */
  readonly gradients: Readonly<Record<string, PackedTensor>>;
}

interface Golden {
  readonly convolution: Record<string, Recording & { shape: Shape; weight: Shape; options: object }>;
  readonly pooling: Record<
    string,
    {
      shape: Shape;
      options: { kernel: number; stride: number; padding: number };
      levels: boolean;
      max: Recording;
      average: Recording;
    }
  >;
  readonly batchNorm: Record<
    string,
    Recording & { shape: Shape; training: boolean; runningMean: PackedTensor; runningVariance: PackedTensor }
  >;
}

const file = new URL("../golden/convolution/convolution.json", import.meta.url);
const golden: Golden = JSON.parse(readFileSync(file, "utf8"));

interface Traced {
  readonly title: string;
  readonly outputs: readonly Value[];
  readonly expected: readonly Float32Array[];
  readonly feeds: Readonly<Record<string, Float32Array>>;
}

/** The output and all gradients of an operation on the tensors that the recording names. */
function trace(
  title: string,
  { recording, seed, data }: { recording: Recording; seed: string; data: readonly Float32Array[] },
  build: (inputs: Operands<Value>) => Value,
): Traced {
  const recorded = Object.values(recording.gradients);
  const inputs = recorded.map(({ shape }, i) => input(`x${i}`, "float32", shape));
  const y = build(operands(inputs));
  expect(y.shape).toEqual(recording.y.shape);
  const weights = seededTensor(`${seed} dy`, sizeOf(y.shape), { offset: 0, scale: 2 });
  const loss = ops.sum(ops.mul(y, constant(weights, y.shape)));
  return {
    title,
    outputs: [y, ...gradient(loss, inputs)],
    expected: [recording.y, ...recorded].map(unpack),
    feeds: Object.fromEntries(data.map((values, i) => [`x${i}`, values])),
  };
}

function drawn(seed: string, name: string, shape: Shape, kind: Partial<SeededKind> = {}): Float32Array {
  return seededTensor(`${seed} ${name}`, sizeOf(shape), { offset: 0, scale: 4, ...kind });
}

const convolutions = Object.entries(golden.convolution).map(([name, recording]) => {
  const { shape, weight, options } = recording;
  const seed = `convolution ${name}`;
  const data = [
    drawn(seed, "x", shape),
    drawn(seed, "weight", weight, { scale: 2 }),
    drawn(seed, "bias", weight.slice(0, 1), { scale: 2 }),
  ];
  return trace(`conv2d, ${name}`, { recording, seed, data }, ([x, kernel, bias]) =>
    ops.conv2d(x, kernel, { ...options, bias }),
  );
});

const poolings = Object.entries(golden.pooling).flatMap(
  ([name, { shape, options, levels, max, average }]) => {
    const seed = `pooling ${name}`;
    const x = drawn(seed, "x", shape);
    const data = [levels ? x.map(toHalves) : x];
    return [
      trace(`maxPool2d, ${name}`, { recording: max, seed, data }, ([x]) => ops.maxPool2d(x, options)),
      trace(`averagePool2d, ${name}`, { recording: average, seed, data }, ([x]) =>
        ops.averagePool2d(x, options),
      ),
    ];
  },
);

/** The nearest multiple of 1/2. No draw lies in the middle of two. */
function toHalves(value: number): number {
  return Math.round(value * 2) / 2;
}

const norms = Object.entries(golden.batchNorm).map(([name, recording]) => {
  const { shape, training } = recording;
  const channels = shape.slice(1, 2);
  const seed = `batch norm ${name}`;
  const data = [
    drawn(seed, "x", shape, { offset: 1 }),
    drawn(seed, "weight", channels, { scale: 2 }),
    drawn(seed, "bias", channels, { scale: 2 }),
  ];
  return trace(`batch norm, ${name}`, { recording, seed, data }, ([x, gamma, beta]) => {
    if (training) return ops.batchNormTraining(x, gamma, beta).y;
    const average = constant(drawn(seed, "running_mean", channels, { scale: 2 }));
    const variance = constant(drawn(seed, "running_var", channels, { offset: 1, scale: 1 }));
    return ops.batchNormInference(x, gamma, beta, average, variance);
  });
});

const traced = [...convolutions, ...poolings, ...norms].map((it) => [it.title, it] as const);

describe("the interpreter equals PyTorch", () => {
  // The recording is rounded to float32, 6e-8 of an element. Largest difference: 5.2e-8 of the largest element.
  test.each(traced)("%s", (_, { outputs, expected, feeds }) => {
    for (const [i, actual] of evaluate(outputs, feeds).entries()) {
      expectClose(actual, expected[i], { tolerance: 1e-7, name: `output ${i}` });
    }
  });
});

describe.each(devices)("%s equals PyTorch", (device) => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await sharedRuntime(device);
  });

  test.each(traced)("%s", async (title, { outputs, expected, feeds }) => {
    const named = Object.fromEntries(outputs.map((value, i) => [`y${i}`, value]));
    const program = compile({ name: title, target: runtime.target, outputs: named });
    const executable = await runtime.load(program);
    const results = await executable.run(feedsFor(program, feeds));
    await executable.release();
    for (const [i, values] of expected.entries()) {
      // Largest difference: 4.0e-7 of the largest element on cpu, 4.5e-7 on webgpu.
      expectClose(results[`y${i}`], values, { tolerance: 2e-6, name: `output ${i}` });
    }
  });
});

describe("running statistics of batch normalisation", () => {
  const training = Object.entries(golden.batchNorm).filter(([, recording]) => recording.training);
  test.each(training)("%s", (name, { shape, runningMean, runningVariance }) => {
    const [, channels = 1] = shape;
    const seed = `batch norm ${name}`;
    const x = input("x", "float32", shape);
    const ones = ops.full([channels], 1);
    const { mean, variance } = ops.batchNormTraining(x, ones, ones);
    const [averages, variances] = evaluate([mean, variance], { x: drawn(seed, "x", shape, { offset: 1 }) });
    const count = sizeOf(shape) / channels;
    const before = {
      mean: drawn(seed, "running_mean", [channels], { scale: 2 }),
      variance: drawn(seed, "running_var", [channels], { offset: 1, scale: 1 }),
    };
    expectClose(
      averages?.map((value, c) => 0.9 * (before.mean[c] ?? NaN) + 0.1 * value),
      unpack(runningMean),
      { tolerance: 1e-7 },
    );
    expectClose(
      variances?.map((value, c) => 0.9 * (before.variance[c] ?? NaN) + (0.1 * value * count) / (count - 1)),
      unpack(runningVariance),
      { tolerance: 1e-7 },
    );
  });
});
