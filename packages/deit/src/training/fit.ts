/**
 * `fit`: from images, a model and a device that are open to a trained model in a run store. It does not know where images
 * come from, what executes programs, or where the run is kept, and so is the same in Node and in a browser.
 */
import type { Dataset } from "../data/dataset.ts";
import { planBatches } from "../data/loading/epoch-plan.ts";
import type { Teacher } from "../distillation/teacher-program.ts";
import type { Metrics } from "../evaluation/own-metrics.ts";
import { checkMetricNames } from "../evaluation/own-metrics.ts";
import type { Selection } from "../evaluation/metrics/share.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/parameters.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Ranks } from "../ranks/ranks.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { TrainEvent } from "./loop/events.ts";
import { loadPrograms } from "./loop/load-programs.ts";
import type { RunLoaders } from "./loop/loaders.ts";
import { runEpochs } from "./loop/loop.ts";
import { memoryWarning, planMemory, withMemoryAdvice } from "./memory-needs.ts";
import type { TrainingPlan } from "./plan.ts";
import type { EpochResult, SelectionRule } from "./run/best-epoch.ts";
import { epochResults, selectionOf, selectionRule } from "./run/best-epoch.ts";
import type { Progress } from "./loop/run-progress.ts";
import { clearGradients, restoreProgress } from "./loop/run-progress.ts";
import { spreadState } from "./loop/spread-state.ts";
import type { ModelOwner } from "./run/run-models.ts";
import { repairModels } from "./run/run-models.ts";
import type { RunStore } from "./run/run-store.ts";
import { classWeightsOf } from "./task.ts";
import type { AnswerCache } from "./loop/teacher-answers.ts";
import { shellWord } from "../printable.ts";

export interface TrainHooks {
  readonly onEvent?: (event: TrainEvent) => void;
  /** Aborting saves after the current step and throws InterruptedError. */
  readonly signal?: AbortSignal;
}

