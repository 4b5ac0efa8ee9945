/**
 * What frozen features are worth: k nearest neighbours and a linear probe, the cheap baselines of every fine-tuning. Their
 * settings (k, the L2 penalty) are chosen by cross-validation on the training images; the others are looked at once.
 */
import {
  DataError,
  createRandom,
  fitLogistic,
  logitsOf,
  openClassifier,
  openDatasets,
} from "deit-ts/internal";
import type {
  DataOptions,
  EvaluateHooks,
  Features,
  OpenClassifierOptions,
  Rows,
  Weights,
} from "deit-ts/internal";

export interface ProbeOptions extends DataOptions, Omit<OpenClassifierOptions, "classes" | "intermediates"> {
  readonly checkpoint: string;
}

export interface ProbeResult {
  readonly model: string;
  readonly inputSize: readonly [number, number];
  /** Images learnt from, and images measured with. */
  readonly trainImages: number;
  readonly images: number;
  /** Percent of the images. */
  readonly knn: { readonly k: number; readonly acc1: number };
  readonly linear: { readonly l2: number; readonly acc1: number; readonly acc5: number };
  /** For the features, and for what is made of them. */
  readonly seconds: { readonly features: number; readonly knn: number; readonly linear: number };
}

const NEIGHBOURS = [1, 3, 5, 10, 20] as const;
/** From strong to weak, so that each fit starts from the one before. */
const PENALTIES = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4] as const;
const FOLDS = 4;

/** @throws DataError when there are no images to measure with; ConfigError for convnets */
export async function probe(
  { checkpoint, ...options }: ProbeOptions,
  hooks: EvaluateHooks = {},
): Promise<ProbeResult> {
  const warn = (message: string): void => hooks.onEvent?.({ type: "warning", message });
  await using classifier = await openClassifier(checkpoint, { ...options, intermediates: true });
  classifier.notes.forEach(warn);
  const { train, validation } = await openDatasets(options, { onNote: warn });
  if (validation === undefined) {
    throw new DataError(options.dataPath ?? "", "there are no images to measure with", {
      code: "data/no-validation",
      hint: "Give a folder with val/, or a --val-split above 0.",
    });
  }
  const start = performance.now();
  const learnt = await classifier.features(train, hooks);
  const asked = await classifier.features(validation, hooks);
  const extracted = performance.now();
  const numClasses = train.classes.length;
  const knn = nearestNeighbours(learnt, asked, numClasses);
  const compared = performance.now();
  const linear = linearProbe(learnt, asked, numClasses);
  const seconds = (from: number, to: number): number => (to - from) / 1000;
  return {
    model: classifier.name,
    inputSize: classifier.inputSize,
    trainImages: learnt.labels.length,
    images: asked.labels.length,
    knn,
    linear,
    seconds: {
      features: seconds(start, extracted),
      knn: seconds(extracted, compared),
      linear: seconds(compared, performance.now()),
    },
  };
}

/** Votes by cosine, each neighbour's with its cosine as weight; k by leaving out one training image at a time. */
export function nearestNeighbours(
  learnt: Features,
  asked: Features,
  numClasses: number,
): { k: number; acc1: number } {
  const known = normalised(learnt);
  const rate = (queries: Float64Array, { labels }: Features, k: number, skipSelf: boolean): number => {
    let right = 0;
    for (const [row, label] of labels.entries()) {
      const query = queries.subarray(row * learnt.width, (row + 1) * learnt.width);
      const nearest = neighboursOf(query, known, { k, skip: skipSelf ? row : -1, width: learnt.width });
      const votes = new Float64Array(numClasses);
      for (const { index, cosine } of nearest) {
        const neighbour = learnt.labels[index] ?? 0;
        votes[neighbour] = (votes[neighbour] ?? 0) + Math.max(0, cosine) + 1e-9;
      }
      if (votes.indexOf(Math.max(...votes)) === label) right++;
    }
    return (100 * right) / labels.length;
  };
  const tried = NEIGHBOURS.filter((k) => k < learnt.labels.length).map((k) => ({
    k,
    acc1: rate(known, learnt, k, true),
  }));
  const [best = { k: 1 }] = tried.toSorted((a, b) => b.acc1 - a.acc1);
  return { k: best.k, acc1: rate(normalised(asked), asked, best.k, false) };
}

