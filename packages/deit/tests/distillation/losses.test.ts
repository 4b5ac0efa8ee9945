/** Distillation losses against PyTorch's (tests/golden/distillation/record.py), with their gradients. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mixTargets } from "../../src/augmentation/mixup.ts";
import type { DistillationOptions } from "../../src/distillation/losses.ts";
import { distillation } from "../../src/distillation/losses.ts";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { compile } from "../../src/graph/program.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";
import { expectClose } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

interface Case extends Pick<DistillationOptions, "head" | "alpha" | "tau" | "trueLabels"> {
  readonly kind: string;
  readonly loss: number;
  readonly classLoss: number;
  readonly distillationLoss: number;
  readonly class: PackedTensor;
  readonly distillation: PackedTensor;
}

const golden: {
  readonly labels: readonly number[];
  readonly classes: number;
  readonly lambda: number;
  readonly smoothing: number;
  readonly cases: readonly Case[];
} = JSON.parse(readFileSync(new URL("../golden/distillation/distillation.json", import.meta.url), "utf8"));

const { labels, classes } = golden;
const shape = [labels.length, classes] as const;
const logits = (name: string, scale: number): Float32Array =>
  seededTensor(name, labels.length * classes, { offset: 0, scale });
const feeds = {
  class: logits("class", 6),
  distillation: logits("distillation", 6),
  teacher: logits("teacher", 12),
  targets: mixTargets(
    smoothTargets(labels, classes, golden.smoothing),
    labels.map(() => ({ lambda: golden.lambda })),
    classes,
  ),
};

/** Losses and both heads' gradients of one case. */
function trace({ kind, ...rest }: Case): Record<string, Value> {
  const [type, reduction = "mean"] = kind.split(" ");
  const options = { ...rest, type, reduction } as DistillationOptions;
  const [byClass, byToken, targets, teacher] = ["class", "distillation", "targets", "teacher"].map((name) =>
    input(name, "float32", shape),
  ) as [Value, Value, Value, Value];
  const heads = { class: byClass, ...(options.head === "token" && { distillation: byToken }) };
  const losses = distillation(options, softTargetCrossEntropy)({ heads, targets, teacher });
  const [classSlope, tokenSlope] = gradient(losses.loss, [byClass, byToken]);
  return { ...losses, classSlope: classSlope ?? byClass, tokenSlope: tokenSlope ?? byToken };
}

const titled = golden.cases.map(
  (recorded) =>
    [`${recorded.kind}, ${recorded.head}, α ${recorded.alpha}, τ ${recorded.tau}`, recorded] as const,
);

describe.each(titled)("%s", (_, recorded) => {
  const expected = [
    [recorded.loss],
    [recorded.classLoss],
    [recorded.distillationLoss],
    unpack(recorded.class),
    unpack(recorded.distillation),
  ];
  const names = ["loss", "class_loss", "distillation_loss", "classSlope", "tokenSlope"];

  test("in the interpreter", () => {
    const traced = trace(recorded);
    const results = evaluate(
      names.map((name) => traced[name] as Value),
      feeds,
    );
    for (const [i, name] of names.entries())
      expectClose(results[i], expected[i] ?? [], { tolerance: 1e-6, name });
  });

  test.each(devices)("in float32 on %s", async (device) => {
    const runtime = await sharedRuntime(device);
    const outputs = trace(recorded);
    const executable = await runtime.load(compile({ name: "distillation", target: runtime.target, outputs }));
    const given = Object.keys(executable.program.inputs).map((name) => [
      name,
      feeds[name as keyof typeof feeds],
    ]);
    const results = await executable.run(Object.fromEntries(given));
    await executable.release();
    for (const [i, name] of names.entries())
      expectClose(Array.from(results[name] ?? [], Number), expected[i] ?? [], { tolerance: 2e-6, name });
  });
});

test("a token's loss wants a token", () => {
  const options = {
    type: "hard",
    alpha: 0.5,
    tau: 1,
    reduction: "mean",
    head: "token",
    trueLabels: 0,
  } as const;
  const x = input("x", "float32", shape);
  expect(() =>
    distillation(options, softTargetCrossEntropy)({ heads: { class: x }, targets: x, teacher: x }),
  ).toThrow("no distillation token");
});