/** What `deit train --json` prints. Other tools read it: add keys, never rename these. */
export interface TrainResult {
  readonly run: string;
  readonly model: string;
  readonly epochs: number;
  /**
   * The epoch that best.safetensors is of (joint classifier, of the trained weights or of their average): the one with the
   * highest top-1 on the held-out images, or the last where these are too few to choose one by.
   */
  readonly best: EpochResult;
  readonly last: EpochResult;
  /** How `best` was chosen, and on how many images. */
  readonly selection: Selection;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

export interface FitParts {
  readonly plan: Pick<
    TrainingPlan,
    | "batches"
    | "images"
    | "evaluation"
    | "normalisation"
    | "targets"
    | "step"
    | "schedule"
    | "loop"
    | "machine"
  >;
  readonly model: Model;
  readonly layout: Layout;
  /** As the precision needs it. */
  readonly optimizer: Optimizer;
  readonly runtime: Runtime;
  /** The training images. */
  readonly images: Pick<Dataset, "length" | "classes" | "labels">;
  readonly validationImages: number;
  /** Those of them that it does not train on: all or none; undefined: all. */
  readonly heldOut?: number | undefined;
  /** Which epoch becomes the best model; undefined: as the plan says. */
  readonly selection?: SelectionRule | undefined;
  readonly loaders: RunLoaders;
  readonly run: RunStore;
  /** What a new run starts from, by vector: asked for once, where there is no state to go on from. */
  readonly initial: () => Promise<Record<string, Float32Array>>;
  readonly teacher?: Teacher | undefined;
  /** Measured in validation besides accuracy and loss. */
  readonly metrics?: Metrics | undefined;
  /** Where the teacher's answers are kept; closed at the end. */
  readonly openCache?: (() => Promise<(AnswerCache & AsyncDisposable) | undefined>) | undefined;
  /** Bytes that are free on the device; undefined: not known. */
  readonly freeMemory?: number | undefined;
  /** The processes that share the batches of every update, `plan.batches` saying which part is this one's; undefined: none. */
  readonly ranks?: Ranks | undefined;
}

/**
 * Trains, or goes on from the state in the store.
 * @throws InterruptedError, NonFiniteError, DeviceError, and DataError for too many broken images
 */
export async function fit(
  { initial, openCache, freeMemory: available, ...parts }: FitParts,
  { onEvent = () => {}, signal }: TrainHooks = {},
): Promise<TrainResult> {
  const start = performance.now();
  const { plan, model, layout, optimizer, runtime, images, validationImages, run, teacher } = parts;
  const { heldOut = validationImages, ranks } = parts;
  checkMetricNames(parts.metrics ?? {});
  const rule = parts.selection ?? selectionRule(plan.loop, heldOut);
  const { classes } = images;
  const warn = (message: string): void => onEvent({ type: "warning", message });
  // 1. Models and device in line with the saved state, or with the start of a run.
  const { cropRatio = 0.875 } = plan.evaluation;
  const owner = { run, model, layout, classes, normalisation: plan.normalisation, cropRatio };
  const restored = await restore(owner, { runtime, optimizer, initial });
  const state = { runtime, layout, optimizer };
  const progress = ranks ? await spreadState(ranks, state, restored) : restored;
  const { epochs } = plan.loop;
  const result = (imagesPerSecond: number): TrainResult => ({
    run: run.path,
    model: model.name,
    epochs,
    ...epochResults(run.log, { rule, images: validationImages }),
    selection: selectionOf(run.log, { rule, heldOut }),
    seconds: (performance.now() - start) / 1000,
    imagesPerSecond,
  });
  if (progress.epoch >= epochs) {
    warn(
      `this run is complete: its ${epochs} epochs are trained (longer: deit train ${shellWord(run.path)} --epochs N)`,
    );
    return result(0);
  }
  // 2. Programs.
  const sizes = { ...plan.batches, ...plan.machine };
  await using cache = await openCache?.();
  const programs = { plan, model, layout, optimizer, teacher, cache };
  const executables = await loadPrograms(runtime, programs).catch((error: unknown) => {
    throw withMemoryAdvice(error, sizes);
  });
  const memory = planMemory(executables, { layout, optimizer });
  const tight = available === undefined ? undefined : memoryWarning(memory, { available, sizes });
  if (tight !== undefined) warn(tight);
  if (executables.apply) await clearGradients({ runtime, layout });
  const { uniqueImages, repeats, steps, accumulationSteps } = planBatches(plan.batches, images.length);
  onEvent({
    type: "start",
    run: run.path,
    model: model.name,
    parameters: layout.parameters,
    device: runtime.reason,
    trainImages: images.length,
    uniqueImages,
    repeats,
    valImages: validationImages,
    heldOut,
    selection: rule,
    classes: classes.length,
    stepsPerEpoch: steps,
    epochs,
    ...(teacher && { teacher: teacher.name }),
    ...(run.resumed && { resumedFrom: { epoch: progress.epoch, step: progress.step } }),
  });
  // 3. The loop.
  const { imagesPerSecond } = await runEpochs({
    ...parts,
    ...owner,
    settings: { ...plan.loop, selectEpoch: rule },
    sizes,
    executables,
    progress,
    onEvent,
    signal,
    ranks,
    schedule: plan.schedule(steps / accumulationSteps, accumulationSteps),
    classWeights: classWeightsOf(plan.targets, images),
  });
  return result(imagesPerSecond);
}

/** Ends before the loop begins, so that nothing keeps the state's vectors in memory. */
async function restore(
  owner: ModelOwner,
  {
    initial,
    ...device
  }: { runtime: Runtime; optimizer: Optimizer; initial: () => Promise<Record<string, Float32Array>> },
): Promise<Progress> {
  const saved = await owner.run.loadState();
  if (saved !== null) await repairModels(owner, saved);
  return restoreProgress({ ...device, layout: owner.layout }, { saved, initial });
}
