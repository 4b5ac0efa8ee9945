/** Comparison of a run with the recorded one. */
import { expect } from "vitest";
import type { Tensors } from "../../src/nn/parameters.ts";
import { unpack } from "../helpers/seeded.ts";
import type { RecordedRun } from "./steps.ts";

/** A float32 rounds to 6e-8 of itself; ten steps round a few times each. */
const TOLERANCE = 3e-7;

/** Expects the parameters after every recorded step. */
export function expectParameters(
  states: readonly Record<string, Tensors>[],
  { parameters }: RecordedRun,
): void {
  expect(Object.keys(parameters)).toEqual(["1", "2", "10"]);
  for (const [step, tensors] of Object.entries(parameters)) {
    for (const [name, packed] of Object.entries(tensors)) {
      const expected = unpack(packed);
      const actual = states[Number(step) - 1]?.["W"]?.get(name)?.data ?? new Float32Array();
      expect(actual.length).toBe(expected.length);
      for (const [i, x] of expected.entries()) {
        const difference = Math.abs((actual[i] ?? Number.NaN) - x);
        expect(difference, `${name}[${i}] after step ${step}`).toBeLessThanOrEqual(
          TOLERANCE * Math.max(1, Math.abs(x)),
        );
      }
    }
  }
}
