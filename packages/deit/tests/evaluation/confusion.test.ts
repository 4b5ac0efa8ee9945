import { expect, test } from "vitest";
import { classResults, confusionMatrix, mostConfused } from "../../src/evaluation/confusion.ts";
import { answerOf } from "../../src/evaluation/metrics.ts";
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

test("each class: its pictures and those recognised", () => {
  expect(classResults(pairs)).toEqual([
    { label: 0, images: 4, right: 1 },
    { label: 1, images: 2, right: 1 },
    { label: 2, images: 1, right: 0 },
    { label: 3, images: 0, right: 0 },
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
  });
  expect(answerOf(Float32Array.of(1000, -1000), 0)).toEqual({
    predicted: 0,
    confidence: 1,
    truth: 1,
    rank: 0,
  });
  expect(answerOf(Float32Array.of(NaN, 1), 1)).toEqual({
    predicted: -1,
    confidence: NaN,
    truth: NaN,
    rank: 1,
  });
});
