/**
 * `checkData`: what is wrong with a folder of images before anything is trained on it. Broken files, copies (exact, and the
 * same photo cropped, scaled or compressed again), images that are blurred, tiny or empty, labels that are likely wrong,
 * and how many images each class has. Nothing is changed. Node only.
 */
import { setImmediate } from "node:timers/promises";
import type { Dataset } from "../data/dataset.ts";
import type { DataOptions } from "../data/open.ts";
import { openDatasets } from "../data/open.ts";
import type { BrokenImage } from "../data/read-each.ts";
import { spreadOver } from "../data/read-each.ts";
import { takeSubset } from "../data/subset.ts";
import { fittingSize } from "../config/finetune-defaults.ts";
import type { Classifier, OpenClassifierOptions } from "../evaluation/classifier.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import { floats } from "../evaluation/classifier-device.ts";
import { FEATURES } from "../evaluation/intermediates.ts";
import type { EvaluateHooks } from "../evaluation/logits.ts";
import { defaultCheckpoint, fetchSilently } from "../training/default-checkpoint.ts";
import type { CheckFeatures, CopyPair } from "./copies.ts";
import { copyProblems, findCopies } from "./copies.ts";
import type { LabelCheck } from "./label-errors.ts";
import { findLabelErrors } from "./label-errors.ts";
import type { Looked } from "./look.ts";
import { lookAt } from "./look.ts";
import { groupsOf } from "./neighbours.ts";
import type { CheckedImage, DataCheck, ImageProblem } from "./problems.ts";
import { labelProblem, oneImageProblems, sortProblems } from "./problems.ts";

export interface CheckDataOptions
  extends
    Pick<DataOptions, "dataPath" | "dataSet">,
    Omit<OpenClassifierOptions, "classes" | "intermediates"> {
  /** The vision transformer whose features compare images; default DeiT-Ti, null: what needs none is checked. */
  readonly checkpoint?: string | null | undefined;
  /** Threads that decode; default one a core. */
  readonly workers?: number | null | undefined;
}

/** @throws DataError, and what `openClassifier` throws; ConfigError for a checkpoint that is not a vision transformer */
export async function checkData(
  { checkpoint: given, workers, dataPath = null, dataSet, ...model }: CheckDataOptions,
  hooks: EvaluateHooks = {},
): Promise<DataCheck> {
  const warn = (message: string): void => hooks.onEvent?.({ type: "warning", message });
  const checkpoint = given === undefined ? await defaultCheckpoint(fetchSilently) : given;
  const opened = await openDatasets({ dataPath, ...(dataSet && { dataSet }), valSplit: 0 }, { onNote: warn });
  const { classes } = opened.whole;
  const parts = [
    { part: "train" as const, dataset: opened.train },
    ...(opened.validation ? [{ part: "val" as const, dataset: opened.validation }] : []),
  ].map(partToCheck);
  const total = parts.reduce((sum, { dataset }) => sum + dataset.length, 0);
  const all = parts.reduce((sum, { whole }) => sum + whole.length, 0);
  if (total < all) warn(`${total} of ${all} images are looked at, spread over the dataset`);
  // 1. Each image by itself.
  let done = 0;
  const onImage = (): void => hooks.onEvent?.({ type: "evaluate", done: ++done, total });
  const images: CheckedImage[] = [];
  const looked: (Looked | BrokenImage)[] = [];
  for (const { part, dataset } of parts) {
    const found = await lookAt(dataset, [...dataset.labels.keys()], { onImage, signal: hooks.signal });
    for (const [index, look] of found.entries()) {
      images.push(imageOf(dataset, part, index));
      looked.push(look);
    }
  }
  // 2. What a model sees in each.
  const datasets = parts.map(({ dataset }) => dataset);
  const medianSize = medianSide(looked);
  const features =
    checkpoint === null
      ? undefined
      : await featuresOf(datasets, { checkpoint, medianSize, workers, ...model }, hooks);
  // 3. Images against each other, and against their labels.
  const copies = findCopies(looked, features);
  const judged = features && (await judgeLabels(images, { features, copies, classes }, hooks.signal));
  return {
    dataset: opened.whole.name,
    model: features?.model ?? null,
    images: images.length,
    parts: parts.map(({ part, dataset }) => ({ part, images: dataset.length })),
    classes: classes.map((name, label) => ({
      name,
      images: images.filter((image) => image.label === label).length,
    })),
    labels: judged ? { judged: judged.judged, agreeing: judged.agreeing } : null,
    problems: sortProblems([
      ...oneImageProblems(images, looked),
      ...copyProblems(copies, { images, looked }),
      ...(judged?.problems ?? []),
    ]),
  };
}

