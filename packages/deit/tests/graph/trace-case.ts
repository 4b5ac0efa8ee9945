/** Graphs of cases, with their gradients, and their run on a device. */
import { expect } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input, operands } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { seededTensor } from "../helpers/seeded.ts";
import { type OpCase, titleOf } from "./cases/op-case.ts";
import { cases } from "./cases.ts";
import { expectClose, feedsFor } from "./compare.ts";

/**
 * Of the largest element: float32 rounds to 6e-8, sums here have up to 60 terms, and WGSL allows exp, tanh and
 * division a few units more.
 */
const DEVICE_TOLERANCE = 4e-6;

export interface Traced {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** Gradients of Σ output · weight by the float inputs. */
  readonly gradients: readonly Value[];
  readonly feeds: Readonly<Record<string, ArrayLike<number>>>;
}

/** A case's graph, with the loss that its gradients are taken of. Names of inputs begin with `prefix`. */
export function trace(
  { inputs: given, build, gradient: differentiate }: OpCase,
  prefix = "",
): Traced & { loss: Value | undefined } {
  const inputs = given.map(({ dtype, shape }, i) => input(`${prefix}x${i}`, dtype, shape));
  const feeds: Record<string, ArrayLike<number>> = Object.fromEntries(
    given.map(({ data }, i) => [`${prefix}x${i}`, data]),
  );
  const outputs = listOf(build(operands(inputs)));
  if (differentiate === false) return { inputs, outputs, gradients: [], feeds, loss: undefined };
  const weighted = outputs.map((value, i) => {
    const name = `${prefix}weight${i}`;
    feeds[name] = seededTensor(`weight ${i}`, sizeOf(value.shape), { offset: 0, scale: 2 });
    return ops.sum(ops.mul(value, input(name, "float32", value.shape)));
  });
  const loss = weighted.reduce((total, term) => ops.add(total, term));
  return { inputs, outputs, gradients: gradient(loss, floatsOf(inputs)), feeds, loss };
}

export function listOf(values: Value | readonly Value[]): readonly Value[] {
  return "node" in values ? [values] : values;
}

export function floatsOf<T extends { readonly dtype: string }>(values: readonly T[]): T[] {
  return values.filter(({ dtype }) => dtype === "float32");
}

/** Cases of a device by operation. */
export function casesOn(device: string): [op: string, cases: OpCase[]][] {
  return [
    ...Map.groupBy(
      cases.filter((it) => it.devices?.includes(device) ?? true),
      ({ op }) => op,
    ),
  ];
}

/**
 * Expects values and gradients of a device to be the interpreter's. The cases are one program: on a software WebGPU a
 * session takes longer than they do.
 */
export async function expectSameOnDevice(
  runtime: Runtime,
  name: string,
  group: readonly OpCase[],
): Promise<void> {
  const traced = group.map((it, i) => ({ it, ...trace(it, `${i} `) }));
  const named = traced.map(({ outputs, gradients }, i) => [
    ...outputs.map((value, k) => [`${i} y${k}`, value] as const),
    ...gradients.map((value, k) => [`${i} gradient${k}`, value] as const),
  ]);
  const program = compile({ name, target: runtime.target, outputs: Object.fromEntries(named.flat()) });
  const executable = await runtime.load(program);
  const feeds = Object.assign({}, ...traced.map((one) => one.feeds)) as Traced["feeds"];
  const results = await executable.run(feedsFor(program, feeds));
  await executable.release();
  for (const [i, { it, outputs, gradients }] of traced.entries()) {
    const expected = evaluate([...outputs, ...gradients], feeds);
    for (const [k, [output, { shape, dtype }]] of (named[i] ?? []).entries()) {
      expect(program.outputs[output]).toEqual({ shape, dtype });
      expectClose(results[output], expected[k], {
        tolerance: it.tolerance ?? DEVICE_TOLERANCE,
        name: `${titleOf(it)}: ${output}`,
      });
    }
  }
}
