/** The loss scale against torch.amp.GradScaler, recorded by tests/golden/loss-scale/record.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { input, scalar } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { mul, reshape, select, slice } from "../../src/graph/ops.ts";
import { globalNorm } from "../../src/optim/clip.ts";
import { isFiniteNorm, scaleOf, withLossScale } from "../../src/optim/loss-scale.ts";
import { sgd } from "../../src/optim/sgd.ts";
import { expectClose } from "../graph/compare.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

const file = new URL("../golden/loss-scale/loss-scale.json", import.meta.url);
const golden: {
  length: number;
  learningRate: number;
  interval: number;
  infinite: readonly number[];
  nan: readonly number[];
  scales: readonly number[];
  weight: PackedTensor;
} = JSON.parse(readFileSync(file, "utf8"));

describe("the loss scale", () => {
  test("goes PyTorch's way, and updates that overflow change nothing", () => {
    const { length, interval, infinite, nan, learningRate } = golden;
    const optimizer = withLossScale(sgd({ weightDecay: 0 }), { interval });
    const group = { name: "decay", decay: true, lrScale: 1 };
    const hyper = optimizer.hyper(1, learningRate, group);
    const state = input("state", "float32", [3]);
    const [weight, momentum] = [input("w", "float32", [length]), input("m", "float32", [length])];
    const grad = mul(input("grad", "float32", [length]), reshape(slice(state, { axis: 0, end: 1 }), []));
    const unscaled = mul(grad, input("inverse", "float32", []));
    const isFinite = isFiniteNorm(globalNorm([unscaled]));
    const updated = optimizer.update({
      weight,
      grad: unscaled,
      slots: [momentum],
      hyper: hyper.map(scalar),
      vector: { group, segments: [] },
    });
    const next = optimizer.lossScale?.next(state, isFinite) ?? state;
    const values = [
      next,
      select(isFinite, updated.weight, weight),
      select(isFinite, updated.slots[0] ?? momentum, momentum),
      scaleOf(next),
    ];
    let scaling: ArrayLike<number> = optimizer.lossScale?.start ?? [];
    let w: ArrayLike<number> = seededTensor("w", length, { offset: 0, scale: 2 });
    let m: ArrayLike<number> = new Float32Array(length);
    for (const [t, expected] of golden.scales.entries()) {
      const gradient = Float64Array.from(seededTensor(`w.grad.${t}`, length, { offset: 0, scale: 1 }));
      if (infinite.includes(t)) gradient[2] = Number.POSITIVE_INFINITY;
      if (nan.includes(t)) gradient[3] = Number.NaN;
      const inverse = [1 / Number(scaling[0])];
      const results = evaluate(values, { state: scaling, w, m, grad: gradient, inverse });
      const [nextState = [], nextW = [], nextM = [], scale = []] = results;
      expect(scale[0], `scale after step ${t}`).toBe(expected);
      [scaling, w, m] = [nextState, nextW, nextM];
    }
    expectClose(w, unpack(golden.weight), { tolerance: 1e-6 });
    expect(scaling[2], "skipped").toBe(infinite.length + nan.length);
  });

  test("is never doubled beyond float32, and starts as PyTorch's", () => {
    const { lossScale } = withLossScale(sgd());
    const state = input("state", "float32", [3]);
    const next = lossScale?.next(state, isFiniteNorm(scalar(1))) ?? state;
    expect(lossScale?.start).toEqual([65536, 0, 0]);
    expect(Array.from(evaluate([next], { state: [65536, 1998, 7] })[0] ?? [])).toEqual([65536, 1999, 7]);
    expect(Array.from(evaluate([next], { state: [65536, 1999, 7] })[0] ?? [])).toEqual([131072, 0, 7]);
    expect(Array.from(evaluate([next], { state: [2 ** 127, 1999, 7] })[0] ?? [])).toEqual([2 ** 127, 0, 7]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("a norm of %s is not finite", (norm) => {
    const value = input("norm", "float32", []);
    expect(evaluate([isFiniteNorm(value)], { norm: [norm] })[0]?.[0]).toBe(0);
    expect(evaluate([isFiniteNorm(value)], { norm: [1e30] })[0]?.[0]).toBe(1);
  });
});