interface PartOf {
  readonly part: "train" | "val";
  readonly dataset: Dataset;
}

/** All of a dataset, or the images of a large one that a check looks at. */
function partToCheck({ part, dataset }: PartOf): PartOf & { whole: Dataset } {
  const indices = spreadOver(dataset.length);
  if (indices.length === dataset.length) return { part, dataset, whole: dataset };
  return { part, dataset: takeSubset(dataset, { rule: "indices", indices }), whole: dataset };
}

function imageOf(dataset: Dataset, part: "train" | "val", index: number): CheckedImage {
  const label = dataset.labels[index] ?? -1;
  return {
    name: dataset.describe(index),
    part,
    label,
    className: dataset.classes[label] ?? "",
    read: async () => dataset.read(index),
  };
}

/** The features of every image that can be read. `medianSize`: of their shorter sides, in pixels. */
async function featuresOf(
  datasets: readonly Dataset[],
  {
    medianSize,
    workers,
    ...options
  }: Omit<CheckDataOptions, "dataPath" | "dataSet"> & {
    readonly checkpoint: string;
    readonly medianSize: number;
  },
  hooks: EvaluateHooks,
): Promise<CheckFeatures> {
  await using classifier = await openFitting(options, medianSize);
  for (const message of classifier.notes) hooks.onEvent?.({ type: "warning", message });
  const rows = new Map<number, Float32Array>();
  let width = 0;
  let first = 0;
  const total = datasets.reduce((sum, { length }) => sum + length, 0);
  for (const dataset of datasets) {
    const pass = classifier.intermediates(dataset, FEATURES, {
      workers,
      maxBroken: dataset.length,
      signal: hooks.signal,
    });
    for await (const { outputs, samples, size, readable, labels } of pass) {
      const values = floats(outputs, "features");
      width = values.length / labels.length;
      for (let row = 0; row < size; row++) {
        if (readable(row))
          rows.set(first + (samples[row] ?? 0), values.slice(row * width, (row + 1) * width));
      }
      hooks.onEvent?.({ type: "evaluate", done: first + (samples[size - 1] ?? 0) + 1, total });
    }
    first += dataset.length;
  }
  return { model: classifier.name, width, rows };
}

/** At its own size, or at half of it for images that have no more detail than that. */
async function openFitting(
  { checkpoint, ...options }: OpenClassifierOptions & { readonly checkpoint: string },
  medianSize: number,
): Promise<Classifier> {
  const own = await openClassifier(checkpoint, { ...options, intermediates: true });
  const patchSize = "model" in own.source ? (own.source.model.transformer?.patchSize ?? 1) : 1;
  const inputSize = options.inputSize ?? fittingSize(own.inputSize, { medianSize, patchSize });
  if ([inputSize].flat().join() === own.inputSize.join() || options.inputSize != null) return own;
  await own.close();
  return openClassifier(checkpoint, { ...options, inputSize, intermediates: true });
}

/** Labels against held-out answers; copies of one photo are never on both sides of a fold. */
async function judgeLabels(
  images: readonly CheckedImage[],
  {
    features,
    copies,
    classes,
  }: { features: CheckFeatures; copies: readonly CopyPair[]; classes: readonly string[] },
  signal: AbortSignal | undefined,
): Promise<Pick<LabelCheck, "judged" | "agreeing"> & { readonly problems: readonly ImageProblem[] }> {
  const { width, rows } = features;
  const places = [...rows.keys()]
    .filter((place) => (images[place]?.label ?? -1) >= 0)
    .toSorted((a, b) => a - b);
  const data = new Float32Array(places.length * width);
  for (const [row, place] of places.entries()) data.set(rows.get(place) ?? [], row * width);
  const groups = groupsOf(images.length, copies);
  const checked = await findLabelErrors(
    {
      data,
      width,
      labels: Int32Array.from(places, (place) => images[place]?.label ?? -1),
      numClasses: classes.length,
      groups: Int32Array.from(places, (place) => groups[place] ?? place),
    },
    {
      onFold: async () => {
        signal?.throwIfAborted();
        await setImmediate(); // progress and Ctrl-C are heard between folds
      },
    },
  );
  const problems = checked.suspects.flatMap(({ row, suggested, probability, own }) => {
    const image = images[places[row] ?? -1];
    return image === undefined
      ? []
      : [labelProblem(image, { suggested: classes[suggested] ?? "", probability, own })];
  });
  return { ...checked, problems };
}

function medianSide(looked: readonly (Looked | BrokenImage)[]): number {
  const sides = looked.flatMap((look) => ("problem" in look ? [] : [Math.min(look.width, look.height)]));
  return sides.toSorted((a, b) => a - b)[sides.length >> 1] ?? 0;
}
