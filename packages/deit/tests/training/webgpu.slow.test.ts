/** Training on WebGPU, through a software driver if need be: the CPU's numbers, and float16 refused where there is none. */
import { describe, expect, test } from "vitest";
import { distillation } from "../../src/distillation/losses.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { adamW } from "../../src/optim/adamw.ts";
import { withEma } from "../../src/optim/ema.ts";
import { withLossScale } from "../../src/optim/loss-scale.ts";
import { float16Support } from "../../src/runtime/float16.ts";
import { choosePrecision } from "../../src/training/choose-precision.ts";
import type { TrainingOptions } from "../../src/training/loop/training-programs.ts";
import { stepProgram } from "../../src/training/loop/training-programs.ts";
import { expectClose } from "../graph/compare.ts";
import { sharedRuntime, webgpuMissing } from "../helpers/devices.ts";
import { programOptions, runSteps, transformer } from "./steps.ts";

const training: TrainingOptions = {
  task: distillation(
    { type: "hard", alpha: 0.5, tau: 1, reduction: "mean", head: "token", trueLabels: 0 },
    softTargetCrossEntropy,
  ),
  teacher: "input",
  optimizer: withEma(adamW(), { decay: 0.9 }),
  clipGrad: 1,
  dropPath: 0.2,
};

describe.skipIf(webgpuMissing !== undefined)("training on webgpu", () => {
  test(
    "fifty steps of a distilled transformer have the CPU's losses to 1e-4",
    { timeout: 300_000 },
    async () => {
      const expected = await runSteps(await sharedRuntime("cpu"), transformer, training, 50);
      const actual = await runSteps(await sharedRuntime("webgpu"), transformer, training, 50);
      expect(expected.losses).toHaveLength(50);
      expect(Math.min(...expected.losses)).toBeLessThan(0.8 * (expected.losses[0] ?? 0));
      for (const [s, loss] of expected.losses.entries())
        expect(Math.abs((actual.losses[s] ?? Number.NaN) - loss), `loss of step ${s}`).toBeLessThan(1e-4);
      expectClose(actual.gradNorms, expected.gradNorms, { tolerance: 1e-3, name: "gradient norms" });
      for (const [name, vector] of Object.entries(expected.state))
        if (name.startsWith("W.")) expectClose(actual.state[name], vector, { tolerance: 1e-3, name });
    },
  );

  test("steps handed over together are the steps, bit for bit", { timeout: 300_000 }, async () => {
    const runtime = await sharedRuntime("webgpu");
    const expected = await runSteps(runtime, transformer, training, 5);
    const together = await runSteps(runtime, transformer, training, 5, { together: 5 });
    expect(together).toEqual(expected);
  });

  // Not bit for bit as on the CPU: the provider may fuse what is computed again differently.
  test("recomputed steps are the steps, to float32's rounding", async () => {
    const runtime = await sharedRuntime("webgpu");
    const expected = await runSteps(runtime, transformer, training, 2);
    const again = await runSteps(runtime, transformer, { ...training, recompute: true }, 2);
    expectClose(again.losses, expected.losses, { tolerance: 1e-6, name: "losses" });
    expectClose(again.gradNorms, expected.gradNorms, { tolerance: 1e-5, name: "gradient norms" });
    for (const [name, vector] of Object.entries(expected.state))
      if (name.startsWith("m.")) expectClose(again.state[name], vector, { tolerance: 1e-4, name });
  });

  test("every operation of a float16 step has a kernel there", async () => {
    const runtime = await sharedRuntime("webgpu");
    const float16 = { ...training, optimizer: withLossScale(training.optimizer) };
    // Loading fails when a node would run on the CPU; it does not need the feature that running does.
    await (await runtime.load(stepProgram(programOptions(transformer, runtime), float16))).release();
  });

  test("float16 without the feature is refused with the reason, and auto takes float32", async () => {
    if ((await float16Support("webgpu")).usable) return;
    await expect(choosePrecision("float16", "webgpu")).rejects.toThrow("has no float16 (feature shader-f16)");
    const { precision, note } = await choosePrecision("auto", "webgpu");
    expect(precision).toBe("float32");
    expect(note).toContain("shader-f16");
  });

  test("auto does not take what nobody has measured", async () => {
    expect((await float16Support("webgpu")).fast).toBe(false);
  });
});
