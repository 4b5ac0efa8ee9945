/** --recompute: the same training, bit for bit (on WebGPU: webgpu.slow.test.ts). What it saves is measured by `deit bench train --recompute`. */
import { describe, expect, test } from "vitest";
import { distillation } from "../../src/distillation/losses.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { adamW } from "../../src/optim/adamw.ts";
import { sgd } from "../../src/optim/sgd.ts";
import type { TrainingOptions } from "../../src/training/loop/training-programs.ts";
import { stepProgram } from "../../src/training/loop/training-programs.ts";
import { classification } from "../../src/training/task.ts";
import { danglingNames, graphOf, repeatedNodes } from "../graph/parse.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { convolutional, programOptions, runSteps, transformer } from "./steps.ts";

const labels: TrainingOptions = {
  task: classification(softTargetCrossEntropy),
  optimizer: adamW(),
  clipGrad: 1,
  dropPath: 0.3,
};
const distilled: TrainingOptions = {
  ...labels,
  task: distillation(
    { type: "hard", alpha: 0.5, tau: 1, reduction: "mean", head: "token", trueLabels: 0 },
    softTargetCrossEntropy,
  ),
  teacher: "input",
};

describe("recomputed steps are the steps", () => {
  const transformers = [
    ["of a distilled transformer with stochastic depth", transformer, distilled, 3],
    ["with dropout", transformer, { ...labels, drop: 0.2, attnDrop: 0.1 }, 2],
    ["as in evaluation", transformer, { ...labels, evaluationMode: true }, 2],
  ] as const;
  // Convnets: one step. From the second on, sums over short rows may differ in their last bit with the place in memory.
  const convnets = [["of a convnet", convolutional, { ...labels, optimizer: sgd() }, 1]] as const;
  test.each([...transformers, ...convnets])("%s", async (_, model, training, steps) => {
    const runtime = await sharedRuntime("cpu");
    const { outputs: expected, state } = await runSteps(runtime, model, training, steps);
    const again = await runSteps(runtime, model, { ...training, recompute: true }, steps);
    expect(again.outputs).toEqual(expected);
    for (const [name, vector] of Object.entries(state)) expect(again.state[name], name).toEqual(vector);
  });
});

test.each(["cpu", "webgpu", "portable"] as const)("the program holds no node twice: %s", (target) => {
  const options = programOptions(transformer, { target });
  const program = stepProgram(options, { ...distilled, recompute: true });
  expect(repeatedNodes(graphOf(program))).toEqual([]);
  expect(danglingNames(graphOf(program))).toEqual([]);
  const nodes = (recompute: boolean): number =>
    graphOf(stepProgram(options, { ...distilled, recompute })).node.length;
  expect(nodes(true)).toBeGreaterThan(nodes(false) + 40);
});
