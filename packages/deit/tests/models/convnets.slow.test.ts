/** RegNetY and ResNet for CIFAR against timm and PyTorch (tests/golden/convnets/record.py): forward, backward, statistics. */
import { existsSync, readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { gradient } from "../../src/graph/gradient.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { compile } from "../../src/graph/program.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { deployedProgram } from "../../src/models/deploy.ts";
import { countParameters, createModel } from "../../src/models/registry.ts";
import type { Model } from "../../src/models/registry.ts";
import { regnet, regnetStages } from "../../src/models/regnet.ts";
import { evaluationContext, trainingContext } from "../../src/nn/context.ts";
import {
  createScope,
  initialVectors,
  modelLayout,
  trainedVectors,
  unpackTensors,
} from "../../src/nn/parameters.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { createRandom } from "../../src/random.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";
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
  /** By timm's layer decay of 0.75: factor of the learning rate, and whether decayed. */
  readonly groups: Readonly<Record<string, readonly [number, boolean]>>;
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

describe("the small RegNetY", () => {
  const model = createModel("regnety_w32d9_32");
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0)));

  test("is one that a CPU can train", () => {
    expect(layout.parameters).toBeGreaterThan(250_000);
    expect(layout.parameters).toBeLessThan(350_000);
    expect(model.macs).toBeLessThan(15e6);
  });

  test("starts with branches that are nothing, and convolutions by their fan-out", () => {
    for (const { name, shape, buffer } of model.parameters) {
      const data = tensors.get(name)?.data ?? new Float32Array();
      const std = Math.sqrt(data.reduce((total, x) => total + x * x, 0) / data.length);
      if (shape.length === 4) {
        const [outChannels = 0, , height = 0, width = 0] = shape;
        const groups = name.endsWith("conv2.conv.weight") ? outChannels / 8 : 1;
        const expected = Math.sqrt(2 / ((height * width * outChannels) / groups));
        expect(Math.abs(std / expected - 1), name).toBeLessThan(5 / Math.sqrt(2 * data.length));
      } else if (name === "head.fc.weight") {
        expect(Math.abs(std / 0.01 - 1), name).toBeLessThan(5 / Math.sqrt(2 * data.length));
      } else {
        const one = buffer
          ? name.endsWith("running_var")
          : name.endsWith("bn.weight") && !name.includes("conv3");
        expect([Math.min(...data), Math.max(...data)], name).toEqual(one ? [1, 1] : [0, 0]);
      }
    }
  });

  test("drops branches more often the deeper they are", () => {
    const rates = model.dropPathRates(0.8);
    expect(rates).toHaveLength(9);
    for (const [i, rate] of rates.entries()) expect(rate).toBeCloseTo(0.1 * i, 12);
  });
});

describe("parameter groups", () => {
  test("of a RegNetY are timm's", () => {
    const layout = modelLayout(MODELS[0][1], { layerDecay: 0.75 });
    const ours = trainedVectors(layout).flatMap(({ group, segments }) =>
      segments.map(({ name }) => [name, group] as const),
    );
    expect(ours.map(([name]) => name).toSorted()).toEqual(Object.keys(golden.groups).toSorted());
    for (const [name, { decay, lrScale }] of ours) {
      const [scale = Number.NaN, decayed] = golden.groups[name] ?? [];
      expect(lrScale, name).toBeCloseTo(scale, 12);
      expect(decay, name).toBe(decayed);
    }
  });

  test("of a ResNet count its blocks, from the first convolution to the classes", () => {
    const { vectors, segments } = modelLayout(createModel("resnet20_cifar"), { layerDecay: 0.5 });
    const groups = new Map(vectors.map(({ name, group }) => [name, group]));
    const scale = (name: string): number | undefined => groups.get(segments.get(name)?.vector ?? "")?.lrScale;
    const names = ["conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "linear.bias"];
    expect(names.map(scale)).toEqual([2 ** -10, 2 ** -10, 2 ** -9, 0.5, 1]);
  });
});

describe.each(["regnety_002_32", "resnet20_cifar"])("%s", (name) => {
  test("refuses classes and images that are none", () => {
    for (const numClasses of [0, 2.5]) {
      expect(() => createModel(name, { numClasses })).toThrow(ConfigError);
      expect(() => createModel(name, { numClasses })).toThrow(
        `a model needs at least one class, not ${numClasses}`,
      );
    }
    for (const inputSize of [0, [32, 1.5]] as const)
      expect(() => createModel(name, { inputSize })).toThrow(ConfigError);
  });

  test("takes images of any size", () => {
    for (const inputSize of [1, 33, [20, 47]] as const)
      expect(countParameters(createModel(name, { inputSize }))).toBe(countParameters(createModel(name)));
  });
});

const resnet56 = new URL("../../../../../shared/data/resnet56_cifar10/", import.meta.url);
const weights = new URL("model.safetensors", resnet56);
if (!existsSync(weights)) console.warn("no ../shared/data: ResNet-56 is not compared with its ONNX file");
test.skipIf(!existsSync(weights))(
  "real ResNet-56 weights give the logits of the ONNX file of them",
  async () => {
    const { model, tensors } = await loadModel(weights.pathname, { model: "resnet56_cifar" });
    expect(model.config.numClasses).toBe(10);
    const data = seededTensor("images", 8 * 3 * 32 * 32, seededImages);
    const session = await ort.InferenceSession.create(new URL("model.onnx", resnet56).pathname);
    const [from = "", to = ""] = [...session.inputNames, ...session.outputNames];
    const results = await session.run({ [from]: new ort.Tensor("float32", data, [8, 3, 32, 32]) });
    await session.release();
    const runtime = await sharedRuntime("cpu");
    const executable = await runtime.load(
      deployedProgram(model, tensors, { batchSize: 8, target: runtime.target }),
    );
    const { logits } = await executable.run({ pixel_values: data });
    await executable.release();
    const expected = Array.from((await results[to]?.getData()) ?? [], Number);
    expectClose(logits, expected, { tolerance: 2e-6, name: "logits" });
  },
);
