/**
 * `train`: from a plan to a trained model in a run folder. It sets everything up in the order listed below and hands
 * over to the loop (loop.ts).
 */
import { planBatches } from "../data/plan.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { freeMemory } from "../runtime/free-memory.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { VERSION } from "../version.ts";
import { openAnswerCache } from "./answer-cache.ts";
import { runEpochs } from "./loop.ts";
import type { TrainEvent } from "./events.ts";
import { initialWeights } from "./initial-weights.ts";
import { loadPrograms } from "./load-programs.ts";
import { memoryWarning, planMemory, withMemoryAdvice } from "./memory.ts";
import type { TrainingPlan } from "./plan.ts";
import { prepare } from "./prepare.ts";
import type { Progress, WeightsKind } from "./progress.ts";
import { clearGradients, isBetter, restoreProgress } from "./progress.ts";
import type { RunFolder } from "./run-folder.ts";
import { isRunFolder, openRunFolder } from "./run-folder.ts";
import type { ModelOwner } from "./run-models.ts";
import { repairModels } from "./run-models.ts";
import { programForm } from "./run-record.ts";
import { SAME_TRAINING } from "./same-options.ts";
import { classWeightsOf } from "./task.ts";

export type { TrainEvent } from "./events.ts";
export { InterruptedError, NonFiniteError } from "./events.ts";
export { estimate } from "./estimate.ts";
export type { Estimate } from "./estimate.ts";

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
   * The epoch with the highest top-1 on the validation pictures (joint classifier), of the trained weights or of
   * their average; these are best.safetensors.
   */
  readonly best: EpochResult;
  readonly last: EpochResult;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/**
 * Trains, or goes on with the run in the plan's folder. What can be wrong is found out before the folder is made.
 * @throws InterruptedError, NonFiniteError, and the other kinds of DeitError for everything a user can mend
 */
export async function train(
  plan: TrainingPlan,
  { onEvent = () => {}, signal }: TrainHooks = {},
): Promise<TrainResult> {
  const start = performance.now();
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const note = (message: string): void => onEvent({ type: "note", message });
  plan.warnings.forEach(warn);
  // 1. Images, model, teacher, device.
  await using prepared = await prepare(plan, { warn, note });
  const { pictures, validation, model, layout, teacher, runtime, loaders, optimizer } = prepared;
  const { classes } = pictures;
  // 2. What a new run starts from, read before anything is written.
  const begin = { seed: plan.batches.seed, finetune: plan.finetune, warn, note };
  let initial: Record<string, Float32Array> | undefined;
  if (!(await isRunFolder(plan.run.folder))) initial = await initialWeights(begin, { model, layout });
  signal?.throwIfAborted();
  // 3. Run folder: the first that is written; locked, its log in line with its state.
  await using run = await openRunFolder(plan.run.folder, {
    args: plan.run.args,
    ...SAME_TRAINING,
    mayDiffer: plan.run.mayDiffer,
    versions: { "deit-ts": VERSION },
    command: process.argv.slice(2),
    parts: { opened: prepared.opened, selection: "best", program: programForm(model, { layout, optimizer }) },
  });
  run.notes.forEach(warn);
  if (prepared.onTraining)
    warn("there are no validation pictures: accuracy is that on the training pictures");
  const available = await freeMemory(runtime.device);
  // 4. Models and device in line with the saved state, or with the start of a run.
  const { cropRatio = 0.875 } = plan.evaluation;
  const owner = { run, model, layout, classes, normalisation: plan.normalisation, cropRatio };
  const progress = await restore(owner, {
    runtime,
    optimizer,
    initial: async () => initial ?? initialWeights(begin, { model, layout }),
  });
  initial = undefined; // nothing keeps the state's vectors in memory while it trains
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
  // 5. Programs.
  const sizes = { ...plan.batches, ...plan.machine };
  const kept = { plan, student: model, images: pictures, device: runtime.device };
  await using cache =
    plan.teacher?.cache && teacher && (await openAnswerCache(plan.teacher.cache, { teacher, ...kept }));
  const parts = { plan, model, layout, optimizer, teacher, cache };
  const executables = await loadPrograms(runtime, parts).catch((error: unknown) => {
    throw withMemoryAdvice(error, sizes);
  });
  const tight = memoryWarning(planMemory(executables, { layout, optimizer }), { available, sizes });
  if (tight !== undefined) warn(tight);
  if (executables.apply) await clearGradients({ runtime, layout });
  const { uniquePictures: uniqueImages, repeats, steps } = planBatches(plan.batches, pictures.length);
  onEvent({
    type: "start",
    run: run.path,
    model: model.name,
    parameters: layout.parameters,
    device: runtime.reason,
    trainImages: pictures.length,
    uniqueImages,
    repeats,
    valImages: validation.length,
    classes: classes.length,
    stepsPerEpoch: steps,
    epochs,
    ...(teacher && { teacher: teacher.name }),
    ...(run.resumed && { resumedFrom: { epoch: progress.epoch, step: progress.step } }),
  });
  // 6. The loop.
  const { imagesPerSecond } = await runEpochs({
    ...owner,
    plan,
    settings: plan.loop,
    sizes,
    optimizer,
    runtime,
    executables,
    progress,
    loaders,
    onEvent,
    signal,
    schedule: plan.schedule(steps / plan.batches.accumulationSteps),
    validationImages: validation.length,
    classWeights: classWeightsOf(plan.targets, pictures),
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
function epochResults({ log }: RunFolder): Pick<TrainResult, "best" | "last"> {
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
