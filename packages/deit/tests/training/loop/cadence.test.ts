/** When a run validates, saves and stops: rules of its options and of where it stands alone. */
import { expect, test } from "vitest";
import type { LoopSettings } from "../../../src/training/loop/cadence.ts";
import {
  isDone,
  isSavedAfter,
  isSavedWithin,
  isValidated,
  stepsTogether,
} from "../../../src/training/loop/cadence.ts";
import { progressOf } from "../../../src/training/loop/run-progress.ts";

const settings = (changes: Partial<LoopSettings> = {}): LoopSettings => ({
  epochs: 10,
  patience: null,
  selectEpoch: "best",
  evalEvery: 1,
  saveEvery: 1,
  saveSteps: null,
  saveMinutes: null,
  ...changes,
});

const bestSince = (since: number): { epoch: number; since: number } => ({ epoch: since, since });

test("patience counts validations, not epochs, and never ends an epoch that has begun", () => {
  const patient = settings({ patience: 2, evalEvery: 3 });
  const at = (epoch: number, step = 0): boolean =>
    isDone(patient, progressOf({ epoch, step, best: bestSince(2) }));
  expect([6, 8, 9].map((epoch) => at(epoch))).toEqual([false, false, true]);
  expect(at(9, 1)).toBe(false);
  expect(isDone(patient, progressOf({ epoch: 9 }))).toBe(false); // nothing was validated yet
  expect(isDone(settings(), progressOf({ epoch: 10, best: bestSince(0) }))).toBe(true);
});

test("the last epoch is validated and saved whatever the cadence", () => {
  const seldom = settings({ evalEvery: 4, saveEvery: 4 });
  const epochs = Array.from({ length: 10 }, (_, epoch) => epoch);
  expect(epochs.filter((epoch) => isValidated(seldom, epoch))).toEqual([3, 7, 9]);
  expect(epochs.filter((epoch) => isSavedAfter(seldom, progressOf({ epoch: epoch + 1 })))).toEqual([3, 7, 9]);
});

test("saves within an epoch go by steps or by time", () => {
  const within = (changes: Partial<LoopSettings>, step: number, sinceSave: number): boolean =>
    isSavedWithin(settings(changes), { step, sinceSave });
  expect(within({}, 6, 1e9)).toBe(false);
  expect([5, 6].map((step) => within({ saveSteps: 3 }, step, 0))).toEqual([false, true]);
  expect([59_999, 60_000].map((ms) => within({ saveMinutes: 1 }, 5, ms))).toEqual([false, true]);
});

test("a group of steps reaches over no save and no end of an epoch", () => {
  const together = (step: number, saveSteps: number | null): number =>
    stepsTogether(settings({ saveSteps }), { step, steps: 10, largest: 4 });
  expect([0, 4, 8].map((step) => together(step, null))).toEqual([4, 4, 2]);
  expect([0, 3, 5].map((step) => together(step, 5))).toEqual([4, 2, 4]);
  expect(stepsTogether(settings(), { step: 0, steps: 10, largest: 1 })).toBe(1);
});
