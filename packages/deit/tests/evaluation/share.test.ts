/** Shares and their intervals: Wilson's, against published values and the definition, and the words around them. */
import { expect, test } from "vitest";
import {
  describeSelection,
  describeShare,
  shareOf,
  shareReport,
  wilsonInterval,
} from "../../src/evaluation/metrics/share.ts";

test.each([
  // Newcombe (1998), Table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
  [81, 263, 0.2553, 0.3662],
  [15, 148, 0.0624, 0.1605],
  [0, 20, 0, 0.1611],
  [1, 29, 0.0061, 0.1718],
])("%d of %d", (correct, images, low, high) => {
  const interval = wilsonInterval({ correct, images });
  expect(interval.low).toBeCloseTo(low, 4);
  expect(interval.high).toBeCloseTo(high, 4);
  const mirrored = wilsonInterval({ correct: images - correct, images });
  expect(mirrored.low).toBeCloseTo(1 - high, 4);
});

test("the bounds are the shares from which the count is 1.96 deviations away", () => {
  for (const [correct, images] of [
    [10, 11],
    [22, 23],
    [517, 1000],
  ] as const) {
    const { low, high } = wilsonInterval({ correct, images });
    for (const bound of [low, high])
      expect(Math.abs(correct / images - bound) / Math.sqrt((bound * (1 - bound)) / images)).toBeCloseTo(
        1.96,
        3,
      );
  }
});

test("all of few images are not certain, none at all say nothing", () => {
  expect(shareReport({ correct: 23, images: 23 }).interval[0]).toBeCloseTo(85.7, 1);
  expect(shareReport({ correct: 23, images: 23 }).interval[1]).toBe(100);
  expect(wilsonInterval({ correct: 0, images: 0 })).toEqual({ low: 0, high: 1 });
});

test("in words", () => {
  expect(describeShare(shareOf(90.909, 11))).toBe("90.91 % (10 of 11; 95 % interval 62.3 to 98.4 %)");
  expect(describeSelection({ rule: "best", epochs: 95, heldOut: 11 })).toBe(
    "best of 95 epochs, chosen on these images: expect less on new ones",
  );
  expect(describeSelection({ rule: "last", epochs: 95, heldOut: 11 })).toContain("last of 95 epochs");
  expect(describeSelection({ rule: "best", epochs: 1, heldOut: 11 })).toBeUndefined();
  expect(describeSelection({ rule: "best", epochs: 95, heldOut: 0 })).toBeUndefined(); // nothing was held out
});
