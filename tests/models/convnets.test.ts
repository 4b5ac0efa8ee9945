/** RegNetY and ResNet for CIFAR against timm and PyTorch (tests/golden/convnets/record.py): forward, backward, statistics. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { compile } from "../../src/graph/program.ts";
import { loadModel } from "../../src/evaluation/load-model.ts";
import { createModel } from "../../src/models/registry.ts";
import type { Model } from "../../src/models/registry.ts";
import { regnet, regnetStages } from "../../src/models/regnet.ts";
import { evaluationContext, trainingContext } from "../../src/nn/context.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { createScope } from "../../src/nn/parameters.ts";
import { smoothTargets } from "../../src/training/task.ts";
import type { Value } from "../../src/graph/graph.ts";
import { expectClose } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor, SeededKind } from "../helpers/seeded.ts";
import { seededImages, seededTensor, unpack } from "../helpers/seeded.ts";

interface Recorded {
  readonly size: number;
  readonly evaluated: PackedTensor;
  readonly trained: PackedTensor;
  readonly loss: number;
  /** Sum, norm and the first elements. */
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly statistics: Readonly<Record<string, PackedTensor>>;
}

const golden: {
  readonly batch: number;
  readonly classes: number;
  readonly regnet: Recorded;
  readonly resnet: Recorded;
} = JSON.parse(readFileSync(new URL("../golden/convnets/convnets.json", import.meta.url), "utf8"));

const { batch, classes: numClasses } = golden;
const rule = { w0: 16, wa: 16, wm: 2, groupWidth: 8, depth: 9 };
const MODELS = [
  [
    "regnet",
    regnet("small", {
      ...rule,
      stemWidth: 8,
      numClasses,
      inputSize: [golden.regnet.size, golden.regnet.size],
    }),
  ],
  ["resnet", createModel("resnet20_cifar", { numClasses, inputSize: golden.resnet.size })],
] as const;

/** As record.py draws them. */
function kind(name: string, shape: readonly number[]): SeededKind {
  if (name.endsWith("running_var") || (shape.length === 1 && name.endsWith("weight")))
    return { offset: 1, scale: 0.5 };
  if (shape.length === 1) return { offset: 0, scale: 0.4 };
  const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
  return { offset: 0, scale: 6 / Math.sqrt(fanIn) };
}

const feeds = (model: Model): Record<string, Float32Array> => ({
  images: seededTensor("images", batch * 3 * model.config.inputSize[0] ** 2, seededImages),
  targets: smoothTargets(
    Array.from({ length: batch }, (_, i) => i),
    numClasses,
    0.1,
  ),
  ...Object.fromEntries(
    model.parameters.map(({ name, shape }) => [
      name,
      seededTensor(
        name,
        shape.reduce((a, b) => a * b, 1),
        kind(name, shape),
      ),
    ]),
  ),
});

interface Traced {
  readonly evaluated: Value;
  readonly trained: Value;
  readonly loss: Value;
  readonly gradients: ReadonlyMap<string, Value>;
  readonly statistics: ReadonlyMap<string, Value>;
}

function trace(model: Model): Traced {
  const values = new Map(model.parameters.map(({ name, shape }) => [name, input(name, "float32", shape)]));
  const images = input("images", "float32", [batch, 3, ...model.config.inputSize]);
  const scope = createScope(({ name }) => values.get(name) ?? images);
  const updates = new Map<Value, Value>();
  const context = trainingContext({
    batchSize: batch,
    target: "cpu",
    dropPathRates: model.dropPathRates(0),
    bufferUpdates: updates,
  });
  const trained = model.forward(images, scope, context).class;
  const loss = softTargetCrossEntropy(trained, input("targets", "float32", [batch, numClasses]));
  const weights = model.parameters.filter(({ buffer }) => !buffer).map(({ name }) => name);
  const slopes = gradient(
    loss,
    weights.map((name) => values.get(name) ?? images),
  );
  return {
    evaluated: model.forward(images, scope, evaluationContext()).class,
    trained,
    loss,
    gradients: new Map(weights.map((name, i) => [name, slopes[i] ?? loss])),
    statistics: new Map(
      [...values].flatMap(([name, value]) => {
        const next = updates.get(value);
        return next === undefined ? [] : [[name, next] as const];
      }),
    ),
  };
}

/** Sum, norm, first eight elements. */
function summary(data: ArrayLike<number>): number[] {
  const values = Array.from(data);
  return [
    values.reduce((a, b) => a + b, 0),
    Math.sqrt(values.reduce((a, b) => a + b * b, 0)),
    ...values.slice(0, 8),
  ];
}

