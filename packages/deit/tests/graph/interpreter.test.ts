/** The oracle's own foundations: feeds, and the error function to double precision. */
import { describe, expect, test } from "vitest";
import { erf } from "../../src/graph/erf.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";

describe("evaluate", () => {
  const x = input("x", "float32", [2, 2]);

  test("computes in float64", () => {
    expect(evaluate([ops.add(x, 1e-12)], { x: [1, 2, 3, 4] })[0]?.[0]).toBe(1 + 1e-12);
  });

  test("does not write into its feeds", () => {
    const feed = Float64Array.of(1, 2, 3, 4);
    evaluate([ops.neg(ops.reshape(x, [4])), ops.transpose(x)], { x: feed });
    expect([...feed]).toEqual([1, 2, 3, 4]);
  });

  test("names a missing input, and one of a wrong length", () => {
    expect(() => evaluate([ops.neg(x)])).toThrow(/^input x: got nothing; expected 4$/);
    expect(() => evaluate([ops.neg(x)], { x: [1, 2] })).toThrow(/^input x: got 2 numbers; expected 4$/);
  });
});

describe("erf", () => {
  // Abramowitz and Stegun's table 7.1 and mpmath, 16 digits.
  const table: [x: number, y: number][] = [
    [0, 0],
    [1e-10, 1.1283791670955126e-10],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.5, 0.9995930479825551],
    [3, 0.9999779095030014],
    [3.5, 0.9999992569016276],
    [4, 0.9999999845827421],
    [5, 0.9999999999984626],
    [7, 1],
    [Number.POSITIVE_INFINITY, 1],
  ];
  test.each(table)("of %d and its negative", (x, y) => {
    expect(Math.abs(erf(x) - y)).toBeLessThanOrEqual(2e-15 * Math.max(y, 1e-10));
    expect(erf(-x) + y).toBeCloseTo(0, 14);
  });

  test("joins where its two forms meet, and keeps NaN", () => {
    expect(Math.abs(erf(3 - 1e-12) - erf(3 + 1e-12))).toBeLessThan(1e-14);
    expect(erf(Number.NaN)).toBeNaN();
  });
});
