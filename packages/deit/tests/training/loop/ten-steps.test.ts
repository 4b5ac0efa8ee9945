/** Ten steps of a small distilled DeiT against PyTorch and timm, recorded by tests/golden/training/record.py. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { evaluationProgram } from "../../../src/evaluation/evaluation-program.ts";
import type { ProgramOptions } from "../../../src/evaluation/evaluation-program.ts";
import { input } from "../../../src/graph/graph.ts";
import { add, mul } from "../../../src/graph/ops.ts";
import { jointLogits } from "../../../src/models/heads.ts";
import { createModel } from "../../../src/models/registry.ts";
import { packTensors, unpackTensors, zeroVectors } from "../../../src/nn/parameters.ts";
import { adamW } from "../../../src/optim/adamw.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import type { TrainingOptions } from "../../../src/training/loop/training-programs.ts";
import { stepProgram } from "../../../src/training/loop/training-programs.ts";
import type { Task } from "../../../src/training/task.ts";
import { softTargetCrossEntropy } from "../../../src/nn/losses.ts";
import { smoothTargets } from "../../../src/training/loop/step-feeds.ts";
import { expectClose } from "../../graph/compare.ts";
import { sharedRuntime } from "../../helpers/devices.ts";
import type { PackedTensor } from "../../helpers/seeded.ts";
import { seededImages, seededLabels, seededParameter, seededTensor, unpack } from "../../helpers/seeded.ts";

import { getVectors, hyperOf, layoutOf, NORMALISATION, onNormalised, setVectors } from "./step-state.ts";

interface Run {
  readonly losses: readonly { loss: number; class: number; distillation: number }[];
  readonly gradientNorms: readonly number[];
  readonly evalLogits: PackedTensor;
  readonly tensors: Readonly<
    Record<string, { norm: number; moved: number; at: readonly number[]; values: readonly number[] }>
  >;
}

const file = new URL("../../golden/training/ten-steps.json", import.meta.url);
const golden: Run & {
  batchSize: number;
  classes: number;
  lr: number;
  weightDecay: number;
  smoothing: number;
  float64: Run;
} = JSON.parse(readFileSync(file, "utf8"));

/** ½ CE(class head, smoothed) + ½ CE(distillation head, labels): what was recorded. */
const bothHeads: Task = ({ heads, targets }) => {
  const byClass = softTargetCrossEntropy(heads.class, targets);
  const distillation = softTargetCrossEntropy(
    heads.distillation ?? heads.class,
    input("labels", "float32", targets.shape),
  );
  return { loss: mul(add(byClass, distillation), 0.5), class: byClass, distillation };
};

describe("ten steps on the CPU", () => {
  const { batchSize, classes, lr, weightDecay, smoothing } = golden;
  const model = onNormalised(createModel("deit_w64d4_distilled_patch4_32"), batchSize);
  const layout = layoutOf(model);
  const training: TrainingOptions = { task: bothHeads, optimizer: adamW({ weightDecay }) };
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await sharedRuntime("cpu");
  });

  test("equal PyTorch's: losses, gradient norms, weights, and the logits after them", async () => {
    const options: ProgramOptions = {
      model,
      layout,
      batchSize,
      target: runtime.target,
      normalisation: NORMALISATION,
    };
    const start = new Map(
      model.parameters.map(({ name, shape }) => [name, { shape, data: seededParameter(name, shape, 64) }]),
    );
    await setVectors(runtime, "W", packTensors(layout, start));
    for (const slot of training.optimizer.slots) await setVectors(runtime, slot, zeroVectors(layout));
    const step = await runtime.load(stepProgram(options, training));
    const images = (s: number): Float32Array =>
      seededTensor(`images.${s}`, batchSize * 3 * 32 * 32, seededImages);

    for (const [s, expected] of golden.losses.entries()) {
      const labels = seededLabels(batchSize, classes, 11 * s);
      const results = await step.run({
        normalised: images(s),
        targets: smoothTargets(labels, classes, smoothing),
        labels: smoothTargets(labels, classes, 0),
        ...hyperOf(layout, training, s + 1, lr),
      });
      // PyTorch's own float32 and float64 runs differ by up to 1e-6.
      for (const [name, value] of Object.entries(expected)) {
        expectClose(results[name], [value], { tolerance: 3e-6, name: `${name} of step ${s}` });
      }
      expectClose(results["gradNorm"], [golden.gradientNorms[s] ?? Number.NaN], {
        tolerance: 1e-5,
        name: `gradNorm of step ${s}`,
      });
    }
    await step.release();

    const trained = unpackTensors(layout, await getVectors(runtime, "W", layout));
    expect([...trained.keys()].toSorted()).toEqual(Object.keys(golden.tensors).toSorted());
    for (const [name, { norm, moved, at, values }] of Object.entries(golden.float64.tensors)) {
      const data = trained.get(name)?.data ?? new Float32Array();
      expectClose([Math.hypot(...data)], [norm], { tolerance: 1e-5, name: `norm of ${name}` });
      // The keys' bias has no gradient: PyTorch moves it by the sign of rounding errors, we leave it.
      const isKeyBias = (index: number): boolean => name.endsWith("qkv.bias") && index >= 64 && index < 128;
      if (!name.endsWith("qkv.bias")) {
        const change = data.map((x, i) => x - (start.get(name)?.data[i] ?? Number.NaN));
        expectClose([Math.hypot(...change)], [moved], {
          tolerance: 2e-3,
          name: `distance that ${name} moved`,
        });
      }
      for (const [i, index] of at.entries()) {
        if (isKeyBias(index)) continue;
        // AdamW turns tiny gradients into whole steps of 1e-3, so a rounding error may move an element by a part of one.
        expect(
          Math.abs((data[index] ?? Number.NaN) - (values[i] ?? Number.NaN)),
          `${name}[${index}]`,
        ).toBeLessThan(1e-4);
      }
    }

    const evaluation = evaluationProgram({
      ...options,
      model: { ...model, forward: (...it) => ({ class: jointLogits(model.forward(...it)) }) },
    });
    const executable = await runtime.load(evaluation);
    const { class: logits } = await executable.run({ normalised: images(0) });
    await executable.release();
    expectClose(logits, unpack(golden.float64.evalLogits), { tolerance: 2e-4, name: "logits" });
  });
});
