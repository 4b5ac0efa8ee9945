/** Forms of a step of training against each other. */
import { beforeAll, describe, expect, test } from "vitest";
import { evaluationProgram } from "../../../src/evaluation/evaluation-program.ts";
import type { ProgramOptions } from "../../../src/evaluation/evaluation-program.ts";
import type { Program } from "../../../src/graph/program.ts";
import { createDeit, modelOf } from "../../../src/models/registry.ts";
import { DROP_PATH_INPUT } from "../../../src/nn/context.ts";
import type { Layout } from "../../../src/nn/parameters.ts";
import { initialVectors, packTensors, unpackTensors, zeroVectors } from "../../../src/nn/parameters.ts";
import { adamW } from "../../../src/optim/adamw.ts";
import { createRandom } from "../../../src/random.ts";
import type { Executable, Runtime, TensorData } from "../../../src/runtime/runtime.ts";
import type { TrainingOptions } from "../../../src/training/loop/training-programs.ts";
import {
  applyProgram,
  gradProgram,
  stepProgram,
  trainingState,
} from "../../../src/training/loop/training-programs.ts";
import { softTargetCrossEntropy } from "../../../src/nn/losses.ts";
import { classification } from "../../../src/training/task.ts";
import { smoothTargets } from "../../../src/training/loop/step-feeds.ts";
import { expectClose } from "../../graph/compare.ts";
import { danglingNames, graphOf, repeatedNodes } from "../../graph/parse.ts";
import { sharedRuntime } from "../../helpers/devices.ts";

import { getVectors, hyperOf, layoutOf, NORMALISATION, onNormalised, setVectors } from "./step-state.ts";

