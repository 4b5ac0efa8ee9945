/** The codes of errors that graph, layers, models, image operations and benchmarks throw at their callers. */
import { expect, test } from "vitest";
import { parseAutoAugment } from "../src/augmentation/auto-augment.ts";
import { gaussianBlur } from "../src/augmentation/blur.ts";
import { resize } from "../src/augmentation/resize.ts";
import { parseRandAugment } from "../src/augmentation/rand-augment.ts";
import { parseProfile } from "../../lab/src/bench/profile-events.ts";
import { DeitError } from "../src/errors.ts";
import { gradient } from "../src/graph/gradient.ts";
import { input } from "../src/graph/graph.ts";
import { evaluate } from "../src/graph/interpreter.ts";
import * as ops from "../src/graph/ops.ts";
import { compile } from "../src/graph/program.ts";
import { deployedProgram } from "../src/models/deploy.ts";
import { createDeit, createModel, modelOf } from "../src/models/registry.ts";
import { collectParameters, modelLayout, packTensors } from "../src/nn/parameters.ts";

const x = input("x", "float32", [2, 3]);
const t3 = input("t", "float32", [2, 1, 4]);
const model = createModel("deit_w64d4_patch4_32");
const { config } = createDeit("deit_w64d4_patch4_32");
const image = { width: 4, height: 4, data: new Uint8Array(48) };
const program = (outputs: Record<string, ReturnType<typeof input>>): unknown =>
  compile({ name: "p", target: "cpu", outputs });

test.each<[string, () => unknown]>([
  ["graph/shape", () => ops.add(x, input("y", "float32", [2, 4]))],
  ["graph/argument", () => ops.clip(x, 2, 1)],
  ["graph/names", () => program({ x: ops.neg(x) })],
  ["graph/names", () => program({ a: ops.neg(x), b: ops.neg(input("x", "float32", [3])) })],
  [
    "graph/no-gradient",
    () => gradient(ops.sum(ops.attention({ q: t3, k: t3, v: t3 }, { numHeads: 1 }).probabilities), [t3]),
  ],
  ["program/feeds", () => evaluate([ops.neg(x)], { x: [1] })],
  ["model/unknown-name", () => createModel("deit_huge")],
  ["model/unknown-name", () => createDeit("deit_huge")],
  ["model/configuration", () => modelOf("m", { ...config, numHeads: 5 })],
  ["model/configuration", () => createModel("deit_w64d4_patch4_32", { numClasses: 0 })],
  ["model/input-size", () => createModel("deit_w64d4_patch4_32", { inputSize: 30 })],
  ["model/input-size", () => createModel("resnet20_cifar", { inputSize: 0 })],
  [
    "model/parameter-shapes",
    () => collectParameters((scope) => [1, 2].map((size) => scope.parameter("w", [size], { kind: "zeros" }))),
  ],
  ["checkpoint/wrong-tensors", () => packTensors(modelLayout(model), new Map())],
  ["checkpoint/wrong-tensors", () => deployedProgram(model, new Map(), { batchSize: 1, target: "cpu" })],
  ["options/value", () => parseRandAugment("rand-x9")],
  ["options/value", () => parseAutoAugment("nothing")],
  ["options/value", () => parseAutoAugment("original-x1")],
  ["image/argument", () => gaussianBlur(image, -1)],
  ["image/argument", () => resize(image, { width: 0, height: 4 })],
  ["bench/profile", () => parseProfile("{}", { warmUp: 1 })],
])("%s", (code, act) => {
  let thrown: unknown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(DeitError);
  expect(thrown).toMatchObject({ code });
});
