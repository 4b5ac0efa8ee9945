/**
 * What frozen features are worth: k nearest neighbours and a linear probe, the cheap baselines of every fine-tuning. Their
 * settings (k, the L2 penalty) are chosen by cross-validation on the training images; the others are looked at once.
 */
import { DataError, openClassifier } from "deit-ts";
import type { Features, OpenClassifierOptions } from "deit-ts";
import { openDatasets } from "deit-ts/data";
import type { DataOptions } from "deit-ts/data";
import { choosePenalty, countRight, fitLogistic, standardiser } from "deit-ts/models";
import type { EvaluateHooks } from "deit-ts/studies";

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
  const standardise = standardiser(learnt, numClasses);
  const l2 = choosePenalty(learnt, { numClasses });
  const weights = fitLogistic(standardise(learnt), { l2 });
  const rows = standardise(asked);
  const percent = (k: number): number => (100 * countRight(rows, weights, k)) / rows.labels.length;
  return { l2, acc1: percent(1), acc5: percent(Math.min(5, numClasses)) };
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