describe("forms of a step", () => {
  const BATCH = 4;
  const base = createDeit("deit_w64d4_distilled_patch4_32");
  const model = modelOf("small", {
    ...base.config,
    embedDim: 16,
    numHeads: 2,
    depth: 2,
    inputSize: [16, 16],
    numClasses: 3,
  });
  const layout = layoutOf(model);
  const start = initialVectors(layout, createRandom(5));
  const training: TrainingOptions = {
    task: classification(softTargetCrossEntropy),
    optimizer: adamW(),
    dropPath: 0.4,
    clipGrad: 0.5,
  };
  const random = createRandom(6);
  const images = Uint8Array.from({ length: BATCH * 3 * 256 }, () => random.integer(256));
  const targets = smoothTargets([0, 2, 1, 2], 3, 0.1);
  const mask = Float32Array.from({ length: 4 * BATCH }, (_, i) => (i % 3 === 0 ? 0 : 1.25));
  let runtime: Runtime;

  function optionsFor(batchSize: number, over: Layout = layout): ProgramOptions {
    return { model, layout: over, batchSize, target: runtime.target, normalisation: NORMALISATION };
  }

  /** Rows `from` to `to` of the batch, with the mask's columns of them. */
  function rows(from: number, to: number): Record<string, TensorData> {
    const columns = Array.from({ length: 4 }, (_, branch) => [
      ...mask.subarray(branch * BATCH + from, branch * BATCH + to),
    ]);
    return {
      images: images.slice(from * 768, to * 768),
      targets: targets.slice(from * 3, to * 3),
      [DROP_PATH_INPUT]: Float32Array.from(columns.flat()),
    };
  }

  async function reset(
    over: Layout = layout,
    state: Readonly<Record<string, Float32Array>> = start,
  ): Promise<void> {
    await setVectors(runtime, "W", state);
    for (const slot of [...training.optimizer.slots, "G"]) await setVectors(runtime, slot, zeroVectors(over));
  }

  async function loaded<T>(program: Program, use: (executable: Executable) => Promise<T>): Promise<T> {
    const executable = await runtime.load(program);
    try {
      return await use(executable);
    } finally {
      await executable.release();
    }
  }

  /** Three fused steps over the whole batch. */
  async function fusedSteps(
    over: Layout = layout,
    options: TrainingOptions = training,
  ): Promise<Record<string, TensorData>[]> {
    const results: Record<string, TensorData>[] = [];
    await loaded(stepProgram(optionsFor(BATCH, over), options), async (step) => {
      for (let s = 1; s <= 3; s++)
        results.push(await step.run({ ...rows(0, BATCH), ...hyperOf(over, options, s, 1e-3) }));
    });
    return results;
  }

  beforeAll(async () => {
    runtime = await sharedRuntime("cpu");
  });

  test("name their inputs, outputs and state", () => {
    const step = stepProgram(optionsFor(BATCH), training);
    const state = trainingState(layout, training.optimizer);
    expect(state.map(({ name }) => name)).toEqual([
      "W.noDecay",
      "m.noDecay",
      "v.noDecay",
      "W.decay",
      "m.decay",
      "v.decay",
    ]);
    expect(step.state).toEqual(Object.fromEntries(state.map(({ name }) => [name, `${name}.next`])));
    const feeds = ["images", "targets", DROP_PATH_INPUT, "hyper.decay", "hyper.noDecay"];
    expect(Object.keys(step.inputs).toSorted()).toEqual([...feeds, ...Object.keys(step.state)].toSorted());
    expect(Object.keys(step.outputs).filter((name) => !name.endsWith(".next"))).toEqual(["loss", "gradNorm"]);
    expect(step.inputs["images"]).toEqual({ dtype: "uint8", shape: [BATCH, 3, 16, 16] });
    expect(step.inputs[DROP_PATH_INPUT]).toEqual({ dtype: "float32", shape: [4, BATCH] });
    expect(stepProgram(optionsFor(BATCH), { ...training, dropPath: 0 }).inputs).not.toHaveProperty(
      DROP_PATH_INPUT,
    );
    for (const { name, length } of state)
      expect(step.outputs[`${name}.next`]).toEqual({ dtype: "float32", shape: [length] });

    const grad = gradProgram(optionsFor(BATCH), training, { batches: 2 });
    expect(grad.state).toEqual({
      "W.noDecay": null,
      "G.noDecay": "G.noDecay.next",
      "W.decay": null,
      "G.decay": "G.decay.next",
    });
    const apply = applyProgram(optionsFor(BATCH), training);
    expect(
      Object.keys(apply.inputs)
        .filter((name) => !(name in apply.state))
        .toSorted(),
    ).toEqual(["hyper.decay", "hyper.noDecay"]);
    expect(apply.state["G.decay"]).toBe("G.decay.next");
    const evaluation = evaluationProgram(optionsFor(BATCH));
    expect(evaluation.state).toEqual({ "W.noDecay": null, "W.decay": null });
    expect(Object.keys(evaluation.outputs)).toEqual([
      "class",
      "distillation",
      "tokenSimilarity",
      "parameterSimilarity",
    ]);
  });

  test.each(["cpu", "webgpu", "portable"] as const)("hold no node twice, and none in vain: %s", (target) => {
    const options = { ...optionsFor(BATCH), target };
    for (const program of [
      stepProgram(options, training),
      gradProgram(options, training, { batches: 2 }),
      applyProgram(options, training),
      evaluationProgram(options),
    ]) {
      expect(repeatedNodes(graphOf(program))).toEqual([]);
      expect(danglingNames(graphOf(program))).toEqual([]);
    }
  });

  test("gradient and application are the fused step", async () => {
    await reset();
    const fused = await fusedSteps();
    const expected = await getVectors(runtime, "W", layout);
    await reset();
    await loaded(gradProgram(optionsFor(BATCH), training, { batches: 1 }), (grad) =>
      loaded(applyProgram(optionsFor(BATCH), training), async (apply) => {
        for (let s = 1; s <= 3; s++) {
          const { loss } = await grad.run(rows(0, BATCH));
          const { gradNorm } = await apply.run(hyperOf(layout, training, s, 1e-3));
          expectClose(loss, Array.from(fused[s - 1]?.["loss"] ?? [], Number), {
            tolerance: 1e-6,
            name: `loss of step ${s}`,
          });
          expectClose(gradNorm, Array.from(fused[s - 1]?.["gradNorm"] ?? [], Number), {
            tolerance: 1e-5,
            name: `gradNorm of step ${s}`,
          });
        }
      }),
    );
    const actual = await getVectors(runtime, "W", layout);
    for (const { name } of layout.vectors)
      expectMoved(actual[name], { from: start[name], to: expected[name], tolerance: 1e-3 });
    expect(new Set(await runtime.getState("G.decay")), "the gradient is cleared").toEqual(new Set([0]));
  });

  test("two halves accumulated are one batch", async () => {
    await reset();
    await loaded(gradProgram(optionsFor(BATCH), training, { batches: 1 }), (grad) =>
      grad.run(rows(0, BATCH)),
    );
    const whole = await getVectors(runtime, "G", layout);
    await reset();
    await loaded(gradProgram(optionsFor(BATCH / 2), training, { batches: 2 }), async (grad) => {
      await grad.run(rows(0, 2));
      await grad.run(rows(2, 4));
    });
    const halves = await getVectors(runtime, "G", layout);
    for (const { name } of layout.vectors) expectClose(halves[name], whole[name], { tolerance: 1e-5, name });
  });

  test("vectors cut by a length limit train alike", async () => {
    await reset();
    const whole = await fusedSteps();
    const expected = unpackTensors(layout, await getVectors(runtime, "W", layout));
    const cut = layoutOf(model, 2000);
    expect(cut.vectors.length).toBeGreaterThan(layout.vectors.length + 2);
    await reset(cut, packTensors(cut, unpackTensors(layout, start)));
    const parts = await fusedSteps(cut);
    for (const [s, { loss = [], gradNorm = [] }] of whole.entries()) {
      expectClose(parts[s]?.["loss"], Array.from(loss, Number), { tolerance: 1e-6 });
      expectClose(parts[s]?.["gradNorm"], Array.from(gradNorm, Number), { tolerance: 1e-5 });
    }
    const actual = unpackTensors(cut, await getVectors(runtime, "W", cut));
    const before = unpackTensors(layout, start);
    for (const [name, { data }] of expected) {
      expectMoved(actual.get(name)?.data, { from: before.get(name)?.data, to: data, tolerance: 1e-3 });
    }
  });

  test("clipping reports the norm before it, and scales what follows", async () => {
    const results: Record<string, TensorData>[] = [];
    const moments: Float32Array[] = [];
    for (const clipGrad of [undefined, 1e-3]) {
      await reset();
      results.push(...(await fusedSteps(layout, { ...training, clipGrad })).slice(0, 1));
      await reset();
      await loaded(stepProgram(optionsFor(BATCH), { ...training, clipGrad }), (step) =>
        step.run({ ...rows(0, BATCH), ...hyperOf(layout, training, 1, 1e-3) }),
      );
      moments.push(await runtime.getState("m.decay"));
    }
    const norm = Number(results[0]?.["gradNorm"]?.[0]);
    expect(norm).toBeGreaterThan(0.01);
    expectClose(results[1]?.["gradNorm"], [norm], { tolerance: 1e-6 });
    const expected = moments[0]?.map((x) => (x * 1e-3) / (norm + 1e-6));
    expectClose(moments[1], expected, { tolerance: 1e-5 });
  });

  test("a dropped sample's branches do not reach the loss", async () => {
    const losses: number[] = [];
    for (const factor of [0, 1]) {
      await reset();
      await loaded(stepProgram(optionsFor(BATCH), { ...training, dropPath: 1e-3 }), async (step) => {
        const { loss } = await step.run({
          ...rows(0, BATCH),
          [DROP_PATH_INPUT]: mask.map(() => factor),
          ...hyperOf(layout, training, 1, 0),
        });
        losses.push(Number(loss?.[0]));
      });
    }
    await reset();
    await loaded(stepProgram(optionsFor(BATCH), { ...training, dropPath: 0 }), async (step) => {
      const { [DROP_PATH_INPUT]: _, ...feeds } = rows(0, BATCH);
      losses.push(Number((await step.run({ ...feeds, ...hyperOf(layout, training, 1, 0) }))["loss"]?.[0]));
    });
    expect(losses[1]).toBeCloseTo(losses[2] ?? Number.NaN, 5);
    expect(Math.abs((losses[0] ?? 0) - (losses[1] ?? 0))).toBeGreaterThan(1e-5);
  });

  test("images are normalised by the given statistics", async () => {
    const plain = { mean: [0, 0, 0], std: [1, 1, 1] } as const;
    await reset();
    const given = Float32Array.from(images, (value, i) => {
      const channel = Math.floor(i / 256) % 3;
      return (
        (value / 255 - (NORMALISATION.mean[channel] ?? Number.NaN)) /
        (NORMALISATION.std[channel] ?? Number.NaN)
      );
    });
    const byProgram = await loaded(evaluationProgram(optionsFor(BATCH)), (it) => it.run({ images }));
    const normalised = { ...optionsFor(BATCH), model: onNormalised(model, BATCH), normalisation: plain };
    const byHand = await loaded(evaluationProgram(normalised), (it) => it.run({ normalised: given }));
    for (const head of ["class", "distillation"]) {
      expectClose(byProgram[head], Array.from(byHand[head] ?? [], Number), { tolerance: 1e-4, name: head });
    }
  });

  test("the form for WebGPU, which reads bytes in its own way, trains alike on the same device", async () => {
    await reset();
    const [expected] = await fusedSteps();
    await reset();
    const program = stepProgram({ ...optionsFor(BATCH), target: "webgpu" }, training);
    expect(program.inputs["images"]?.dtype).toBe("uint8");
    const results = await loaded(program, (step) =>
      step.run({ ...rows(0, BATCH), ...hyperOf(layout, training, 1, 1e-3) }),
    );
    for (const name of ["loss", "gradNorm"])
      expectClose(results[name], Array.from(expected?.[name] ?? [], Number), { tolerance: 1e-5, name });
  });
});

/** Expects `actual` at `to`, within a part of the way from `from`. */
function expectMoved(
  actual: Float32Array | undefined,
  {
    from = new Float32Array(),
    to = new Float32Array(),
    tolerance,
  }: { from?: Float32Array | undefined; to?: Float32Array | undefined; tolerance: number },
): void {
  const way = Math.hypot(...to.map((x, i) => x - (from[i] ?? Number.NaN)));
  const off = Math.hypot(...to.map((x, i) => x - (actual?.[i] ?? Number.NaN)));
  expect(actual?.length).toBe(to.length);
  if (!(off <= tolerance * Math.max(way, 1e-6))) expect.fail(`moved ${way}, and off by ${off}`);
}
