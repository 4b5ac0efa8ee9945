/** Lowering and simplification keep every value, and leave out what is not needed. */
import { beforeAll, describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Target, Value } from "../../src/graph/graph.ts";
import { constant, input, topologicalOrder } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { lower } from "../../src/graph/passes/lower.ts";
import { simplify } from "../../src/graph/passes/simplify.ts";
import { compile } from "../../src/graph/program.ts";
import { createRandom } from "../../src/random.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { expectClose, feedsFor } from "./compare.ts";
import { danglingNames, graphOf, operatorsOf, repeatedNodes } from "./parse.ts";
import { randomGraph } from "./random-graph.ts";

const TARGETS: readonly Target[] = ["cpu", "webgpu", "portable"];

function operators(value: Value, target: Target = "cpu"): string[] {
  return operatorsOf(compile({ name: "test", target, outputs: { y: value } }));
}

describe("random graphs keep their values", () => {
  test.each(TARGETS)("for %s", (target) => {
    for (let seed = 0; seed < 60; seed++) {
      const { outputs, feeds } = randomGraph(createRandom(seed), 25);
      const expected = evaluate(outputs, feeds);
      const simpler = simplify(lower(simplify(outputs), target));
      for (const [i, actual] of evaluate(simpler, feeds).entries()) {
        expect(simpler[i]?.shape).toEqual(outputs[i]?.shape);
        expectClose(actual, expected[i], { tolerance: 1e-12, name: `output ${i} of seed ${seed}` });
      }
    }
  });

  test("and never grow by simplification", () => {
    for (let seed = 0; seed < 60; seed++) {
      const lowered = lower(randomGraph(createRandom(seed), 25).outputs, "cpu");
      const before = topologicalOrder(lowered).length;
      expect(topologicalOrder(simplify(lowered)).length).toBeLessThanOrEqual(before);
    }
  });

  test("with gradients", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { outputs, feeds } = randomGraph(createRandom(seed, "gradient"), 12);
      const inputs = topologicalOrder(outputs).flatMap(({ inputs, outputs: made }) =>
        inputs.length === 0 && "name" in (made[0]?.node.attributes ?? {}) ? made : [],
      );
      const loss = outputs.map((value) => ops.sum(ops.mul(value, value))).reduce((a, b) => ops.add(a, b));
      const grads = gradient(loss, inputs);
      const expected = evaluate(grads, feeds);
      for (const target of TARGETS) {
        for (const [i, actual] of evaluate(simplify(lower(simplify(grads), target)), feeds).entries()) {
          expectClose(actual, expected[i], { tolerance: 1e-9, name: `gradient ${i} of seed ${seed}` });
        }
      }
    }
  });
});

describe.each(devices)("random graphs on %s", (device) => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await sharedRuntime(device);
  });

  test("equal the interpreter", async () => {
    for (let seed = 100; seed < 112; seed++) {
      const { outputs, feeds } = randomGraph(createRandom(seed), 20);
      const named = Object.fromEntries(outputs.map((value, i) => [`y${i}`, value]));
      const program = compile({ name: `seed ${seed}`, target: runtime.target, outputs: named });
      expect(danglingNames(graphOf(program))).toEqual([]);
      expect(repeatedNodes(graphOf(program))).toEqual([]);
      const executable = await runtime.load(program);
      const results = await executable.run(feedsFor(program, feeds));
      await executable.release();
      for (const [i, expected] of evaluate(outputs, feeds).entries()) {
        // Twenty steps of float32, normalisations among them.
        expectClose(results[`y${i}`], expected, { tolerance: 1e-4, name: `output ${i} of seed ${seed}` });
      }
    }
  });
});

