/** --precision float16: learns as float32 does, skips what overflows, and resumes bit for bit. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { DeviceError } from "../../src/errors.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { initialVectors, zeroVectors } from "../../src/nn/parameters.ts";
import { adamW } from "../../src/optim/adamw.ts";
import { withEma } from "../../src/optim/ema.ts";
import { LOSS_SCALE_STATE, withLossScale } from "../../src/optim/loss-scale.ts";
import type { Optimizer } from "../../src/optim/optimizer.ts";
import { sgd } from "../../src/optim/sgd.ts";
import { createRandom } from "../../src/random.ts";
import { resolvePrecision } from "../../src/training/choose-precision.ts";
import type { TrainingOptions } from "../../src/training/loop/training-programs.ts";
import { applyProgram, gradProgram, stepProgram } from "../../src/training/loop/training-programs.ts";
import { readState } from "../../src/training/run/run-state-file.ts";
import { classification } from "../../src/training/task.ts";
import { InterruptedError } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { danglingNames, graphOf, operatorsOf, repeatedNodes } from "../graph/parse.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { runContent, tinyRun, train, writePhotos } from "./photos.ts";
import { convolutional, programOptions, runSteps, stepFeeds, transformer } from "./steps.ts";

const full: TrainingOptions = {
  task: classification(softTargetCrossEntropy),
  optimizer: adamW(),
  clipGrad: 1,
};
const half: TrainingOptions = { ...full, optimizer: withLossScale(adamW()) };

describe("fifty steps on the CPU", () => {
  // A scale at which nothing overflows: a skipped update would be one update fewer.
  const scaled = (optimizer: Optimizer): Optimizer => withLossScale(optimizer, { start: 2048 });
  test.each([
    ["a transformer", transformer, adamW(), false, 0.5],
    ["recomputed", transformer, adamW(), true, 0.5],
    ["a convnet", convolutional, sgd(), false, 0.9],
  ] as const)(
    "%s: the losses of float32, within 2 hundredths of the first one",
    async (_, model, optimizer, recompute, learnt) => {
      const runtime = await sharedRuntime("cpu");
      const expected = await runSteps(runtime, model, { ...full, optimizer }, 50);
      const float16 = { ...full, optimizer: scaled(optimizer), recompute };
      const { losses, state } = await runSteps(runtime, model, float16, 50);
      const [first = 0] = expected.losses;
      expect(Math.min(...losses)).toBeLessThan(learnt * first);
      for (const [s, loss] of losses.entries())
        expect(Math.abs(loss - (expected.losses[s] ?? Number.NaN)), `step ${s}`).toBeLessThan(0.02 * first);
      expect(losses).not.toEqual(expected.losses);
      expect(state[LOSS_SCALE_STATE]).toEqual(Float32Array.of(2048, 50, 0));
    },
  );
});

describe("a gradient that overflows", () => {
  const huge = { ...half, optimizer: withLossScale(withEma(adamW(), { decay: 0.5 }), { start: 2 ** 40 }) };

  test("changes nothing but the scale, until it fits", async () => {
    const runtime = await sharedRuntime("cpu");
    const { layout } = programOptions(transformer, runtime);
    const start = initialVectors(layout, createRandom(5));
    const once = await runSteps(runtime, transformer, huge, 1);
    expect(once.outputs[0]?.["overflow"]?.[0]).toBe(1);
    expect(Number.isFinite(once.gradNorms[0])).toBe(false);
    expect(Number.isFinite(once.losses[0])).toBe(true);
    for (const [name, data] of Object.entries(start)) {
      expect(once.state[`W.${name}`]).toEqual(data);
      expect(once.state[`E.${name}`]).toEqual(data);
      expect(once.state[`m.${name}`]?.every((value) => value === 0)).toBe(true);
      expect(once.state[`v.${name}`]?.every((value) => value === 0)).toBe(true);
    }
    expect(once.state[LOSS_SCALE_STATE]).toEqual(Float32Array.of(2 ** 39, 0, 1));
    const { outputs, state } = await runSteps(runtime, transformer, huge, 40);
    const skipped = outputs.filter(({ overflow }) => overflow?.[0] === 1).length;
    expect(skipped).toBeGreaterThan(10);
    expect(skipped).toBeLessThan(40);
    expect(state[LOSS_SCALE_STATE]?.[0]).toBe(2 ** (40 - skipped));
    expect(state[LOSS_SCALE_STATE]?.[2]).toBe(skipped);
  });

  test.each([
    ["are handed over, as on WebGPU: the steps, bit for bit", false],
    // Inside a loop ONNX Runtime removes other casts of its CPU's emulation.
    ["are one run, as on CUDA: the steps, to rounding", true],
  ])("amid steps that %s", async (_, asOne) => {
    const runtime = await sharedRuntime("cpu");
    const expected = await runSteps(runtime, transformer, huge, 35);
    const together = await runSteps(runtime, transformer, huge, 35, { together: 7, asOne });
    const skips = expected.outputs.map(({ overflow }) => overflow?.[0]);
    const last = skips.lastIndexOf(1);
    expect((last + 1) % 7, "the last skip is followed by an update of its group").not.toBe(0);
    expect(skips.slice(last + 1).length).toBeGreaterThan(5);
    if (!asOne) return expect(together).toEqual(expected);
    expect(together.outputs.map(({ overflow }) => overflow?.[0])).toEqual(skips);
    expect(together.state[LOSS_SCALE_STATE]).toEqual(expected.state[LOSS_SCALE_STATE]);
    for (const [s, loss] of together.losses.entries())
      expect(Math.abs(loss - (expected.losses[s] ?? Number.NaN)), `step ${s}`).toBeLessThan(2e-4);
  });

  test("of one of several accumulated batches skips their update", async () => {
    const runtime = await sharedRuntime("cpu");
    const options = programOptions(transformer, runtime);
    const { layout } = options;
    await runSteps(runtime, transformer, half, 1);
    const before = await runtime.getState("W.decay");
    for (const [name, data] of Object.entries(zeroVectors(layout))) await runtime.setState(`G.${name}`, data);
    const grad = await runtime.load(gradProgram(options, half, { batches: 2 }));
    const apply = await runtime.load(applyProgram(options, half));
    const batch = (s: number): ReturnType<typeof stepFeeds> => {
      const feeds = stepFeeds(options, half, { s, program: grad.program });
      return Object.fromEntries(Object.entries(feeds).filter(([name]) => name in grad.program.inputs));
    };
    const hyper = Object.fromEntries(
      Object.entries(stepFeeds(options, half, { s: 2, program: { ...grad.program, inputs: {} } })).filter(
        ([name]) => name.startsWith("hyper."),
      ),
    );
    await runtime.setState(LOSS_SCALE_STATE, Float32Array.of(2 ** 40, 5, 0));
    await grad.run(batch(1));
    await runtime.setState(LOSS_SCALE_STATE, Float32Array.of(1024, 5, 0));
    await grad.run(batch(2));
    const skipped = await apply.run(hyper);
    expect([skipped["overflow"]?.[0], skipped["lossScale"]?.[0]]).toEqual([1, 1024]);
    expect(await runtime.getState("W.decay")).toEqual(before);
    expect(await runtime.getState(LOSS_SCALE_STATE)).toEqual(Float32Array.of(512, 0, 1));
    await grad.run(batch(1));
    await grad.run(batch(2));
    expect((await apply.run(hyper))["overflow"]?.[0]).toBe(0);
    expect(await runtime.getState("W.decay")).not.toEqual(before);
    expect(await runtime.getState(LOSS_SCALE_STATE)).toEqual(Float32Array.of(512, 1, 1));
    await grad.release();
    await apply.release();
  });
});

test.each(["cpu", "webgpu"] as const)(
  "the program for %s holds no node twice, and casts no weight twice",
  (target) => {
    const program = stepProgram(programOptions(transformer, { target }), half);
    expect(repeatedNodes(graphOf(program))).toEqual([]);
    expect(danglingNames(graphOf(program))).toEqual([]);
    expect(operatorsOf(program)).toContain("Cast");
    for (const [name, { dtype }] of Object.entries(program.outputs)) expect(dtype, name).toBe("float32");
  },
);

describe("a run", () => {
  let root = "";
  let dataPath = "";
  beforeAll(async () => {
    root = await temporaryFolder();
    dataPath = await writePhotos(join(root, "photos"));
  });

  test.each([1, 2])(
    "that was stopped goes on bit for bit, %s batches an update",
    async (accumulationSteps) => {
      const options = (outputDir: string): ReturnType<typeof tinyRun> =>
        tinyRun({
          dataPath,
          outputDir,
          precision: "float16",
          epochs: 2,
          accumulationSteps,
          batchSize: 8,
          modelEma: true,
        });
      const [whole, parts] = ["whole", "parts"].map((name) => join(root, `${name}${accumulationSteps}`)) as [
        string,
        string,
      ];
      const notes: string[] = [];
      await train(options(whole), {
        onEvent: (event) => void (event.type === "note" && notes.push(event.message)),
      });
      expect(notes.join()).toContain("float16, as requested; the CPU computes float16 in float32");
      const stop = new AbortController();
      let steps = 0;
      const stopped = train(options(parts), {
        signal: stop.signal,
        onEvent: ({ type }) => {
          if (type === "step" && ++steps === 4) stop.abort();
        },
      });
      await expect(stopped).rejects.toThrow(InterruptedError);
      await train(options(parts));
      const [expected, actual] = [await runContent(whole), await runContent(parts)];
      expect(actual).toEqual(expected);
      const states = [
        await readState(join(whole, "state.safetensors")),
        await readState(join(parts, "state.safetensors")),
      ];
      expect(states[1]).toEqual(states[0]);
      const [scale = 0, good = 0, skipped = 0] = states[0]?.vectors[LOSS_SCALE_STATE] ?? [];
      expect(good).toBeGreaterThan(3);
      expect(scale).toBe(65536 * 0.5 ** skipped);
      expect(expected.log.reduce((total, record) => total + Number(record["skipped_updates"]), 0)).toBe(
        skipped,
      );
      expect(expected.log.at(-1)?.["loss_scale"]).toBe(scale);
    },
  );
});

describe("the choice of a precision", () => {
  const none = { usable: false, fast: false, reason: "it has no float16" };
  const slow = { usable: true, fast: false, reason: "it is slow" };
  const fast = { usable: true, fast: true, reason: "it is fast" };
  test("float16 without float16 is an error that says why", () => {
    expect(() => resolvePrecision("float16", "webgpu", none)).toThrow(DeviceError);
    expect(() => resolvePrecision("float16", "webgpu", none)).toThrow(
      "--precision float16 cannot be used on webgpu: it has no float16\nTake --precision float32",
    );
  });
  test("auto takes it where it is fast, and says why it does not", () => {
    expect(resolvePrecision("auto", "webgpu", fast).precision).toBe("float16");
    expect(resolvePrecision("auto", "cpu", slow)).toEqual({
      precision: "float32",
      note: "precision: float32 (auto: it is slow)",
    });
    expect(resolvePrecision("auto", "webgpu", none).precision).toBe("float32");
  });
  test("as asked where it is slow", () => {
    expect(resolvePrecision("float16", "cpu", slow).precision).toBe("float16");
  });
});
