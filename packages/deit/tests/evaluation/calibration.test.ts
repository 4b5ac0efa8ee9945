import { expect, test } from "vitest";
import { calibrate } from "../../src/evaluation/metrics/calibration.ts";
import { createRandom } from "../../src/random.ts";

test("ECE by hand", () => {
  // Two bins, (0, 0.5] and (0.5, 1]: 3 answers, mean 0.4, 1 right; 5 answers, mean 0.8, 3 right.
  const confidence = Float64Array.of(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1);
  const right = [true, false, false, true, true, true, false, false];
  const { ece, overconfidence, bins } = calibrate(confidence, (i) => right[i] === true, { bins: 2 });
  expect(bins).toEqual([
    { from: 0, to: 0.5, count: 3, confidence: expect.closeTo(0.4, 12), accuracy: 1 / 3 },
    { from: 0.5, to: 1, count: 5, confidence: expect.closeTo(0.8, 12), accuracy: 3 / 5 },
  ]);
  expect(ece).toBeCloseTo((3 / 8) * (0.4 - 1 / 3) + (5 / 8) * (0.8 - 0.6), 12);
  expect(overconfidence).toBeCloseTo((1.2 + 4 - 4) / 8, 12);
});

test("errors of two bins do not cancel each other", () => {
  const { ece, overconfidence } = calibrate(Float64Array.of(0.25, 0.75), (i) => i === 0, { bins: 2 });
  expect(ece).toBeCloseTo(0.75, 12);
  expect(overconfidence).toBeCloseTo(0, 12);
});

/**
 * The authors' own code (gpleiss/temperature_scaling, ECELoss), which recording would only copy: bounds
 * linspace(0, 1, 16), an answer in the bin with lower < confidence ≤ upper.
 */
test("ECE of many answers as the authors' code computes it, with 15 bins", () => {
  const random = createRandom(3);
  const confidence = Float64Array.from({ length: 5000 }, () => 0.1 + 0.9 * random.uniform());
  const right = [...confidence].map((value) => random.uniform() < value ** 2);
  let expected = 0;
  for (let m = 0; m < 15; m++) {
    const inBin = [...confidence.keys()].filter((i) => {
      const value = confidence[i] ?? NaN;
      return value > m / 15 && value <= (m + 1) / 15;
    });
    if (inBin.length === 0) continue;
    const mean = (f: (i: number) => number): number => inBin.reduce((sum, i) => sum + f(i), 0) / inBin.length;
    const accuracy = mean((i) => Number(right[i]));
    expected += (Math.abs(accuracy - mean((i) => confidence[i] ?? NaN)) * inBin.length) / 5000;
  }
  const { ece, bins } = calibrate(confidence, (i) => right[i] === true);
  expect(bins).toHaveLength(15);
  expect(ece).toBeCloseTo(expected, 12);
  expect(ece).toBeGreaterThan(0.1);
});

test("a model that is always sure and always right is calibrated; what is not a number is not counted", () => {
  const { ece, bins } = calibrate(Float64Array.of(1, 1, NaN), () => true);
  expect(ece).toBe(0);
  expect(bins.at(-1)).toMatchObject({ count: 2, accuracy: 1, confidence: 1 });
});
