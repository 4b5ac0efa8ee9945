/** Targets and losses of classification. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { mixTargets } from "../../src/augmentation/mixup.ts";
import { classification } from "../../src/training/task.ts";
import { binarise, smoothTargets } from "../../src/training/loop/step-feeds.ts";
import { compile } from "../../src/graph/program.ts";
import { binaryCrossEntropy, softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { expectClose } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

const [B, K] = [3, 4];
const logits = input("logits", "float32", [B, K]);
const targets = input("targets", "float32", [B, K]);
const z = seededTensor("logits", B * K, { offset: 0, scale: 6 });

/** log softmax of a row, the plain way. */
function logProbabilities(row: number): number[] {
  const values = [...z.subarray(row * K, (row + 1) * K)];
  const total = Math.log(values.reduce((sum, x) => sum + Math.exp(x), 0));
  return values.map((x) => x - total);
}

describe("smoothTargets", () => {
  test("is ε/K everywhere, and 1 − ε + ε/K at the label", () => {
    const row = smoothTargets([2], 1000, 0.1);
    expect(row[2]).toBe(Math.fround(0.9001));
    expect(row[0]).toBe(Math.fround(0.0001));
    expect(row.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 5);
  });

  test("is one-hot without smoothing", () => {
    expect([...smoothTargets(Int32Array.of(1, 0), 3, 0)]).toEqual([0, 1, 0, 1, 0, 0]);
  });

  test("is all 0 for rows of padding", () => {
    expect([...smoothTargets([-1, 1], 2, 0.1)]).toEqual([0, 0, ...Float32Array.of(0.05, 0.95)]);
  });
});

describe("softTargetCrossEntropy", () => {
  test("equals cross-entropy with label smoothing", () => {
    const labels = [1, 3, 0];
    const smoothing = 0.1;
    const [loss] = evaluate([softTargetCrossEntropy(logits, targets)], {
      logits: z,
      targets: smoothTargets(labels, K, smoothing),
    });
    const rows = labels.map((label, row) => {
      const logP = logProbabilities(row);
      return (
        -(1 - smoothing) * (logP[label] ?? Number.NaN) - (smoothing * logP.reduce((sum, x) => sum + x, 0)) / K
      );
    });
    expectClose(loss, [rows.reduce((sum, x) => sum + x, 0) / B], { tolerance: 1e-7 });
  });

  test("has the gradient (softmax − target) / B", () => {
    const given = smoothTargets([1, 3, 0], K, 0.1);
    const loss = softTargetCrossEntropy(logits, targets);
    const [actual] = evaluate(gradient(loss, [logits]), { logits: z, targets: given });
    const expected = Array.from(
      z,
      (_, i) =>
        (Math.exp(logProbabilities(Math.floor(i / K))[i % K] ?? Number.NaN) - (given[i] ?? Number.NaN)) / B,
    );
    expectClose(actual, expected, { tolerance: 1e-6 }); // the targets' float32 sums are not quite 1
  });

  test("is 0 for a row of padding, which counts in the mean all the same", () => {
    const [[padded = 0] = [], [alone = 0] = []] = [[1, -1, -1], [1]].map((labels) => {
      const rows = labels.length;
      const loss = softTargetCrossEntropy(
        input("logits", "float32", [rows, K]),
        input("targets", "float32", [rows, K]),
      );
      return [
        ...(evaluate([loss], { logits: z.subarray(0, rows * K), targets: smoothTargets(labels, K, 0) })[0] ??
          []),
      ];
    });
    expect(padded * 3).toBeCloseTo(alone, 12);
  });

  test("stands logits that differ by hundreds", () => {
    const far = Float32Array.of(500, 0, -500, 0, 500, 0, -500, 0, 500, 0, -500, 0);
    const [loss] = evaluate([softTargetCrossEntropy(logits, targets)], {
      logits: far,
      targets: smoothTargets([0, 0, 0], K, 0),
    });
    expect(loss?.[0]).toBeCloseTo(0, 12);
  });
});

