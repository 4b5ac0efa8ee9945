/** Neighbours by hand: directions count, lengths do not, and no image is its own neighbour. */
import { expect, test } from "vitest";
import { leaveOneOutAccuracy, nearestNeighbours } from "../../src/evaluation/nearest-neighbours.ts";

/** Rows of two numbers. */
const features = (
  rows: readonly (readonly [number, number])[],
  labels: readonly number[],
): Parameters<typeof leaveOneOutAccuracy>[0] => ({
  data: Float32Array.from(rows.flat()),
  width: 2,
  labels: Int32Array.from(labels),
});

test("leaving one out: each image is named by the others of its direction", () => {
  const near = features(
    [
      [1, 0],
      [9, 1],
      [2, 0.1],
      [0, 1],
      [0.1, 7],
      [0.2, 3],
    ],
    [0, 0, 0, 1, 1, 1],
  );
  expect(leaveOneOutAccuracy(near, 2, 2)).toBe(100);
  const alone = features(
    [
      [1, 0],
      [0, 1],
      [0, 2],
      [0, 3],
    ],
    [0, 1, 1, 1],
  );
  expect(leaveOneOutAccuracy(alone, 2, 1)).toBe(75); // the only one of its class has no neighbour of it
});

test("others are named by what was learnt", () => {
  const learnt = features(
    [
      [1, 0],
      [1, 0.1],
      [0, 1],
      [0.1, 1],
    ],
    [0, 0, 1, 1],
  );
  const asked = features(
    [
      [5, 1],
      [1, 5],
      [1, 5],
    ],
    [0, 1, 0],
  );
  const { acc1 } = nearestNeighbours(learnt, asked, 2);
  expect(acc1).toBeCloseTo(200 / 3, 6);
});
