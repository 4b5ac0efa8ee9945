/** Schedules against timm's recorded rates (regenerate: python tests/golden/schedule/record.py) and by hand. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  constantSchedule,
  cosineByEpoch,
  cosineByStep,
  scaleLearningRate,
  stepDecayByEpoch,
} from "../../src/optim/schedule.ts";
import type { CosineOptions, StepDecayOptions } from "../../src/optim/schedule.ts";

type Recorded = { epochs: number; rates: number[] } & (
  | { kind: "cosine"; options: CosineOptions }
  | { kind: "step"; options: StepDecayOptions }
);
const golden = JSON.parse(readFileSync(new URL("../golden/schedule/timm.json", import.meta.url), "utf8")) as {
  runs: Recorded[];
};

describe("per epoch, as the reference trains", () => {
  test.each(golden.runs)("every epoch as timm: $kind $options", (run) => {
    const schedule = run.kind === "cosine" ? cosineByEpoch(run.options) : stepDecayByEpoch(run.options);
    expect(run.rates).toHaveLength(run.epochs);
    for (const [epoch, rate] of run.rates.entries()) {
      const difference = Math.abs(schedule(epoch, 0) - rate) / rate;
      expect(difference, `epoch ${epoch}: ${schedule(epoch, 0)} for ${rate}`).toBeLessThan(1e-13);
    }
  });

  test.each([
    [0, "1.0000e-6"],
    [1, "1.0000e-6"],
    [2, "2.0080e-4"],
    [3, "4.0060e-4"],
    [4, "6.0040e-4"],
    [5, "8.0020e-4"],
    [6, "9.9932e-4"],
    [50, "9.3625e-4"],
    [100, "7.5698e-4"],
    [150, "5.1018e-4"],
    [200, "2.6200e-4"],
    [250, "7.8933e-5"],
    [299, "1.0109e-5"],
  ])("DeiT's own run (lr 1e-3, 300 epochs): epoch %i trains with %s", (epoch, rate) => {
    expect(cosineByEpoch({ lr: 1e-3, epochs: 300 })(epoch, 7).toExponential(4)).toBe(rate);
  });

  test("past the end the rate stays at the minimum", () => {
    expect(cosineByEpoch({ lr: 1e-3, epochs: 300 })(301, 0)).toBe(1e-5);
  });
});

describe("per step", () => {
  const schedule = cosineByStep({ lr: 1e-3, epochs: 20, stepsPerEpoch: 10 });

  test("warms up by the step, reaches the peak, ends at the minimum", () => {
    expect(schedule(0, 0)).toBe(1e-6);
    expect(schedule(0, 1)).toBeCloseTo(1e-6 + (1e-3 - 1e-6) / 50, 12);
    expect(schedule(5, 0)).toBe(1e-3);
    expect(schedule(12, 5)).toBeCloseTo((1e-3 + 1e-5) / 2, 12);
    expect(schedule(19, 9)).toBeGreaterThan(1e-5);
    expect(schedule(20, 0)).toBe(1e-5);
  });

  test("falls at every step after the warm-up", () => {
    for (let step = 51; step < 200; step++) {
      expect(schedule(Math.floor(step / 10), step % 10)).toBeLessThan(
        schedule(Math.floor((step - 1) / 10), (step - 1) % 10),
      );
    }
  });

  test("over the whole run it is the reference's curve without the lag", () => {
    const whole = cosineByStep({ lr: 1e-3, epochs: 20, stepsPerEpoch: 10, span: "whole" });
    const byEpoch = cosineByEpoch({ lr: 1e-3, epochs: 20 });
    for (let epoch = 0; epoch < 20; epoch++) expect(whole(epoch, 0)).toBe(byEpoch(epoch + 1, 0));
  });

  test("a run that is all warm-up, and one without", () => {
    expect(
      cosineByStep({ lr: 1, epochs: 2, warmupEpochs: 5, warmupLr: 0, stepsPerEpoch: 4 })(1, 3),
    ).toBeCloseTo(0.35, 12);
    expect(cosineByStep({ lr: 1, epochs: 2, warmupEpochs: 0, stepsPerEpoch: 4 })(0, 0)).toBe(1);
  });
});

test("only the peak is scaled with the batch", () => {
  expect(scaleLearningRate(5e-4, 1024)).toBe(1e-3);
  expect(scaleLearningRate(5e-4, 64)).toBe(6.25e-5);
  expect(constantSchedule(0.1)(3, 4)).toBe(0.1);
});
