/** Intervals of shares, against what is known of the binomial distribution. */
import { expect, test } from "vitest";
import { differenceInterval, intervalOf, resampleShares } from "../../src/evaluation/metrics/bootstrap.ts";

const first = (n: number): number[] => [...Array(n).keys()];

test("a share's interval is the binomial's, and the seed decides every digit", () => {
  const [shares = new Float64Array()] = resampleShares([first(120)], 400, { resamples: 4000, seed: 1 });
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const deviation = Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length);
  expect(mean).toBeCloseTo(0.3, 2);
  expect(deviation).toBeCloseTo(Math.sqrt((0.3 * 0.7) / 400), 3);
  const { low, high } = intervalOf(shares);
  expect(low).toBeCloseTo(0.3 - 1.96 * Math.sqrt((0.3 * 0.7) / 400), 2);
  expect(high).toBeCloseTo(0.3 + 1.96 * Math.sqrt((0.3 * 0.7) / 400), 2);
  expect(resampleShares([first(120)], 400, { resamples: 50, seed: 7 })).toEqual(
    resampleShares([first(120)], 400, { resamples: 50, seed: 7 }),
  );
  expect(resampleShares([first(120)], 400, { resamples: 50, seed: 8 })).not.toEqual(
    resampleShares([first(120)], 400, { resamples: 50, seed: 7 }),
  );
});

test("differences are paired: what two shares have in common is not chance", () => {
  // the second holds for 10 more images of 1000: alone, each share is uncertain by ±3 points
  const [a = new Float64Array(), b = new Float64Array()] = resampleShares([first(500), first(510)], 1000);
  expect(intervalOf(a).high - intervalOf(a).low).toBeGreaterThan(0.05);
  const { low, high } = differenceInterval(a, b);
  expect(high).toBeLessThan(0);
  expect(low).toBeGreaterThan(-0.02);
});

test("what holds for all or for none is certain", () => {
  const [all = new Float64Array(), none = new Float64Array()] = resampleShares([first(20), []], 20, {
    resamples: 10,
  });
  expect([intervalOf(all), intervalOf(none)]).toEqual([
    { low: 1, high: 1 },
    { low: 0, high: 0 },
  ]);
});

test("quantiles lie between values in proportion", () => {
  expect(intervalOf(Float64Array.from([4, 1, 3, 2, 5]), 0.5)).toEqual({ low: 2, high: 4 });
  expect(intervalOf(Float64Array.from([1, 2]), 0.5)).toEqual({ low: 1.25, high: 1.75 });
});
