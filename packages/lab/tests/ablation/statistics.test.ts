/** Means over seeds and paired differences with their t-intervals. */
import { describe, expect, test } from "vitest";
import type { Measured } from "../../src/ablation/statistics.ts";
import { halfInterval, summarise, tQuantile } from "../../src/ablation/statistics.ts";

const of = (line: string, ...values: number[]): Measured[] =>
  values.map((value, seed) => ({ line, seed, value }));

test.each([
  [1, 12.7062],
  [2, 4.3027],
  [3, 3.1824],
  [4, 2.7764],
  [5, 2.5706],
  [9, 2.2622],
  [10, 2.2281],
  [30, 2.0423],
  [100, 1.984],
])("t of %i degrees of freedom is %d", (freedom, expected) => {
  expect(tQuantile(freedom)).toBeCloseTo(expected, 3);
});

test("the half interval of a mean", () => {
  expect(halfInterval([1, 2, 3])).toBeCloseTo(4.3027 / Math.sqrt(3), 3);
  expect(halfInterval([5, 5])).toBe(0);
  expect(halfInterval([5])).toBeNull();
});

describe("summaries", () => {
  const lines = [
    { name: "base", line: "base", against: undefined },
    { name: "other", line: "other", against: "base" },
    { name: "absent", line: "absent", against: "base" },
  ];

  test("differences are paired by seed: what seeds share does not count", () => {
    const [base, other, ...rest] = summarise(
      [...of("base", 50, 60, 70), ...of("other", 51, 61.5, 70.5)],
      lines,
    );
    expect(rest).toEqual([]);
    expect(base).toMatchObject({ line: "base", mean: 60, deviation: 10, difference: null, seeds: [0, 1, 2] });
    expect(other?.difference).toMatchObject({ against: "base", pairs: 3, mean: 1, found: false });
    expect(other?.difference?.half).toBeCloseTo((4.3027 * 0.5) / Math.sqrt(3), 3);
  });

  test("a difference larger than its interval is found", () => {
    const [, other] = summarise([...of("base", 50, 60, 70), ...of("other", 52, 62.1, 71.9)], lines);
    expect(other?.difference?.found).toBe(true);
  });

  test("only seeds that both have are compared; with one there is no interval", () => {
    const [, other] = summarise([...of("base", 50), ...of("other", 51, 99)], lines);
    expect(other).toMatchObject({ mean: 75, difference: { pairs: 1, mean: 1, half: null, found: false } });
  });

  test("without the baseline there is no difference", () => {
    expect(summarise(of("other", 51), lines)).toEqual([
      { name: "other", line: "other", seeds: [0], mean: 51, half: null, deviation: null, difference: null },
    ]);
  });
});
