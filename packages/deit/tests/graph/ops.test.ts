/**
 * Every operation of cases.ts: the float64 interpreter against equal expressions, gradients against central
 * differences in float64, and the CPU's values and gradients against the interpreter's; those of WebGPU
 * are in ops-webgpu.slow.test.ts.
 */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Target, Value } from "../../src/graph/graph.ts";
import { input, operands } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { lower } from "../../src/graph/passes/lower.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { titleOf } from "./cases/op-case.ts";
import { cases } from "./cases.ts";
import { expectClose } from "./compare.ts";
import { casesOn, expectSameOnDevice, floatsOf, listOf, trace, type Traced } from "./trace-case.ts";

test("no operation is without a case", () => {
  const covered = new Set(cases.map(({ op }) => op));
  expect(Object.keys(ops).filter((name) => !covered.has(name as keyof typeof ops))).toEqual([]);
});

test("no two cases share a title", () => {
  const titles = cases.map(titleOf);
  expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
});

describe("equal expressions", () => {
  const withReference = cases.filter(({ reference }) => reference !== undefined);
  test.each(withReference.map((it) => [titleOf(it), it] as const))("%s", (_, it) => {
    const { inputs, outputs, feeds } = trace(it);
    const expected = evaluate(listOf(it.reference?.(operands(inputs)) ?? []), feeds);
    for (const [i, actual] of evaluate(outputs, feeds).entries())
      expectClose(actual, expected[i], { tolerance: 1e-13 });
  });
});

describe("gradients equal central differences", () => {
  const differentiable = cases.filter((it) => it.gradient === undefined);
  test.each(differentiable.map((it) => [titleOf(it), it] as const))("%s", (_, it) => {
    const { inputs, gradients, feeds, loss } = trace(it);
    if (loss === undefined) throw new Error("a case with a gradient has a loss");
    const analytic = evaluate(gradients, feeds);
    for (const [i, value] of floatsOf(inputs).entries()) {
      expect(gradients[i]?.shape).toEqual(value.shape);
      expectClose(analytic[i], centralDifferences(loss, feeds, `x${inputs.indexOf(value)}`), {
        tolerance: 1e-6,
      });
    }
  });
});

describe("a gradient asked for alone is that of all together", () => {
  const several = cases.filter((it) => it.gradient !== false && floatsOf(it.inputs).length > 1);
  test.each(several.map((it) => [titleOf(it), it] as const))("%s", (_, it) => {
    const { inputs, gradients, feeds, loss } = trace(it);
    const together = evaluate(gradients, feeds);
    for (const [i, value] of floatsOf(inputs).entries()) {
      // By itself, so that lowering sees that nothing else is wanted.
      const [alone] = loss === undefined ? [] : evaluate(gradient(loss, [value]), feeds);
      expectClose(alone, together[i], { tolerance: 1e-12, name: `gradient ${i}` });
    }
  });
});

describe.each<Target>(["cpu", "cpu8", "cpu16", "webgpu"])(
  "lowered for %s, the interpreter gives the same",
  (target) => {
    test.each(cases.map((it) => [titleOf(it), it] as const))("%s", (_, it) => {
      const { outputs, gradients, feeds } = trace(it);
      const expected = evaluate([...outputs, ...gradients], feeds);
      const lowered = evaluate(lower([...outputs, ...gradients], target), feeds);
      for (const [i, actual] of lowered.entries()) expectClose(actual, expected[i], { tolerance: 1e-11 });
    });
  },
);

/** (f(x + h) − f(x − h)) / 2h for each element: the error is of the order of h² and of 1e-16 / h. */
function centralDifferences(loss: Value, feeds: Traced["feeds"], name: string): Float64Array {
  const x = Float64Array.from(feeds[name] ?? []);
  return x.map((value, i) => {
    const h = 1e-5 * Math.max(1, Math.abs(value));
    const [above, below] = [value + h, value - h].map(
      (moved) => evaluate([loss], { ...feeds, [name]: x.with(i, moved) })[0]?.[0] ?? Number.NaN,
    );
    return ((above ?? Number.NaN) - (below ?? Number.NaN)) / (2 * h);
  });
}

describe("the CPU equals the interpreter", () => {
  test.each(casesOn("cpu"))("%s", async (op, group) =>
    expectSameOnDevice(await sharedRuntime("cpu"), op, group),
  );
});

describe("gradients where there is no derivative", () => {
  const kinks: [string, (x: Value) => Value, readonly number[], readonly number[]][] = [
    ["clip passes at its bounds", (x) => ops.clip(x, -1, 1), [-1.5, -1, 0, 1, 1.5], [0, 1, 1, 1, 0]],
    ["relu blocks at 0", ops.relu, [-1, 0, 1], [0, 0, 1]],
    ["abs is flat at 0", ops.abs, [-1, 0, 1], [-1, 0, 1]],
    ["maximum passes to the first", (x) => ops.maximum(x, 0), [-1, 0, 1], [0, 1, 1]],
    ["minimum passes to the first", (x) => ops.minimum(x, 0), [-1, 0, 1], [1, 1, 0]],
    ["equal maxima share", (x) => ops.max(x), [3, 1, 3], [0.5, 0, 0.5]],
  ];
  test.each(kinks)("%s", (_, build, at, expected) => {
    const x = input("x", "float32", [at.length]);
    const [actual] = evaluate(gradient(ops.sum(build(x)), [x]), { x: at });
    expect(Array.from(actual ?? [], Math.abs)).toEqual(expected.map(Math.abs));
    expectClose(actual, Float64Array.from(expected), { tolerance: 0 });
  });
});
