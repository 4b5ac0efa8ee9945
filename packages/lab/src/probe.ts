/**
 * What frozen features are worth: k nearest neighbours and a linear probe, the cheap baselines of every fine-tuning. Their
 * settings (k, the L2 penalty) are chosen by cross-validation on the training images; the others are looked at once.
 */
import { DataError, openClassifier } from "deit-ts";
import type { Features, OpenClassifierOptions } from "deit-ts";
import { openDatasets } from "deit-ts/data";
import type { DataOptions } from "deit-ts/data";
import { choosePenalty, countRight, fitLogistic, nearestNeighbours, standardiser } from "deit-ts/models";
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

/** @throws DataError when there are no images to measure with */
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