/** Logistic regression on standardised features; λ by cross-validation. */
export function linearProbe(
  learnt: Features,
  asked: Features,
  numClasses: number,
): { l2: number; acc1: number; acc5: number } {
  const standardise = standardiser(learnt);
  const rowsOf = (features: Features, take?: (row: number) => boolean): Rows =>
    standardise(features, numClasses, take);
  const fold = foldsOf(learnt.labels.length);
  const right = PENALTIES.map(() => 0);
  for (let f = 0; f < FOLDS; f++) {
    const [some, others] = [
      rowsOf(learnt, (row) => fold[row] !== f),
      rowsOf(learnt, (row) => fold[row] === f),
    ];
    let weights: Weights | undefined;
    for (const [i, l2] of PENALTIES.entries()) {
      weights = fitLogistic(some, { l2, ...(weights && { start: weights }) });
      right[i] = (right[i] ?? 0) + countRight(others, weights, 1);
    }
  }
  const l2 = PENALTIES[right.indexOf(Math.max(...right))] ?? PENALTIES[0];
  const weights = fitLogistic(rowsOf(learnt), { l2 });
  const rows = rowsOf(asked);
  const percent = (k: number): number => (100 * countRight(rows, weights, k)) / rows.labels.length;
  return { l2, acc1: percent(1), acc5: percent(Math.min(5, numClasses)) };
}

function countRight(rows: Rows, weights: Weights, top: number): number {
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

/** Mean 0 and deviation 1 over the training images, by feature. */
function standardiser({
  data,
  width,
  labels,
}: Features): (features: Features, numClasses: number, take?: (row: number) => boolean) => Rows {
  const n = labels.length;
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] = (mean[i % width] ?? 0) + (data[i] ?? 0) / n;
  for (let i = 0; i < data.length; i++)
    deviation[i % width] = (deviation[i % width] ?? 0) + ((data[i] ?? 0) - (mean[i % width] ?? 0)) ** 2 / n;
  const scale = deviation.map((variance) => 1 / Math.sqrt(variance + 1e-12));
  return (features, numClasses, take = () => true) => {
    const rows = [...features.labels.keys()].filter(take);
    const values = new Float64Array(rows.length * width);
    for (const [to, from] of rows.entries()) {
      for (let i = 0; i < width; i++)
        values[to * width + i] = ((features.data[from * width + i] ?? 0) - (mean[i] ?? 0)) * (scale[i] ?? 0);
    }
    return {
      data: values,
      width,
      labels: Int32Array.from(rows, (row) => features.labels[row] ?? 0),
      numClasses,
    };
  };
}

/** Rows of length 1. */
function normalised({ data, width, labels }: Features): Float64Array {
  const unit = Float64Array.from(data);
  for (let row = 0; row < labels.length; row++) {
    const own = unit.subarray(row * width, (row + 1) * width);
    const norm = Math.hypot(...own) || 1;
    for (let i = 0; i < width; i++) own[i] = (own[i] ?? 0) / norm;
  }
  return unit;
}

function neighboursOf(
  query: Float64Array,
  known: Float64Array,
  { k, skip, width }: { k: number; skip: number; width: number },
): { index: number; cosine: number }[] {
  const nearest: { index: number; cosine: number }[] = [];
  for (let index = 0; index < known.length / width; index++) {
    if (index === skip) continue;
    let cosine = 0;
    for (let i = 0; i < width; i++) cosine += (known[index * width + i] as number) * (query[i] as number);
    if (nearest.length === k && cosine <= (nearest[k - 1]?.cosine ?? 0)) continue;
    const at = nearest.findIndex((other) => cosine > other.cosine);
    nearest.splice(at < 0 ? nearest.length : at, 0, { index, cosine });
    if (nearest.length > k) nearest.pop();
  }
  return nearest;
}

/** Fold of each row: parts of equal size, by chance, the same every time. */
function foldsOf(n: number): Uint8Array {
  const order = createRandom(0, "folds").permutation(n);
  const fold = new Uint8Array(n);
  for (const [place, row] of order.entries()) fold[row] = place % FOLDS;
  return fold;
}