test("classification trains the class head alone", () => {
  const distillation = input("distillation", "float32", [B, K]);
  const losses = classification(softTargetCrossEntropy)({ heads: { class: logits, distillation }, targets });
  expect(Object.keys(losses)).toEqual(["loss"]);
  const feeds = { logits: z, targets: smoothTargets([1, 3, 0], K, 0), distillation: z };
  const [byDistillation] = evaluate(gradient(losses.loss, [distillation]), feeds);
  expect(new Set(byDistillation)).toEqual(new Set([0]));
  expect(evaluate([losses.loss], feeds)).toEqual(evaluate([softTargetCrossEntropy(logits, targets)], feeds));
});

describe("binaryCrossEntropy equals PyTorch's (tests/golden/bce/record.py)", () => {
  interface Recorded {
    readonly targets: PackedTensor;
    readonly loss: number;
    readonly gradient: PackedTensor;
  }
  const file = new URL("../golden/bce/bce.json", import.meta.url);
  const golden: {
    readonly labels: readonly number[];
    readonly classes: number;
    readonly lambda: number;
    readonly extreme: readonly number[];
  } & Record<"soft" | "binary", Recorded> = JSON.parse(readFileSync(file, "utf8"));
  const { labels, classes, lambda, extreme } = golden;
  const shape = [labels.length, classes] as const;
  const values = seededTensor("logits", labels.length * classes, { offset: 0, scale: 12 });
  values.set(extreme, values.length - classes);
  const mixes = labels.map(() => ({ lambda }));
  const soft = mixTargets(smoothTargets(labels, classes, 0), mixes, classes);
  const given = { soft, binary: binarise(soft) };
  const trace = (): { loss: ReturnType<typeof input>; slope: ReturnType<typeof input> } => {
    const x = input("logits", "float32", shape);
    const loss = binaryCrossEntropy(x, input("targets", "float32", shape));
    return { loss, slope: gradient(loss, [x])[0] ?? x };
  };

  test.each(["soft", "binary"] as const)("in the interpreter, targets %s", (name) => {
    const { targets: recorded, loss, gradient: slopes } = golden[name];
    expectClose(given[name], unpack(recorded), { tolerance: 1e-7, name: "targets" });
    const { loss: ours, slope } = trace();
    const results = evaluate([ours, slope], { logits: values, targets: unpack(recorded) });
    expectClose(results[0], [loss], { tolerance: 1e-7, name: "loss" });
    expectClose(results[1], unpack(slopes), { tolerance: 1e-6, name: "gradient" });
  });

  test.each(devices)("in float32 on %s", async (device) => {
    const runtime = await sharedRuntime(device);
    const executable = await runtime.load(
      compile({ name: "bce", target: runtime.target, outputs: trace(), state: {} }),
    );
    const { loss, slope } = await executable.run({ logits: values, targets: given.binary });
    await executable.release();
    const expected = unpack(golden.binary.gradient);
    expectClose(Array.from(loss ?? [], Number), [golden.binary.loss], { tolerance: 1e-6 });
    expectClose(Array.from(slope ?? [], Number), expected, { tolerance: 2e-6 });
  });

  test("binarised targets are 1 wherever a label has a part", () => {
    expect([...binarise(Float32Array.of(0, 1e-6, 0.3, 1))]).toEqual([0, 1, 1, 1]);
  });

  test("as a task it trains the class head alone", () => {
    const x = input("logits", "float32", shape);
    const distillation = input("distillation", "float32", shape);
    const losses = classification(binaryCrossEntropy)({
      heads: { class: x, distillation },
      targets: input("targets", "float32", shape),
    });
    expect(Object.keys(losses)).toEqual(["loss"]);
    const [slope] = evaluate(gradient(losses.loss, [distillation]), {
      logits: values,
      targets: soft,
      distillation: values,
    });
    expect(new Set(slope)).toEqual(new Set([0]));
  });
});
