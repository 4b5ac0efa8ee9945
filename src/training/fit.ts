/**
 * `fit`: from images, a model and a device that are open to a trained model in a run store. It does not know where images
 * come from, what executes programs, or where the run is kept, and so is the same in Node and in a browser.
 */
import type { Dataset } from "../data/dataset.ts";
import { planBatches } from "../data/plan.ts";
import type { Teacher } from "../distillation/teacher-program.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/parameters.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { TrainEvent } from "./events.ts";
import { loadPrograms } from "./load-programs.ts";
import type { RunLoaders } from "./loaders.ts";
import { runEpochs } from "./loop.ts";
import { memoryWarning, planMemory, withMemoryAdvice } from "./memory.ts";
import type { TrainingPlan } from "./plan.ts";
import type { Progress, WeightsKind } from "./progress.ts";
import { clearGradients, isBetter, restoreProgress } from "./progress.ts";
import type { ModelOwner } from "./run-models.ts";
import { repairModels } from "./run-models.ts";
import type { RunStore } from "./run-store.ts";
import { classWeightsOf } from "./task.ts";
import type { AnswerCache } from "./teacher-answers.ts";

export interface TrainHooks {
  readonly onEvent?: (event: TrainEvent) => void;
  /** Aborting saves after the current step and throws InterruptedError. */
  readonly signal?: AbortSignal;
}

interface EpochResult {
  readonly epoch: number;
  readonly acc1: number;
  readonly acc5: number;
  /** The trained weights or their average (EMA): those that best.safetensors holds. */
  readonly weights: WeightsKind;
}

/** What `deit train --json` prints. Other tools read it: add keys, never rename these. */
export interface TrainResult {
  readonly run: string;
  readonly model: string;
  readonly epochs: number;
  /**
   * The epoch with the highest top-1 on the validation images (joint classifier), of the trained weights or of
   * their average; these are best.safetensors.
   */
  readonly best: EpochResult;
  readonly last: EpochResult;
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
  readonly loaders: RunLoaders;
  readonly run: RunStore;
  /** What a new run starts from, by vector: asked for once, where there is no state to go on from. */
  readonly initial: () => Promise<Record<string, Float32Array>>;
  readonly teacher?: Teacher | undefined;
  /** Where the teacher's answers are kept; closed at the end. */
  readonly openCache?: (() => Promise<(AnswerCache & AsyncDisposable) | undefined>) | undefined;
  /** Bytes that are free on the device; undefined: not known. */
  readonly freeMemory?: number | undefined;
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
  const { classes } = images;
  const warn = (message: string): void => onEvent({ type: "warning", message });
  // 1. Models and device in line with the saved state, or with the start of a run.
  const { cropRatio = 0.875 } = plan.evaluation;
  const owner = { run, model, layout, classes, normalisation: plan.normalisation, cropRatio };
  const progress = await restore(owner, { runtime, optimizer, initial });
  const { epochs } = plan.loop;
  const result = (imagesPerSecond: number): TrainResult => ({
    run: run.path,
    model: model.name,
    epochs,
    ...epochResults(run),
    seconds: (performance.now() - start) / 1000,
    imagesPerSecond,
  });
  if (progress.epoch >= epochs) {
    warn(
      `this run is complete: its ${epochs} epochs are trained (longer: deit train ${run.path} --epochs N)`,
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
  const { uniquePictures: uniqueImages, repeats, steps } = planBatches(plan.batches, images.length);
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
    settings: plan.loop,
    sizes,
    executables,
    progress,
    onEvent,
    signal,
    schedule: plan.schedule(steps / plan.batches.accumulationSteps),
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

/** The epochs that a finished run is judged by, from its log: the better of the trained and the averaged weights. */
function epochResults({ log }: Pick<RunStore, "log">): Pick<TrainResult, "best" | "last"> {
  let best: { result: EpochResult; acc1: number; loss: number } | undefined;
  let last: EpochResult = { epoch: log.length - 1, acc1: 0, acc5: 0, weights: "trained" };
  for (const record of log) {
    const { epoch, test_acc1: trained, test_acc5: acc5 = 0, test_loss: loss = NaN } = record;
    if (trained === undefined) continue;
    const { test_ema_acc1: averaged, test_ema_acc5: averaged5, test_ema_loss: averagedLoss } = record;
    const found =
      typeof averaged === "number" && averaged > trained
        ? ({
            acc1: averaged,
            acc5: Number(averaged5),
            loss: Number(averagedLoss),
            weights: "averaged",
          } as const)
        : ({ acc1: trained, acc5, loss, weights: "trained" } as const);
    const { loss: _, ...figures } = found;
    last = { epoch, ...figures };
    if (isBetter(found, best)) best = { result: last, acc1: found.acc1, loss: found.loss };
  }
  return { best: best?.result ?? last, last };
}
