/**
 * A linear classifier on frozen features: multinomial logistic regression on standardised features, its L2 penalty chosen by
 * cross-validation. A linear probe, and the head that a few images teach in a second.
 */
import { createRandom } from "../random.ts";
import type { Rows, Weights } from "./logistic-regression.ts";
import { fitLogistic, logitsOf } from "./logistic-regression.ts";

/** Features of labelled images. */
export interface LabelledFeatures {
  /** [n, width], row-major. */
  readonly data: Float32Array;
  readonly width: number;
  /** [n], class indices. */
  readonly labels: Int32Array;
}

export interface LinearHead {
  /** [K, width], row-major: logits are `weight · features + bias`. */
  readonly weight: Float32Array;
  /** [K] */
  readonly bias: Float32Array;
  /** The solution on standardised features: where a fit of slightly other images starts from. */
  readonly solution: Weights;
}

/** From strong to weak, so that each fit starts from the one before. */
const PENALTIES = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4] as const;
const FOLDS = 4;

/** Features → rows of mean 0 and deviation 1 over the images that it was made for. */
export type Standardise = (features: LabelledFeatures, take?: (row: number) => boolean) => Rows;

/** @returns the head for features as they are; `start`: the solution of a fit of the same classes and width */
export function fitLinearHead(
  features: LabelledFeatures,
  { numClasses, l2, start }: { numClasses: number; l2: number; start?: Weights | undefined },
): LinearHead {
  const { width } = features;
  const moments = momentsOf(features);
  const { mean, scale } = moments;
  const solution = fitLogistic(standardiserBy(moments, numClasses)(features), {
    l2,
    ...(start && { start }),
  });
  const weight = new Float32Array(numClasses * width);
  const bias = new Float32Array(numClasses);
  for (let k = 0; k < numClasses; k++) {
    let sum = solution[width * numClasses + k] ?? 0;
    for (let i = 0; i < width; i++) {
      const w = (solution[i * numClasses + k] ?? 0) * (scale[i] ?? 0);
      weight[k * width + i] = w;
      sum -= w * (mean[i] ?? 0);
    }
    bias[k] = sum;
  }
  return { weight, bias, solution };
}

/** The penalty of {@link PENALTIES} with most images right in cross-validation; the stronger one on a tie. */
export function choosePenalty(features: LabelledFeatures, { numClasses }: { numClasses: number }): number {
  const standardise = standardiser(features, numClasses);
  const fold = foldsOf(features.labels.length);
  const right = PENALTIES.map(() => 0);
  for (let f = 0; f < FOLDS; f++) {
    const some = standardise(features, (row) => fold[row] !== f);
    const others = standardise(features, (row) => fold[row] === f);
    let weights: Weights | undefined;
    for (const [i, l2] of PENALTIES.entries()) {
      weights = fitLogistic(some, { l2, ...(weights && { start: weights }) });
      right[i] = (right[i] ?? 0) + countRight(others, weights, 1);
    }
  }
  return PENALTIES[right.indexOf(Math.max(...right))] ?? PENALTIES[0];
}

/** Rows whose label is among the `top` highest logits; a tie counts for the lower index. */
export function countRight(rows: Rows, weights: Weights, top: number): number {
  const logits = logitsOf(rows, weights);
  const { labels, numClasses } = rows;
  return labels.reduce((count, label, row) => {
    const own = logits.subarray(row * numClasses, (row + 1) * numClasses);
    const target = own[label] ?? NaN;
    const above = own.reduce(
      (n, logit, k) => n + (logit > target || (logit === target && k < label) ? 1 : 0),
      0,
    );
    return count + (above < top ? 1 : 0);
  }, 0);
}

/** Standardises by the mean and deviation of these images, feature by feature. */
export function standardiser(features: LabelledFeatures, numClasses: number): Standardise {
  return standardiserBy(momentsOf(features), numClasses);
}

function standardiserBy({ mean, scale }: Moments, numClasses: number): Standardise {
  const width = mean.length;
  return ({ data, labels }, take = () => true) => {
    const rows = [...labels.keys()].filter(take);
    const values = new Float64Array(rows.length * width);
    for (const [to, from] of rows.entries()) {
      for (let i = 0; i < width; i++)
        values[to * width + i] = ((data[from * width + i] ?? 0) - (mean[i] ?? 0)) * (scale[i] ?? 0);
    }
    return { data: values, width, labels: Int32Array.from(rows, (row) => labels[row] ?? 0), numClasses };
  };
}

/** Mean, and 1 / deviation, by feature. */
interface Moments {
  readonly mean: Float64Array;
  readonly scale: Float64Array;
}

function momentsOf({ data, width, labels }: LabelledFeatures): Moments {
  const n = labels.length;
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] = (mean[i % width] ?? 0) + (data[i] ?? 0) / n;
  for (let i = 0; i < data.length; i++)
    deviation[i % width] = (deviation[i % width] ?? 0) + ((data[i] ?? 0) - (mean[i % width] ?? 0)) ** 2 / n;
  return { mean, scale: deviation.map((variance) => 1 / Math.sqrt(variance + 1e-12)) };
}

/** Fold of each row: parts of equal size, drawn at random, the same every time. */
function foldsOf(n: number): Uint8Array {
  const order = createRandom(0, "folds").permutation(n);
  const fold = new Uint8Array(n);
  for (const [place, row] of order.entries()) fold[row] = place % FOLDS;
  return fold;
}
