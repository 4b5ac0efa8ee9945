/** Several runs in one: what a loop over a program returns is what as many runs return, bit for bit. */
import { describe, expect, it } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import { constant, input } from "../../src/graph/graph.ts";
import { add, gemm, mean, mul, reshape, slice, sub } from "../../src/graph/ops.ts";
import type { Program } from "../../src/graph/program.ts";
import { compile } from "../../src/graph/program.ts";
import { unrollSteps } from "../../src/graph/unroll-steps.ts";
import { createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, zeroVectors } from "../../src/nn/parameters.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { adamW } from "../../src/optim/adamw.ts";
import { createRandom } from "../../src/random.ts";
import type { Runtime, TensorData } from "../../src/runtime/runtime.ts";
import { hyperFeeds } from "../../src/training/loop/step-feeds.ts";
import { stepProgram, trainingState } from "../../src/training/loop/training-programs.ts";
import { classification } from "../../src/training/task.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";

/** Linear regression with momentum: state that is replaced (W, V), state that is only read (S), a scalar per step. */
function regression(target: Program["target"]): Program {
  const [weight, velocity] = [input("W", "float32", [6]), input("V", "float32", [6])];
  const scale = input("S", "float32", [1]);
  const error = sub(
    gemm(input("x", "float32", [4, 3]), reshape(weight, [3, 2])),
    input("y", "float32", [4, 2]),
  );
  const loss = mean(mul(error, error));
  const [grad = weight] = gradient(loss, [weight]);
  const lr = reshape(slice(input("lr", "float32", [2]), { axis: 0, end: 1 }), []);
  const next = add(mul(velocity, 0.9), mul(grad, scale));
  return compile({
    name: "regression",
    target,
    outputs: { loss, shifted: add(loss, constant(Float32Array.of(1))) },
    state: { W: sub(weight, mul(next, lr)), V: next, S: null },
  });
}

type Feeds = Readonly<Record<string, TensorData>>;

function stacked(feeds: readonly Feeds[]): Record<string, TensorData> {
  return Object.fromEntries(
    Object.keys(feeds[0] ?? {}).map((name) => {
      const parts = feeds.map((feed) => feed[name] ?? new Float32Array(0));
      const Type = parts[0]?.constructor as Float32ArrayConstructor;
      return [name, Type.from(parts.flatMap((part) => [...(part as Float32Array)]))];
    }),
  );
}

/** Outputs of every step and the state after the last, by single runs and by one. */
async function both(
  runtime: Runtime,
  { program, state, feeds }: { program: Program; state: Feeds; feeds: readonly Feeds[] },
): Promise<{ once: unknown; unrolled: unknown }> {
  const results: unknown[] = [];
  for (const together of [false, true]) {
    const executable = await runtime.load(together ? unrollSteps(program, feeds.length) : program);
    for (const [name, value] of Object.entries(state)) await runtime.setState(name, value as Float32Array);
    const outputs: Record<string, number[]> = {};
    for (const feed of together ? [stacked(feeds)] : feeds) {
      for (const [name, data] of Object.entries(await executable.run(feed)))
        outputs[name] = [...(outputs[name] ?? []), ...Array.from(data, Number)];
    }
    const after: Record<string, Float32Array> = {};
    for (const name of Object.keys(state)) after[name] = await runtime.getState(name);
    await executable.release();
    results.push({ outputs, after });
  }
  return { once: results[0], unrolled: results[1] };
}

describe.each(devices)("on %s", (device) => {
  it("a small step: replaced and read-only state, several outputs", async () => {
    const runtime = await sharedRuntime(device);
    const random = createRandom(1, "repeat");
    const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
    const feeds = Array.from({ length: 5 }, () => ({
      x: noise(12),
      y: noise(8),
      lr: Float32Array.of(0.1, 0),
    }));
    const state = { W: noise(6), V: new Float32Array(6), S: Float32Array.of(0.5) };
    const loop = both(runtime, { program: regression(runtime.target), state, feeds });
    if (device === "webgpu") {
      // ONNX Runtime keeps a loop's counter on the CPU, which WebGPU sessions of ours forbid.
      await expect(loop).rejects.toThrow("cannot be loaded on webgpu");
      return;
    }
    const { once, unrolled } = await loop;
    expect(unrolled).toEqual(once);
    expect(unrolled).toMatchObject({ outputs: { loss: expect.objectContaining({ length: 5 }) } });
  });
});

it("training steps of a distilled DeiT with AdamW", async () => {
  const runtime = await sharedRuntime("cpu");
  const model = createModel("deit_w64d4_distilled_patch4_32");
  const layout = modelLayout(model);
  const optimizer = adamW();
  const random = createRandom(2, "repeat");
  const batchSize = 2;
  const program = stepProgram(
    {
      model,
      layout,
      batchSize,
      target: "cpu",
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    },
    { task: classification(softTargetCrossEntropy), optimizer },
  );
  const feeds = Array.from({ length: 3 }, (_, step) => ({
    images: Uint8Array.from({ length: batchSize * 3 * 32 * 32 }, () => random.integer(256)),
    targets: Float32Array.from({ length: batchSize * 10 }, (__, i) => (i % 10 === step ? 1 : 0)),
    ...hyperFeeds({ layout, optimizer }, { update: step + 1, lr: 1e-3 }),
  }));
  const weights = initialVectors(layout, createRandom(0, "weights"));
  const zeros = zeroVectors(layout);
  const state = Object.fromEntries(
    trainingState(layout, optimizer).map(({ name }) => {
      const [slot, vector] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
      return [name, (slot === "W" ? weights : zeros)[vector] ?? new Float32Array(0)];
    }),
  );
  const { once, unrolled } = await both(runtime, { program, state, feeds });
  expect(unrolled).toEqual(once);
  const { outputs } = unrolled as { outputs: { loss: number[] } };
  expect(outputs.loss).toHaveLength(3);
  expect(new Set(outputs.loss).size).toBe(3);
});

it("what cannot be repeated is refused", () => {
  const program = regression("cpu");
  expect(() => unrollSteps(program, 0)).toThrow("expected a whole number from 1 on");
  const nested = expect.objectContaining({
    code: "graph/unroll",
    message: expect.stringContaining("has a loop or a branch inside"),
  });
  expect(() => unrollSteps(unrollSteps(program, 2), 2)).toThrow(nested);
});
