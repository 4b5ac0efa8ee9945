/**
 * Every registered DeiT against timm's model of that name, with seeded weights: both heads' logits, the loss,
 * and the gradient of every tensor. Recorded by tests/golden/models/record.py.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import { input } from "../../src/graph/graph.ts";
import { add, mul } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { headOutputs } from "../../src/evaluation/evaluation-program.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { createDeit } from "../../src/models/registry.ts";
import { trainingContext } from "../../src/nn/context.ts";
import {
  bindParameters,
  createLayout,
  decayGroups,
  packTensors,
  unpackTensors,
} from "../../src/nn/parameters.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededImages, seededLabels, seededParameter, seededTensor, unpack } from "../helpers/seeded.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";

interface Recording {
  readonly batchSize: number;
  readonly loss: number;
  readonly logits: { readonly class: PackedTensor; readonly distillation?: PackedTensor };
  readonly gradients: Readonly<
    Record<string, { norm: number; at: readonly number[]; values: readonly number[] }>
  >;
}

const NAMES = [
  "deit_tiny_patch16_224",
  "deit_tiny_distilled_patch16_224",
  "deit_small_patch16_224",
  "deit_small_distilled_patch16_224",
  "deit_base_patch16_224",
  "deit_base_distilled_patch16_224",
  "deit_base_patch16_384",
  "deit_base_distilled_patch16_384",
];

describe("registered DeiTs equal timm's", () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createRuntime({ device: "cpu" });
  });
  afterAll(() => runtime.close());

  test.each(NAMES)("%s", async (name) => {
    const file = new URL(`../golden/models/${name}.json`, import.meta.url);
    const expected: Recording = JSON.parse(readFileSync(file, "utf8"));
    const { batchSize } = expected;
    const model = createDeit(name);
    const { embedDim, numClasses, inputSize } = model.config;
    const layout = createLayout(model.parameters, { groupOf: decayGroups(model.noWeightDecay) });
    const { weights, scope } = bindParameters(layout);
    const images = input("images", "float32", [batchSize, 3, ...inputSize]);
    const targets = input("targets", "float32", [batchSize, numClasses]);
    const context = trainingContext({ batchSize, dropPathRates: model.dropPathRates(0) });
    const heads = model.forward(images, scope, context);
    const byClass = softTargetCrossEntropy(heads.class, targets);
    const loss = heads.distillation
      ? mul(add(byClass, softTargetCrossEntropy(heads.distillation, targets)), 0.5)
      : byClass;
    const grads = gradient(loss, Object.values(weights));
    const gradOutputs = Object.fromEntries(
      layout.vectors.map((vector, i) => [`grad.${vector.name}`, grads[i] ?? loss]),
    );
    const program = compile({
      name,
      target: "cpu",
      outputs: { ...headOutputs(heads), loss, ...gradOutputs },
      state: Object.fromEntries(layout.vectors.map((vector) => [`W.${vector.name}`, null])),
    });
    const tensors = model.parameters.map(
      ({ name: key, shape }): [string, { shape: readonly number[]; data: Float32Array }] => [
        key,
        { shape, data: seededParameter(key, shape, embedDim) },
      ],
    );
    for (const [vector, data] of Object.entries(packTensors(layout, new Map(tensors)))) {
      await runtime.setState(`W.${vector}`, data);
    }
    const executable = await runtime.load(program);
    const results = await executable.run({
      images: seededTensor("images", batchSize * 3 * inputSize[0] * inputSize[1], seededImages),
      targets: smoothTargets(seededLabels(batchSize, numClasses), numClasses, 0),
    });
    await executable.release();

    expect(Number(results["loss"]?.[0])).toBeCloseTo(expected.loss, 4);
    for (const [head, packed] of Object.entries(expected.logits)) {
      expect(largestDifference(results[head], unpack(packed)), `logits of ${head}`).toBeLessThan(2e-5);
    }
    const vectors = Object.fromEntries(
      layout.vectors.map((vector) => [vector.name, results[`grad.${vector.name}`] as Float32Array]),
    );
    const byName = unpackTensors(layout, vectors);
    expect([...byName.keys()].toSorted()).toEqual(Object.keys(expected.gradients).toSorted());
    for (const [key, { norm, at, values }] of Object.entries(expected.gradients)) {
      const data = byName.get(key)?.data ?? new Float32Array();
      const actual = Math.sqrt(data.reduce((total, x) => total + x * x, 0));
      expect(Math.abs(actual - norm) / norm, `norm of the gradient of ${key}`).toBeLessThan(1e-4);
      const scale = norm / Math.sqrt(data.length);
      for (const [i, index] of at.entries()) {
        const difference = Math.abs((data[index] ?? Number.NaN) - (values[i] ?? Number.NaN));
        expect(difference / scale, `gradient of ${key} at ${index}`).toBeLessThan(1e-3);
      }
    }
  });
});

function largestDifference(actual: ArrayLike<number | bigint> | undefined, expected: Float32Array): number {
  expect(actual?.length).toBe(expected.length);
  return expected.reduce((most, x, i) => Math.max(most, Math.abs(x - Number(actual?.[i]))), 0);
}
