/**
 * Images whose label is likely wrong: each is classified by a model that never saw its label (cross-validation of a logistic
 * regression on frozen features), and is suspected where another class is clearly more probable than its own. Confident
 * learning (Northcutt, Jiang and Chuang, 2021) with a ratio in place of its thresholds by class: docs/decisions/0027. Pure.
 */
import { fitLogistic, logitsOf } from "../evaluation/logistic-regression.ts";
import type { Rows } from "../evaluation/logistic-regression.ts";
import { createRandom } from "../random.ts";

export interface LabelledFeatures {
  /** [n, width], row-major. */
  readonly data: Float32Array;
  readonly width: number;
  /** [n] */
  readonly labels: Int32Array;
  readonly numClasses: number;
  /** [n]: rows of the same group are never on both sides of a fold. Default: every row by itself. */
  readonly groups?: Int32Array | undefined;
}

/** What held-out answers say of one row. */
export interface LabelVerdict {
  readonly row: number;
  /** The most probable class; the label itself where they agree. */
  readonly suggested: number;
  /** Probability of the suggested class, and of the label. */
  readonly probability: number;
  readonly own: number;
}

export interface LabelCheck {
  /** Rows that were judged: those of classes with at least `MIN_IMAGES` rows. */
  readonly judged: number;
  /** Judged rows whose most probable class is their label. */
  readonly agreeing: number;
  /** All judged rows, the surest error first. */
  readonly ranking: readonly LabelVerdict[];
  /** The first of them, which are called likely errors. */
  readonly suspects: readonly LabelVerdict[];
}

/** L2 penalty of the regression on standardised features; of 0.001 to 0.1 the one that found most planted errors. */
const PENALTY = 3e-2;
/** Largest element of the gradient at which a fit is good enough to tell one class from another. */
const TOLERANCE = 3e-4;
const FOLDS = 5;
/** A label is suspected when another class is so many times as probable. */
const RATIO = 3;
/** Rows of a class that are needed to learn it without one of them. */
export const MIN_IMAGES = 3;

/** @param onFold is told after each of the folds */
export async function findLabelErrors(
  features: LabelledFeatures,
  { onFold = async () => {} }: { onFold?: (done: number, total: number) => Promise<void> } = {},
): Promise<LabelCheck> {
  const { labels, numClasses } = features;
  const counts = new Uint32Array(numClasses);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  const judged = [...labels.keys()].filter((row) => (counts[labels[row] ?? -1] ?? 0) >= MIN_IMAGES);
  const data = standardised(features);
  const fold = foldsOf(features);
  const verdicts: LabelVerdict[] = [];
  for (let f = 0; f < FOLDS; f++) {
    const rows = (take: (row: number) => boolean): Rows & { rows: number[] } =>
      rowsOf(features, data, judged.filter(take));
    const known = rows((row) => fold[row] !== f);
    const asked = rows((row) => fold[row] === f);
    if (known.labels.length > 0 && asked.labels.length > 0) {
      const logits = logitsOf(asked, fitLogistic(known, { l2: PENALTY, tolerance: TOLERANCE }));
      for (const [i, row] of asked.rows.entries())
        verdicts.push(
          verdictOf(row, labels[row] ?? 0, logits.subarray(i * numClasses, (i + 1) * numClasses)),
        );
    }
    await onFold(f + 1, FOLDS);
  }
  const ranking = verdicts.toSorted((a, b) => a.own * b.probability - b.own * a.probability);
  return {
    judged: ranking.length,
    agreeing: ranking.filter(({ row, suggested }) => suggested === labels[row]).length,
    ranking,
    suspects: ranking.filter(({ probability, own }) => probability > RATIO * own),
  };
}

function verdictOf(row: number, label: number, logits: Float64Array): LabelVerdict {
  const max = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - max), 0);
  const suggested = logits.indexOf(max);
  return { row, suggested, probability: 1 / sum, own: Math.exp((logits[label] ?? 0) - max) / sum };
}

function rowsOf(
  { width, labels, numClasses }: LabelledFeatures,
  all: Float64Array,
  rows: number[],
): Rows & { rows: number[] } {
  const data = new Float64Array(rows.length * width);
  for (const [to, from] of rows.entries())
    data.set(all.subarray(from * width, (from + 1) * width), to * width);
  return { data, width, numClasses, labels: Int32Array.from(rows, (row) => labels[row] ?? 0), rows };
}

/** Mean 0 and deviation 1 by feature. */
function standardised({ data, width }: Pick<LabelledFeatures, "data" | "width">): Float64Array {
  const n = data.length / width;
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] = (mean[i % width] ?? 0) + (data[i] ?? 0) / n;
  for (let i = 0; i < data.length; i++)
    variance[i % width] = (variance[i % width] ?? 0) + ((data[i] ?? 0) - (mean[i % width] ?? 0)) ** 2 / n;
  return Float64Array.from(
    data,
    (value, i) => (value - (mean[i % width] ?? 0)) / Math.sqrt((variance[i % width] ?? 0) + 1e-12),
  );
}

/** Fold of each row: groups are dealt out class by class, so that every fold has its part of each; the same every time. */
function foldsOf({ labels, groups }: LabelledFeatures): Uint8Array {
  const n = labels.length;
  const groupOf = (row: number): number => groups?.[row] ?? row;
  const order = [...createRandom(0, "label folds").permutation(n)].toSorted(
    (a, b) => (labels[a] ?? 0) - (labels[b] ?? 0),
  );
  const foldOfGroup = new Map<number, number>();
  for (const row of order)
    if (!foldOfGroup.has(groupOf(row))) foldOfGroup.set(groupOf(row), foldOfGroup.size % FOLDS);
  return Uint8Array.from({ length: n }, (_, row) => foldOfGroup.get(groupOf(row)) ?? 0);
}
