/** What is kept of a pass over images. */
import { expect, test } from "vitest";
import { AnswerSheet, mainAnswers } from "../../src/evaluation/metrics/answer-sheet.ts";

const logits = (...rows: number[][]): Float32Array => Float32Array.from(rows.flat());

test("keeps every head's answers, and leaves out padding and unreadable images", () => {
  const sheet = new AnswerSheet({ numClasses: 3, capacity: 4 });
  sheet.add({
    labels: Int32Array.from([2, -1]),
    samples: Uint32Array.from([5, 0]),
    logits: { class: logits([3, 0, 1], [9, 9, 9]), distillation: logits([0, 0, 4], [9, 9, 9]) },
  });
  sheet.add({
    labels: Int32Array.from([0, 1]),
    samples: Uint32Array.from([6, 7]),
    logits: { class: logits([1, 0, 0], [0, 2, 1]), distillation: logits([2, 0, 0], [0, 0, 1]) },
  });
  const answers = sheet.result();
  expect([...answers.images]).toEqual([5, 6, 7]);
  expect([...answers.labels]).toEqual([2, 0, 1]);
  const { class: own, distillation, joint } = answers.heads;
  expect([...own.predicted]).toEqual([0, 0, 1]);
  expect([...own.rank]).toEqual([1, 0, 0]);
  expect([...(distillation?.predicted ?? [])]).toEqual([2, 0, 2]);
  expect([...(joint?.predicted ?? [])]).toEqual([2, 0, 1]); // sums 3 0 5, 3 0 0, 0 2 2: the lower index on a tie
  expect(mainAnswers(answers)).toBe(joint);
  const e = Math.exp;
  expect(own.confidence[0]).toBeCloseTo(e(3) / (e(3) + 1 + e(1)), 6);
  expect(own.truth[0]).toBeCloseTo(e(1) / (e(3) + 1 + e(1)), 6);
});

test("a model of one head is judged by it; an answer that is not a number is not a class", () => {
  const sheet = new AnswerSheet({ numClasses: 2, capacity: 1 });
  sheet.add({
    labels: Int32Array.from([1]),
    samples: Uint32Array.from([0]),
    logits: { class: logits([Number.NaN, 1]) },
  });
  const answers = sheet.result();
  expect(Object.keys(answers.heads)).toEqual(["class"]);
  expect(mainAnswers(answers)).toMatchObject({
    predicted: Int32Array.from([-1]),
    rank: Int32Array.from([1]),
  });
});
