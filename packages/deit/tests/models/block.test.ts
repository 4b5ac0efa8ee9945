/**
 * One block against timm's, computed in float64: output, attention probabilities and every gradient, without and
 * with stochastic depth. Recorded by tests/golden/block/record.py. Ours is tokens first, [N, B, D].
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { mul, sum, transpose } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { block } from "../../src/models/block.ts";
import { DROP_PATH_INPUT, trainingContext } from "../../src/nn/context.ts";
import { collectParameters, createScope } from "../../src/nn/parameters.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { expectClose, feedsFor } from "../graph/compare.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededParameter, seededTensor, unpack } from "../helpers/seeded.ts";

interface Recording {
  readonly factors: { readonly attention: readonly number[]; readonly mlp: readonly number[] };
  readonly loss: number;
  readonly y: PackedTensor;
  readonly attention: PackedTensor;
  readonly dx: PackedTensor;
  readonly gradients: Readonly<
    Record<string, { norm: number; values?: PackedTensor; rowSums?: PackedTensor; columnSums?: PackedTensor }>
  >;
}

const file = new URL("../golden/block/block.json", import.meta.url);
const golden: { dim: number; heads: number; shape: [number, number, number] } & Record<
  "plain" | "dropPath" | "dropBoth",
  Recording
> = JSON.parse(readFileSync(file, "utf8"));
const { dim, heads, shape } = golden;
const batchFirst = (x: Value): Value => transpose(x, [1, 0, 2]);

/** Everything that was recorded of a block, by the names of the recording. */
function traceBlock({ factors }: Recording): {
  outputs: Record<string, Value>;
  feeds: Record<string, Float32Array>;
} {
  const x = input("x", "float32", shape);
  const context = trainingContext({ batchSize: shape[0], dropPathRates: [0.2, 0.2] });
  const records = new Map<string, Value>();
  const options = { numHeads: heads, mlpRatio: 4, index: 0, tokens: shape[1] };
  const trace = (scope: Parameters<typeof block>[1]): Value =>
    batchFirst(
      block(batchFirst(x), scope, options, {
        ...context,
        record: (name, value) => void records.set(name, value),
      }),
    );
  const parameters = new Map(
    collectParameters(trace).map((spec) => [spec.name, input(spec.name, "float32", spec.shape)]),
  );
  const y = trace(createScope(({ name }) => parameters.get(name) ?? x));
  const loss = sum(mul(y, input("dy", "float32", shape)));
  const [dx = x, ...grads] = gradient(loss, [x, ...parameters.values()]);
  const outputs: Record<string, Value> = { loss, y, attention: records.get("blocks.0.attn") ?? y, dx };
  const feeds: Record<string, Float32Array> = {
    x: seededTensor("x", sizeOf(shape), { offset: 0, scale: 4 }),
    dy: seededTensor("dy", sizeOf(shape), { offset: 0, scale: 2 }),
    [DROP_PATH_INPUT]: Float32Array.of(...factors.attention, ...factors.mlp),
  };
  for (const [i, [name, value]] of [...parameters].entries()) {
    feeds[name] = seededParameter(name, value.shape, dim);
    const grad = grads[i] ?? y;
    outputs[`norm of ${name}`] = sum(mul(grad, grad));
    if (value.shape.length === 2) {
      outputs[`rows of ${name}`] = sum(grad, 1);
      outputs[`columns of ${name}`] = sum(grad, 0);
    } else outputs[`values of ${name}`] = grad;
  }
  return { outputs, feeds };
}

function expectRecorded(
  actual: (name: string) => ArrayLike<number>,
  recording: Recording,
  tolerance: number,
): void {
  expectClose(actual("loss"), [recording.loss], { tolerance: 10 * tolerance, name: "loss" });
  for (const name of ["y", "attention", "dx"] as const) {
    expectClose(actual(name), unpack(recording[name]), { tolerance, name });
  }
  for (const [name, { norm, values, rowSums, columnSums }] of Object.entries(recording.gradients)) {
    expectClose([Math.sqrt(actual(`norm of ${name}`)[0] ?? Number.NaN)], [norm], {
      tolerance,
      name: `norm of ${name}`,
    });
    const sums = {
      [`values of ${name}`]: values,
      [`rows of ${name}`]: rowSums,
      [`columns of ${name}`]: columnSums,
    };
    for (const [key, packed] of Object.entries(sums)) {
      if (packed) expectClose(actual(key), unpack(packed), { tolerance, name: key });
    }
  }
}

const recordings = ["plain", "dropPath", "dropBoth"] as const;

test.each(recordings)("the interpreter's block equals timm's: %s", (name) => {
  const recording = golden[name];
  const { outputs, feeds } = traceBlock(recording);
  expect(Object.keys(recording.gradients).length).toBe(12);
  const results = evaluate(Object.values(outputs), feeds);
  const byName = new Map(Object.keys(outputs).map((key, i) => [key, results[i] ?? []]));
  // Both computed in float64: what is left is the recording's float32, and the seeded factor 1.25 is exact.
  expectRecorded((key) => byName.get(key) ?? [], recording, 2e-7);
});

describe("on the CPU", () => {
  // A software WebGPU takes ten seconds to compile these shaders; tests/training/loop/training-programs.test.ts has it train.
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await sharedRuntime("cpu");
  });

  test.each(recordings)("the block equals timm's: %s", async (name) => {
    const { outputs, feeds } = traceBlock(golden[name]);
    const program = compile({ name: "block", target: runtime.target, outputs });
    const executable = await runtime.load(program);
    const results = await executable.run(feedsFor(program, feeds));
    await executable.release();
    // Sums of 512 products in float32.
    expectRecorded((key) => Array.from(results[key] ?? [], Number), golden[name], 1e-5);
  });
});
