/** Accuracy and loss by hand-made rows and by a slow second way of counting; ties, NaN, padding, few classes. */
import { describe, expect, test } from "vitest";
import { evaluationReport } from "../../src/evaluation/checkpoint-report.ts";
import { DeitError, ShapeError } from "../../src/errors.ts";
import {
  EvaluationMeter,
  jointLogits,
  softmax,
  topPredictions,
} from "../../src/evaluation/metrics/metrics.ts";
import { createRandom } from "../../src/random.ts";

const f32 = (...values: number[]): Float32Array => Float32Array.from(values);
const i32 = (...values: number[]): Int32Array => Int32Array.from(values);

function evaluateRow(logits: number[], label: number) {
  const meter = new EvaluationMeter({ numClasses: logits.length });
  meter.add({ class: f32(...logits) }, i32(label));
  return meter.result();
}

test("agrees with sorting and float64 cross-entropy, batch by batch or at once", () => {
  const random = createRandom(3, "metrics");
  const [images, numClasses] = [101, 12];
  const logits = Float32Array.from({ length: images * numClasses }, () => random.normal(0, 3));
  const labels = Int32Array.from({ length: images }, () => random.integer(numClasses));
  let [top1, top5, loss] = [0, 0, 0];
  for (let row = 0; row < images; row++) {
    const values = [...logits.subarray(row * numClasses, (row + 1) * numClasses)];
    const order = values.map((value, index) => ({ value, index })).toSorted((a, b) => b.value - a.value);
    const place = order.findIndex(({ index }) => index === labels[row]);
    if (place === 0) top1++;
    if (place < 5) top5++;
    loss -= Math.log(
      Math.exp(values[labels[row] ?? 0] ?? 0) / values.reduce((sum, value) => sum + Math.exp(value), 0),
    );
  }
  const expected = { acc1: (100 * top1) / images, acc5: (100 * top5) / images };
  for (const size of [101, 7, 1]) {
    const meter = new EvaluationMeter({ numClasses });
    for (let at = 0; at < images; at += size) {
      meter.add(
        { class: logits.subarray(at * numClasses, (at + size) * numClasses) },
        labels.subarray(at, at + size),
      );
    }
    const result = meter.result();
    expect(result).toMatchObject({ images, ...expected });
    expect(result.loss).toBeCloseTo(loss / images, 10);
    expect(result.heads).toEqual({ class: { acc1: result.acc1, acc5: result.acc5, loss: result.loss } });
  }
});

describe("single rows", () => {
  test("an exact tie counts for the lower index", () => {
    expect(evaluateRow([1, 1, 0], 0).acc1).toBe(100);
    expect(evaluateRow([1, 1, 0], 1).acc1).toBe(0);
    expect(evaluateRow([0, 0, 0, 0, 0, 0, 0], 4).acc5).toBe(100);
    expect(evaluateRow([0, 0, 0, 0, 0, 0, 0], 5).acc5).toBe(0);
  });

  test("NaN never counts as right, wherever it is", () => {
    expect(evaluateRow([NaN, 1, 0], 0).acc1).toBe(0);
    expect(evaluateRow([NaN, 1, 0], 1).acc1).toBe(0);
    expect(evaluateRow([NaN, NaN, NaN, NaN, NaN, 9], 5).acc5).toBe(0);
    expect(evaluateRow([NaN, 1], 1).loss).toBeNaN();
  });

  test("with fewer than 5 classes top-5 is all of them", () => {
    expect(evaluateRow([3, 2, 1], 2)).toMatchObject({ acc1: 0, acc5: 100 });
  });

  test("large logits do not overflow", () => {
    expect(evaluateRow([1e30, 0], 0).loss).toBe(0);
    expect(evaluateRow([3e38, -3e38], 1).loss).toBeGreaterThan(5e38);
    expect(evaluateRow([1000, 1000], 0).loss).toBeCloseTo(Math.log(2), 12);
  });
});

