/** What a batch normalisation by recorded statistics becomes behind a convolution: nothing, when all is frozen. */
import { describe, expect, test } from "vitest";
import type { Target, Value } from "../../src/graph/graph.ts";
import { constant, input, operands, topologicalOrder } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { lower } from "../../src/graph/passes/lower.ts";
import { simplify } from "../../src/graph/passes/simplify.ts";
import { seededTensor } from "../helpers/seeded.ts";
import { expectClose } from "./compare.ts";

const x = input("x", "float32", [2, 4, 5, 5]);
const weight = seededTensor("weight", 6 * 2 * 9, { offset: 0, scale: 1 });
const feeds = { x: seededTensor("x", 200, { offset: 0, scale: 4 }), weight };
const frozen = constant(weight, [6, 2, 3, 3]);
const trained = input("weight", "float32", [6, 2, 3, 3]);

function vector(name: string, offset: number): Value {
  return constant(seededTensor(name, 6, { offset, scale: 1 }), [6]);
}

function normalised(kernel: Value, bias?: Value): Value {
  const y = ops.conv2d(x, kernel, { padding: 1, groups: 2, ...(bias && { bias }) });
  const [gamma, beta] = [vector("gamma", 1), vector("beta", 0)];
  return ops.batchNormInference(y, gamma, beta, vector("mean", 0), vector("variance", 1));
}

describe.each<Target>(["cpu", "webgpu", "portable"])("batch norm behind a convolution, %s", (target) => {
  const compiled = (value: Value): Value => operands(simplify(lower([value], target)))[0];

  test.each([
    ["without a bias", undefined],
    ["with a bias", vector("bias", 0)],
  ])("is one convolution when all weights are constants, %s", (_, bias) => {
    const folded = compiled(normalised(frozen, bias));
    const names = topologicalOrder([folded]).map(({ op }) => op.name);
    expect(names.toSorted()).toEqual(["constant", "constant", "convolution", "input"]);
    const [expected] = evaluate([normalised(trained, bias)], feeds);
    expectClose(evaluate([folded], feeds)[0], expected, { tolerance: 1e-12 });
  });

  test("stays behind one that is trained", () => {
    const nodes = topologicalOrder([compiled(normalised(trained))]);
    expect(nodes.find(({ op }) => op.name === "convolution")?.inputs).toHaveLength(2);
  });
});
