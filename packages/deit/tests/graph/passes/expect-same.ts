/** A pass keeps values and gradients: the same graph before and after it, in the interpreter. */
import { expect } from "vitest";
import { gradient } from "../../../src/graph/gradient.ts";
import type { Value } from "../../../src/graph/graph.ts";
import { at, inputName, isInput, topologicalOrder } from "../../../src/graph/graph.ts";
import { evaluate } from "../../../src/graph/interpreter.ts";
import { add, mul, sum } from "../../../src/graph/ops.ts";
import type { Pass } from "../../../src/graph/passes/rewrite.ts";
import { sizeOf } from "../../../src/graph/shape.ts";
import { seededTensor } from "../../helpers/seeded.ts";
import { expectClose } from "../compare.ts";

/** What a pass makes of outputs, once their values and all gradients by float inputs are found to be the same. */
export function expectSame(pass: Pass, outputs: readonly Value[]): readonly Value[] {
  const inputs = topologicalOrder(outputs).filter(isInput);
  const feeds = Object.fromEntries(
    inputs.map((node) => [
      inputName(node),
      seededTensor(inputName(node), sizeOf(at(node.outputs, 0).shape), { offset: 0.1, scale: 2 }),
    ]),
  );
  const wrt = inputs.map((node) => at(node.outputs, 0));
  const { outputs: made } = pass(outputs);
  expect(made.map(({ shape }) => shape)).toEqual(outputs.map(({ shape }) => shape));
  const [before, after] = [outputs, made].map((values) => {
    const loss = values.map((value) => sum(mul(value, value))).reduce((a, b) => add(a, b));
    return evaluate([...values, ...gradient(loss, wrt)], feeds);
  });
  for (const [i, expected] of (before ?? []).entries())
    expectClose(after?.[i], expected, { tolerance: 1e-11, name: `result ${i}` });
  return made;
}

/** Names of the operations that values are made of, reshapes left out, sorted. */
export function operations(values: readonly Value[]): string[] {
  return topologicalOrder(values)
    .filter((node) => node.inputs.length > 0 && node.op.name !== "reshape")
    .map(({ op }) => op.name)
    .toSorted();
}