function expectGradients(
  got: ReadonlyMap<string, ArrayLike<number>>,
  recorded: Recorded["gradients"],
  tolerance: number,
): void {
  expect([...got.keys()].toSorted()).toEqual(Object.keys(recorded).toSorted());
  for (const [name, data] of got) {
    const expected = recorded[name] ?? [];
    const norm = expected[1] ?? 0;
    for (const [i, value] of summary(data).entries()) {
      const bound = tolerance * norm * (i === 0 ? Math.sqrt(data.length) : 1);
      if (expected[i] === undefined) continue;
      const difference = Math.abs(value - expected[i]);
      if (!(difference <= bound))
        expect.fail(`${name}[${i}] is ${value}, expected ${expected[i]} ± ${bound}`);
    }
  }
}

describe.each(MODELS)("%s", (which, model) => {
  const recorded = golden[which];

  test("in the interpreter", () => {
    const traced = trace(model);
    const gradients = [...traced.gradients];
    const statistics = [...traced.statistics].filter(([name]) => name in recorded.statistics);
    expect(statistics.length).toBe(Object.keys(recorded.statistics).length);
    const results = evaluate(
      [
        traced.evaluated,
        traced.trained,
        traced.loss,
        ...gradients.map(([, value]) => value),
        ...statistics.map(([, value]) => value),
      ],
      feeds(model),
    );
    expectClose(results[0], unpack(recorded.evaluated), { tolerance: 1e-6, name: "evaluated" });
    expectClose(results[1], unpack(recorded.trained), { tolerance: 1e-6, name: "trained" });
    expectClose(results[2], [recorded.loss], { tolerance: 1e-6, name: "loss" });
    const slopes = new Map(gradients.map(([name], i) => [name, results[3 + i] ?? []]));
    expectGradients(slopes, recorded.gradients, 1e-6);
    for (const [i, [name]] of statistics.entries()) {
      const expected = recorded.statistics[name];
      if (expected)
        expectClose(results[3 + gradients.length + i], unpack(expected), { tolerance: 1e-6, name });
    }
  }, 120_000);

  test.each(devices)(
    "in float32 on %s",
    async (device) => {
      const runtime = await sharedRuntime(device);
      const { evaluated, trained, loss, gradients } = trace(model);
      const outputs = {
        evaluated,
        trained,
        loss,
        ...Object.fromEntries([...gradients].map(([name, value]) => [`grad.${name}`, value])),
      };
      const executable = await runtime.load(compile({ name: which, target: runtime.target, outputs }));
      const results = await executable.run(feeds(model));
      await executable.release();
      const numbers = (name: string): number[] => Array.from(results[name] ?? [], Number);
      expectClose(numbers("evaluated"), unpack(recorded.evaluated), { tolerance: 2e-5, name: "evaluated" });
      expectClose(numbers("trained"), unpack(recorded.trained), { tolerance: 2e-5, name: "trained" });
      expectClose(numbers("loss"), [recorded.loss], { tolerance: 1e-5, name: "loss" });
      const slopes = new Map([...gradients.keys()].map((name) => [name, numbers(`grad.${name}`)]));
      expectGradients(slopes, recorded.gradients, 5e-3);
    },
    120_000,
  );
});

describe("the rule of RegNet's widths", () => {
  test.each([
    ["002", { w0: 24, wa: 36.44, wm: 2.49, groupWidth: 8, depth: 13 }, "24×1/3 56×1/7 152×4/19 368×7/46"],
    ["016", { w0: 48, wa: 20.71, wm: 2.65, groupWidth: 24, depth: 27 }, "48×2/2 120×6/5 336×17/14 888×2/37"],
    [
      "160",
      { w0: 200, wa: 106.23, wm: 2.48, groupWidth: 112, depth: 18 },
      "224×2/2 448×4/4 1232×11/11 3024×1/27",
    ],
    [
      "320",
      { w0: 232, wa: 115.89, wm: 2.53, groupWidth: 232, depth: 20 },
      "232×2/1 696×5/3 1392×12/6 3712×1/16",
    ],
  ])("regnety_%s", (_, config, expected) => {
    const stages = regnetStages(config).map(({ width, depth, groups }) => `${width}×${depth}/${groups}`);
    expect(stages.join(" ")).toBe(expected);
  });
});

const resnet56 = new URL("../../../shared/data/resnet56_cifar10/model.safetensors", import.meta.url);
test.skipIf(!existsSync(resnet56))("real ResNet-56 weights fit by name", async () => {
  const { model, tensors } = await loadModel(resnet56.pathname, { model: "resnet56_cifar" });
  expect(model.config.numClasses).toBe(10);
  expect(tensors.size).toBeGreaterThan(250);
});
