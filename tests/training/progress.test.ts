/** Which epoch's weights are a run's best, and what a saved state says of it. */
import { expect, test } from "vitest";
import { isBetter, progressOf } from "../../src/training/progress.ts";

test("a higher top-1 is better, and of the same top-1 the lower loss", () => {
  const best = { acc1: 90, loss: 0.5 };
  expect(isBetter({ acc1: 0, loss: 9 }, undefined)).toBe(true);
  expect(isBetter({ acc1: 91, loss: 0.9 }, best)).toBe(true);
  expect(isBetter({ acc1: 89, loss: 0.1 }, best)).toBe(false);
  expect(isBetter({ acc1: 90, loss: 0.4 }, best)).toBe(true);
  expect(isBetter({ acc1: 90, loss: 0.5 }, best)).toBe(false);
  expect(isBetter({ acc1: 90, loss: NaN }, best)).toBe(false);
});

test("a state from before losses were kept goes on: the next epoch of the same top-1 is its best", () => {
  const { best } = progressOf({ epoch: 4, best: { epoch: 2, acc1: 90, acc5: 99, weights: "averaged" } });
  expect(best).toMatchObject({ epoch: 2, since: 2, weights: "averaged" });
  expect(isBetter({ acc1: 90, loss: 3 }, best)).toBe(true);
});
