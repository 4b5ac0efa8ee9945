/** Feature distillation against PyTorch's cosine_similarity (tests/golden/distillation/record_feature.py), with its gradients. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mixTargets } from "../../src/augmentation/mixup.ts";
import { distillation } from "../../src/distillation/losses.ts";
import { functionTeacher } from "../../src/distillation/teacher-function.ts";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { constant, input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { linear } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { cosineDistance, softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";
import { expectClose } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

const LOSSES = ["loss", "class_loss", "distillation_loss"] as const;
const LEARNT = ["class", "distillation", "token", "weight", "bias"] as const;

type Case = { readonly head: "token" | "class"; readonly alpha: number } & Readonly<
  Record<(typeof LOSSES)[number], number> & Record<(typeof LEARNT)[number], PackedTensor>
>;

const golden: {
  readonly labels: readonly number[];
  readonly classes: number;
  readonly lambda: number;
  readonly smoothing: number;
  readonly features: number;
  readonly width: number;
  readonly cases: readonly Case[];
} = JSON.parse(readFileSync(new URL("../golden/distillation/feature.json", import.meta.url), "utf8"));

const { labels, classes, features, width } = golden;
const batch = labels.length;
const SHAPES = {
  class: [batch, classes],
  distillation: [batch, classes],
  token: [batch, features],
  weight: [width, features],
  bias: [width],
  embedding: [batch, width],
  targets: [batch, classes],
} as const;
const SCALES = { class: 6, distillation: 6, token: 3, weight: 1, bias: 0.2, embedding: 8 };
const feeds: Record<string, Float32Array> = {
  ...Object.fromEntries(
    Object.entries(SCALES).map(([name, scale]) => {
      const size = SHAPES[name as keyof typeof SCALES].reduce((product, length) => product * length, 1);
      return [name, seededTensor(name, size, { offset: 0, scale })];
    }),
  ),
  targets: mixTargets(
    smoothTargets(labels, classes, golden.smoothing),
    labels.map(() => ({ lambda: golden.lambda })),
    classes,
  ),
};

/** Losses and the gradients of all that learns. */
function trace({ head, alpha }: Case): Record<string, Value> {
  const values = Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => [name, input(name, "float32", shape)]),
  ) as Record<keyof typeof SHAPES, Value>;
  const options = { type: "feature", tau: 1, reduction: "mean", trueLabels: 0, head, alpha } as const;
  const losses = distillation(
    options,
    softTargetCrossEntropy,
  )({
    heads: {
      class: values.class,
      ...(head === "token" && { distillation: values.distillation }),
      embedding: linear(values.token, values.weight, values.bias),
    },
    targets: values.targets,
    teacher: values.embedding,
  });
  const slopes = gradient(
    losses.loss,
    LEARNT.map((name) => values[name]),
  );
  return {
    ...losses,
    ...Object.fromEntries(LEARNT.map((name, i) => [`${name}Slope`, slopes[i] ?? values[name]])),
  };
}

describe.each(golden.cases.map((recorded) => [`${recorded.head}, α ${recorded.alpha}`, recorded] as const))(
  "%s",
  (_, recorded) => {
    const expected = Object.entries({
      ...Object.fromEntries(LOSSES.map((name) => [name, [recorded[name]]])),
      ...Object.fromEntries(LEARNT.map((name) => [`${name}Slope`, unpack(recorded[name])])),
    });

    test("in the interpreter", () => {
      const traced = trace(recorded);
      const results = evaluate(
        expected.map(([name]) => traced[name] as Value),
        feeds,
      );
      for (const [i, [name, values]] of expected.entries())
        expectClose(results[i], values, { tolerance: 1e-6, name });
    });

    test.each(devices)("in float32 on %s", async (device) => {
      const runtime = await sharedRuntime(device);
      const program = compile({ name: "feature", target: runtime.target, outputs: trace(recorded) });
      const executable = await runtime.load(program);
      const given = Object.keys(executable.program.inputs).map((name) => [name, feeds[name]]);
      const results = await executable.run(Object.fromEntries(given) as Record<string, Float32Array>);
      await executable.release();
      for (const [name, values] of expected)
        expectClose(Array.from(results[name] ?? [], Number), values, { tolerance: 2e-6, name });
    });
  },
);

test("a row of zeros has a loss and a slope", () => {
  const [zeros, ones] = [
    constant(new Float32Array(3), [1, 3]),
    constant(new Float32Array(3).fill(1), [1, 3]),
  ];
  const x = input("x", "float32", [1, 3]);
  const loss = cosineDistance(x, ones);
  const [slope] = gradient(loss, [x]);
  const [value, found] = evaluate([loss, slope ?? x], { x: new Float32Array(3) });
  expect(Number(value?.[0])).toBe(1);
  expect(Array.from(found ?? [], Number).every(Number.isFinite)).toBe(true);
  expect(Number(evaluate([cosineDistance(zeros, ones)], {})[0]?.[0])).toBe(1);
});

test("a student without a projection is refused", () => {
  const x = input("x", "float32", [2, 3]);
  const options = {
    type: "feature",
    alpha: 1,
    tau: 1,
    reduction: "mean",
    head: "class",
    trueLabels: 0,
  } as const;
  const loss = distillation(options, softTargetCrossEntropy);
  expect(() => loss({ heads: { class: x }, targets: x, teacher: x })).toThrow("no projection");
});

test("a teacher that is a function has no embedding", () => {
  const [inputSize, normalisation] = [[8, 8] as const, { mean: [0, 0, 0], std: [1, 1, 1] } as const];
  const student = { inputSize, normalisation, numClasses: 2, name: "mine", cached: false };
  const given = (embedding: boolean): unknown =>
    functionTeacher(() => new Float32Array(2), { ...student, embedding });
  expect(given(false)).toMatchObject({ answers: "logits", width: 2 });
  expect(() => given(true)).toThrow("returns logits, not embeddings");
});
