import { expect, test } from "vitest";
import {
  classResults,
  classScores,
  confusionMatrix,
  macroScores,
  mostConfused,
} from "../../src/evaluation/metrics/confusion-counts.ts";
import { answerOf } from "../../src/evaluation/metrics/metrics.ts";
import { wrongImages } from "../../src/evaluation/metrics/wrong-images.ts";
import { createRandom } from "../../src/random.ts";

//                              cat cat cat cat dog dog  ox
const labels = Int32Array.of(0, 0, 0, 0, 1, 1, 2);
const predicted = Int32Array.of(0, 1, 1, 2, 1, 0, -1);
const pairs = { labels, predicted, numClasses: 4 };

test("the matrix counts labels by row and answers by column; no answer is in no column", () => {
  expect([...confusionMatrix(pairs)]).toEqual([1, 2, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("mistakes by frequency, then by class", () => {
  expect(mostConfused(pairs, 9)).toEqual([
    { label: 0, predicted: 1, count: 2 },
    { label: 0, predicted: 2, count: 1 },
    { label: 1, predicted: 0, count: 1 },
  ]);
  expect(mostConfused(pairs, 1)).toEqual([{ label: 0, predicted: 1, count: 2 }]);
});

test("each class: its images and those recognised", () => {
  expect(classResults(pairs)).toEqual([
    { label: 0, images: 4, right: 1, answered: 2 },
    { label: 1, images: 2, right: 1, answered: 3 },
    { label: 2, images: 1, right: 0, answered: 1 },
    { label: 3, images: 0, right: 0, answered: 0 },
  ]);
});

test("precision, recall and F1: nothing to divide by is null, and counts as 0 in the mean", () => {
  const results = classResults({ ...pairs, predicted: Int32Array.of(0, 1, 1, 3, 1, 0, -1) });
  expect(results.map(classScores)).toEqual([
    { precision: 50, recall: 25, f1: expect.closeTo(100 / 3, 9) },
    { precision: expect.closeTo(100 / 3, 9), recall: 50, f1: 40 },
    { precision: null, recall: 0, f1: 0 }, // never answered
    { precision: 0, recall: null, f1: 0 }, // without images, answered once
  ]);
  expect(classScores({ images: 0, right: 0, answered: 0 })).toEqual({
    precision: null,
    recall: null,
    f1: null,
  });
  // scikit-learn 1.5: precision_recall_fscore_support(labels, predicted, labels=[0, 1, 2], average="macro", zero_division=0)
  expect(macroScores(results)).toEqual({
    classes: 3,
    precision: expect.closeTo((50 + 100 / 3) / 3, 9),
    recall: 25,
    f1: expect.closeTo((100 / 3 + 40) / 3, 9),
    neverAnswered: 1,
  });
});

test("wrong images: the largest loss first, what is not a number before all, ties by place", () => {
  const answers = { labels: Int32Array.of(0, 1, 0, 1, 0), predicted: Int32Array.of(1, 0, 0, -1, 1) };
  const loss = Float64Array.of(2, 3, 9, Number.NaN, 3);
  expect(wrongImages(answers, { ...answers, loss }, 9).map(({ entry }) => entry)).toEqual([3, 1, 4, 0]);
  expect(wrongImages(answers, { ...answers, loss }, 2)).toEqual([
    { entry: 3, loss: Number.NaN },
    { entry: 1, loss: 3 },
  ]);
});

test("table, matrix and classes tell the same of many classes", () => {
  const random = createRandom(7);
  const numClasses = 60;
  const draw = (): Int32Array => Int32Array.from({ length: 4000 }, () => random.integer(numClasses));
  const many = { labels: draw(), predicted: draw(), numClasses };
  const matrix = confusionMatrix(many);
  for (const { label, predicted, count } of mostConfused(many, 10_000))
    expect(matrix[label * numClasses + predicted]).toBe(count);
  for (const { label, images, right } of classResults(many)) {
    const row = matrix.subarray(label * numClasses, (label + 1) * numClasses);
    expect([row.reduce((sum, count) => sum + count, 0), row[label]]).toEqual([images, right]);
  }
});

test("an answer is the first of the largest logits, with its probability and the label's", () => {
  const row = Float32Array.of(0, Math.log(3), Math.log(3), 0);
  const answer = answerOf(row, 3);
  expect(answer).toEqual({
    predicted: 1,
    confidence: expect.closeTo(3 / 8, 6),
    truth: expect.closeTo(1 / 8, 6),
    // two larger ones, and an equal one before it
    rank: 3,
    loss: expect.closeTo(Math.log(8), 6),
  });
  expect(answerOf(Float32Array.of(1000, -1000), 0)).toEqual({
    predicted: 0,
    confidence: 1,
    truth: 1,
    loss: 0,
    rank: 0,
  });
  expect(answerOf(Float32Array.of(NaN, 1), 1)).toEqual({
    predicted: -1,
    confidence: NaN,
    truth: NaN,
    rank: 1,
    loss: NaN,
  });
});