test("padding and unreadable images (label -1) are skipped, rows beyond the labels too", () => {
  const meter = new EvaluationMeter({ numClasses: 2 });
  meter.add({ class: f32(1, 0, 0, 9, NaN, NaN, 5, 5) }, i32(0, -1, -1));
  expect(meter.result()).toMatchObject({ images: 1, acc1: 100 });
  expect(() => new EvaluationMeter({ numClasses: 2 }).result()).toThrow(/no image with a label/);
});

test("heads are counted apart, and joined by logits or by softmax", () => {
  // The class head is sure of 0, the distillation head leans to 1 by more logits but less probability.
  const logits = { class: f32(4, 0, -50), distillation: f32(0, 6, 6.5) };
  const byLogits = new EvaluationMeter({ numClasses: 3 });
  byLogits.add(logits, i32(1));
  const result = byLogits.result();
  expect(result.heads.class.acc1).toBe(0);
  expect(result.heads.distillation?.acc1).toBe(0);
  expect(result.heads.joint?.acc1).toBe(100);
  expect(result.acc1).toBe(100);
  expect(result.loss).toBe(result.heads.joint?.loss);
  const bySoftmax = new EvaluationMeter({ numClasses: 3, joint: "softmax" });
  bySoftmax.add(logits, i32(1));
  const [p, q] = [softmax(logits.class), softmax(logits.distillation)];
  expect(bySoftmax.result().loss).toBeCloseTo(-Math.log(((p[1] ?? 0) + (q[1] ?? 0)) / 2), 6);
  expect(bySoftmax.result().acc1).toBe(0);
});

test("the joint logits are the reference's float32 mean", () => {
  expect([...jointLogits(f32(1, 0.1), f32(2, 0.2))]).toEqual([
    1.5,
    Math.fround(Math.fround(0.1) + Math.fround(0.2)) / 2,
  ]);
  expect(() => jointLogits(f32(1), f32(1, 2))).toThrow(ShapeError);
});

test("wrong shapes, labels and heads are refused", () => {
  const meter = new EvaluationMeter({ numClasses: 3 });
  expect(() => meter.add({ class: f32(1, 2, 3, 4) }, i32(0))).toThrow(ShapeError);
  expect(() => meter.add({ class: f32(1, 2, 3) }, i32(0, 1))).toThrow(ShapeError);
  expect(() => meter.add({ class: f32(1, 2, 3) }, i32(3))).toThrow(DeitError);
  meter.add({ class: f32(1, 2, 3) }, i32(0));
  expect(() => meter.add({ class: f32(1, 2, 3), distillation: f32(1, 2, 3) }, i32(0))).toThrow(/same heads/);
});

test("predictions are sorted, named and scored", () => {
  const predictions = topPredictions(f32(0, 2, 1, 2), { topk: 3, classes: ["cat", "dog"] });
  expect(predictions.map(({ index, label }) => [index, label])).toEqual([
    [1, "dog"],
    [3, "3"],
    [2, "2"],
  ]);
  expect(predictions[0]?.score).toBeCloseTo(Math.exp(2) / (1 + 2 * Math.exp(2) + Math.exp(1)), 12);
  expect(topPredictions(f32(1, 2)).map(({ index }) => index)).toEqual([1, 0]);
  expect(topPredictions(f32(1, NaN, 3, NaN)).map(({ index }) => index)).toEqual([1, 3, 2, 0]);
});

test("the report has the documented keys", () => {
  const meter = new EvaluationMeter({ numClasses: 2 });
  meter.add({ class: f32(1, 0), distillation: f32(0, 1) }, i32(0));
  const report = evaluationReport({ model: "deit_tiny_patch16_224", metrics: meter.result(), seconds: 0.5 });
  expect(Object.keys(report)).toEqual([
    "model",
    "images",
    "acc1",
    "acc5",
    "loss",
    "heads",
    "imagesPerSecond",
  ]);
  expect(Object.keys(report.heads)).toEqual([
    "class",
    "distillation",
    "joint",
    "jointLogits",
    "jointSoftmax",
  ]);
  expect(report.imagesPerSecond).toBe(2);
});
