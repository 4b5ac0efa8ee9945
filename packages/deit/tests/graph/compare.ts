/** What the tests of graphs share: feeding a program from plain numbers, and comparing with the oracle. */
import { expect } from "vitest";
import type { DType, Program } from "../../src/graph/program.ts";
import type { TensorData } from "../../src/runtime/runtime.ts";

/** The feeds that a program wants, in its dtypes. */
export function feedsFor(
  program: Program,
  feeds: Readonly<Record<string, ArrayLike<number>>>,
): Record<string, TensorData> {
  const wanted = Object.entries(program.inputs).filter(([name]) => !(name in program.state));
  return Object.fromEntries(wanted.map(([name, { dtype }]) => [name, typed(feeds[name] ?? [], dtype)]));
}

function typed(data: ArrayLike<number>, dtype: DType): TensorData {
  if (dtype === "int64") return BigInt64Array.from(Array.from(data, BigInt));
  if (dtype === "int32") return Int32Array.from(data);
  if (dtype === "bool" || dtype === "uint8") return Uint8Array.from(data);
  return Float32Array.from(data);
}

/** Expects equal lengths, and differences of at most `tolerance` times the largest expected magnitude. */
export function expectClose(
  actual: ArrayLike<number | bigint> | undefined,
  expected: ArrayLike<number> | undefined,
  { tolerance, name = "values" }: { tolerance: number; name?: string },
): void {
  const [got, wanted] = [Array.from(actual ?? [], Number), Array.from(expected ?? [])];
  expect(got.length, `length of ${name}`).toBe(wanted.length);
  expect(wanted.length, `length of ${name}`).toBeGreaterThan(0);
  const largest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const bound = tolerance * Math.max(largest, 1e-3);
  for (const [i, x] of wanted.entries()) {
    const difference = Math.abs((got[i] ?? Number.NaN) - x);
    // NaN fails too.
    if (!(difference <= bound)) expect.fail(`${name}[${i}] is ${got[i]}, expected ${x} ± ${bound}`);
  }
}
