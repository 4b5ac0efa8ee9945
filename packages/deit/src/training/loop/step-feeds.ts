/** What the programs of training are fed with. All chance comes from (seed, epoch, step): resuming needs nothing from here. */
import type { Mix } from "../../augmentation/mixup.ts";
import { drawMixes, mixFeed, mixTargets } from "../../augmentation/mixup.ts";
import type { Batch } from "../../data/loading/loader.ts";
import type { ProgramFacts } from "../../graph/program.ts";
import type { Model } from "../../models/registry.ts";
import { drawMasks } from "../../nn/context.ts";
import type { Layout } from "../../nn/parameters.ts";
import { movingVectors, trainedVectors } from "../../nn/parameters.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import { createRandom } from "../../random.ts";
import type { TensorData } from "../../runtime/runtime.ts";
import { ERASING_INPUT, MIX_INPUT } from "./pixels.ts";
import type { TrainingPlan } from "../plan.ts";
import { SKIPPED_INPUT } from "./training-programs.ts";

type TrainingBatch = Pick<Batch, "step" | "images" | "erasing" | "labels"> & { readonly epoch: number };

/** The parts of a plan that decide what a batch is fed with. */
export type FeedSettings = Pick<TrainingPlan, "batches" | "images" | "targets" | "step">;

interface BatchContext {
  readonly plan: FeedSettings;
  readonly model: Model;
  /** Of a batch: `step` or `grad`. */
  readonly program: ProgramFacts;
  /** What an image of each class weighs; undefined when all weigh the same. */
  readonly classWeights?: Float32Array | undefined;
}

/** Feeds of a batch's program, but for the optimizer's numbers. */
export function batchFeeds(
  { plan, model, program, classWeights }: BatchContext,
  { epoch, step, images, erasing, labels }: TrainingBatch,
): Record<string, TensorData> {
  const { numClasses } = model.config;
  const { dropPath = 0, drop = 0, attnDrop = 0 } = plan.step;
  const isDropped = dropPath > 0 || drop > 0 || attnDrop > 0;
  const labelled = smoothTargets(labels, numClasses, plan.targets.smoothing);
  const mixes = mixesOf(plan, { epoch, step, size: model.config.inputSize });
  const mixed = mixes ? mixTargets(labelled, mixes, numClasses) : labelled;
  const weighed = classWeights ? weighTargets(mixed, classWeights) : mixed;
  return {
    images,
    ...(erasing && { [ERASING_INPUT]: erasing }),
    ...(mixes && { [MIX_INPUT]: mixFeed(mixes) }),
    targets: plan.targets.binary ? binarise(mixed) : weighed,
    ...(isDropped &&
      drawMasks(program.inputs, {
        random: createRandom(plan.batches.seed, "masks", epoch, step),
        dropPathRates: model.dropPathRates(dropPath),
        drop,
        attnDrop,
      })),
  };
}

/** How the rows of a step are mixed; undefined without Mixup and CutMix. */
export function mixesOf(
  { images: { mixup }, batches: { seed, batchSize } }: Pick<FeedSettings, "images" | "batches">,
  { epoch, step, size }: { epoch: number; step: number; size: readonly [number, number] },
): Mix[] | undefined {
  if (mixup === undefined) return undefined;
  return drawMixes(createRandom(seed, "mix", epoch, step), mixup, { batchSize, size });
}

/** Which update a step makes, if none is skipped before it. */
interface Update {
  /** 1, 2, … */
  readonly update: number;
  readonly lr: number;
  /** Updates that are known to have been skipped so far. */
  readonly skipped?: number;
}

/** The optimizer's numbers for an update, by vector; for a program that runs ahead, one row for each number of updates skipped till then. */
export function hyperFeeds(
  { layout, optimizer, program }: { layout: Layout; optimizer: Optimizer; program?: ProgramFacts },
  { update, lr, skipped = 0 }: Update,
): Record<string, TensorData> {
  const vectors = optimizer.average ? movingVectors(layout) : trainedVectors(layout);
  const inputs = program?.inputs ?? {};
  const isAhead = Object.hasOwn(inputs, SKIPPED_INPUT);
  const hypers = vectors.map(({ name, group }): [string, TensorData] => {
    const rows = isAhead ? (inputs[`hyper.${name}`]?.shape[0] ?? 1) : 1;
    const updates = Array.from({ length: rows }, (_, skippedSince) => Math.max(1, update - skippedSince));
    return [`hyper.${name}`, Float32Array.from(updates.flatMap((each) => optimizer.hyper(each, lr, group)))];
  });
  return { ...Object.fromEntries(hypers), ...(isAhead && { [SKIPPED_INPUT]: Float32Array.of(skipped) }) };
}

/** Targets [B, K] whose every class counts by its weight [K]. */
export function weighTargets(targets: Float32Array, weights: Float32Array): Float32Array {
  return targets.map((target, i) => target * (weights[i % weights.length] ?? 0));
}

/** Every class with a part in the (mixed) target at 1, as DeiT III: wants targets without label smoothing. */
export function binarise(targets: Float32Array): Float32Array {
  return targets.map((t) => (t > 0 ? 1 : 0));
}

/** Label smoothing inside the targets: ε/K everywhere, and 1 − ε + ε/K at the label. → [B, K]; rows of label −1 are 0. */
export function smoothTargets(
  labels: ArrayLike<number>,
  numClasses: number,
  smoothing: number,
): Float32Array {
  const targets = new Float32Array(labels.length * numClasses);
  const off = smoothing / numClasses;
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] ?? -1;
    if (label < 0) continue;
    targets.fill(off, row * numClasses, (row + 1) * numClasses);
    targets[row * numClasses + label] = 1 - smoothing + off;
  }
  return targets;
}