describe("simplification", () => {
  const x = input("x", "float32", [2, 3]);
  const one = constant(Float32Array.of(1), [1, 1, 1]);

  test.each<[string, Value, readonly string[]]>([
    ["x + 0", ops.add(x, 0), []],
    ["0 + x", ops.add(0, x), []],
    ["x − 0", ops.sub(x, 0), []],
    ["0 − x stays", ops.sub(0, x), ["Sub"]],
    ["1 · x", ops.mul(1, x), []],
    ["x / 1", ops.div(x, 1), []],
    ["1 / x stays", ops.div(1, x), ["Div"]],
    ["x · [[[1]]] keeps the result's rank", ops.mul(x, one), ["Expand"]],
    ["x · a tensor of ones", ops.mul(x, ops.full([2, 3], 1)), []],
    ["x + a larger tensor of zeros", ops.add(x, ops.full([4, 2, 3], 0)), ["Expand"]],
    ["reshapes join", ops.reshape(ops.reshape(x, [6]), [3, 2]), ["Reshape"]],
    ["reshapes back and forth", ops.reshape(ops.reshape(x, [6]), [2, 3]), []],
    [
      "transposes join",
      ops.transpose(ops.transpose(ops.reshape(x, [1, 2, 3]), [2, 0, 1]), [2, 1, 0]),
      ["Reshape", "Transpose"],
    ],
    ["transposes back and forth", ops.transpose(ops.transpose(x)), []],
    ["a slice of everything", ops.slice(x, { axis: 1, start: 0, end: 3 }), []],
    ["padding of nothing", ops.pad(x, { axis: 1 }), []],
    ["equal expressions", ops.add(ops.exp(x), ops.exp(ops.add(x, 0))), ["Exp", "Add"]],
    [
      "equal small constants",
      ops.mul(ops.add(x, 2), ops.add(x, constant(Float32Array.of(2), []))),
      ["Add", "Mul"],
    ],
    [
      "equal uniform constants of any size",
      ops.add(ops.mul(x, filled(2)), ops.mul(x, filled(2))),
      ["Mul", "Add"],
    ],
    ["constants fold", ops.add(x, ops.exp(ops.mul(constant(Float32Array.of(1, 2, 3)), 2))), ["Add"]],
    [
      "integers and conditions fold",
      ops.mul(x, ops.oneHot(constant(Int32Array.of(1, 0), [2], "int32"), 3)),
      ["Mul"],
    ],
    ["an expanded constant stays small", ops.add(x, ops.full([2, 3], 5)), ["Expand", "Add"]],
  ])("%s", (_, value, expected) => {
    expect(operators(value)).toEqual(expected);
  });

  test("keeps apart what only looks equal", () => {
    const low = ops.pad(x, { axis: 0, after: 1, value: Number.NEGATIVE_INFINITY });
    const high = ops.pad(x, { axis: 0, after: 1, value: Number.POSITIVE_INFINITY });
    const [a, b] = simplify([low, high]);
    expect(a).not.toBe(b);
    const integers = ops.cast(constant(Int32Array.of(1), [1], "int32"), "float32");
    const sum = ops.add(
      ops.mul(x, constant(Float32Array.of(1, 2), [2, 1])),
      constant(Float32Array.of(1, 2, 0)),
    );
    const feeds = { x: [1, 2, 3, 4, 5, 6] };
    expect(evaluate(simplify([sum, integers]), feeds)).toEqual(evaluate([sum, integers], feeds));
  });

  test("leaves out what no output depends on", () => {
    const unused = ops.exp(input("unused", "float32", [2]));
    expect(unused.shape).toEqual([2]);
    const program = compile({ name: "test", target: "cpu", outputs: { y: ops.neg(x) } });
    expect(Object.keys(program.inputs)).toEqual(["x"]);
    expect(operatorsOf(program)).toEqual(["Neg"]);
  });

  test("leaves out inputs whose terms vanish", () => {
    const vanishing = ops.slice(ops.concat([x, input("z", "float32", [2, 3])], 0), { axis: 0, end: 4 });
    expect(Object.keys(compile({ name: "test", target: "cpu", outputs: { y: vanishing } }).inputs)).toEqual([
      "x",
      "z",
    ]);
    const zeros = gradient(ops.sum(x), [input("z", "float32", [2])]);
    expect(
      Object.keys(
        compile({ name: "test", target: "cpu", outputs: { y: ops.add(ops.sum(x), ops.sum(zeros[0] ?? x)) } })
          .inputs,
      ),
    ).toEqual(["x"]);
  });
});

function filled(value: number): Value {
  return constant(new Float32Array(300).fill(value), [50, 2, 3]);
}

describe("lowering", () => {
  const q = input("q", "float32", [4, 2, 6]);
  const weights = {
    weight1: input("w1", "float32", [8, 6]),
    bias1: input("b1", "float32", [8]),
    weight2: input("w2", "float32", [6, 8]),
    bias2: input("b2", "float32", [6]),
  };

  test("writes plain ONNX for deployment", () => {
    const { attended } = ops.attention({ q, k: q, v: q }, { numHeads: 3 });
    const y = ops.layerNorm(ops.geluMlp(attended, weights), weights.bias2, weights.bias2);
    const program = compile({ name: "test", target: "portable", outputs: { y } });
    expect(graphOf(program).node.map(({ domain }) => domain)).not.toContain("com.microsoft");
    expect(operatorsOf(program)).toEqual(expect.arrayContaining(["Gelu", "LayerNormalization", "Softmax"]));
  });

  test("an evaluation carries nothing for a gradient", () => {
    const y = ops.geluMlp(q, weights);
    const forward = operators(y);
    expect(forward).not.toContain("Exp");
    expect(
      operatorsOf(
        compile({ name: "test", target: "cpu", outputs: { y, g: gradient(ops.sum(y), [q])[0] ?? y } }),
      ),
    ).toContain("Exp");
  });

  test("is the same graph when there is nothing to lower", () => {
    const y = ops.exp(q);
    expect(lower([y], "cpu")[0]).toBe(y);
  });
});
