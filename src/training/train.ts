/**
 * `train`: from options to a trained model in a run folder. It sets everything up in the order listed below and
 * hands over to the loop (engine.ts). The command line calls this and nothing else.
 */
import type { TrainOptions } from "../config/schema.ts";
import { openDatasets } from "../data/open.ts";
import { openTeacher } from "../distillation/teacher.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { freeMemory } from "../runtime/free-memory.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { VERSION } from "../version.ts";
import { runEpochs } from "./engine.ts";
import type { TrainEvent } from "./events.ts";
import { loadPrograms } from "./executables.ts";
import { checkFinetune, initialWeights } from "./initial-weights.ts";
import { memoryWarning, planMemory, withMemoryAdvice } from "./memory.ts";
import { choosePrecision, optimizerIn } from "./precision.ts";
import type { Progress, WeightsKind } from "./progress.ts";
import { clearGradients, isBetter, restoreProgress } from "./progress.ts";
import type { RunFolder } from "./run-folder.ts";
import { isRunFolder, openRunFolder } from "./run-folder.ts";
import type { ModelOwner } from "./run-models.ts";
import { repairModels } from "./run-models.ts";
import { SAME_TRAINING } from "./same-options.ts";
import {
  batchesPerEpoch,
  checkBatch,
  checkDistillation,
  checkModelOptions,
  checkRecipe,
  classWeightsFor,
  loadersFor,
  modelFor,
  openRuntime,
  optimizerFor,
  scheduleFor,
  trainPlan,
} from "./setup.ts";

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
 * Trains, or goes on with the run in `outputDir`. What can be wrong is found out before the folder is made.
 * @throws InterruptedError, NonFiniteError, and the other kinds of DeitError for everything a user can mend
 */
export async function train(
  options: TrainOptions,
  { onEvent = () => {}, signal }: TrainHooks = {},
): Promise<TrainResult> {
  const start = performance.now();
  // 1. What is wrong at a glance: the model's name and picture size, a recipe that contradicts itself.
  const named = modelFor(options).model;
  checkModelOptions(options, named);
  checkDistillation(options, named);
  checkRecipe(options);
  const warn = (message: string): void => onEvent({ type: "warning", message });
  // 2. Pictures: enough for a batch.
  const { train: pictures, validation } = await openDatasets(options, { onNote: warn });
  checkBatch(options, pictures);
  const measured = validation ?? pictures;
  // 3. Model: where its parameters lie in the state's vectors, and what it starts from.
  const { model, layout } = modelFor(options, pictures.classes.length);
  const { classes } = pictures;
  const note = (message: string): void => onEvent({ type: "note", message });
  const teacher = await openTeacher(options, { student: { numClasses: classes.length, classes }, warn });
  if (model.config.distilled && options.distillationType === "none" && options.trainMode) {
    warn(
      "the distillation head learns nothing without a teacher (--teacher-path) or --distillation-type labels; look at the class head's results",
    );
  }
  if (!(await isRunFolder(options.outputDir))) await checkFinetune(options, { model, layout, warn, note });
  // 4. Device, and what it computes in.
  const runtime = await openRuntime(options);
  const loaders = loadersFor(options, { model, pictures, validation: measured });
  try {
    signal?.throwIfAborted();
    const { precision, note: choice } = await choosePrecision(options.precision, runtime.device);
    if (choice !== undefined) note(choice);
    const optimizer = optimizerIn(optimizerFor(options), precision);
    // 5. Run folder: the first that is written; locked, its log in line with its state.
    await using run = await openRun(options);
    run.notes.forEach(warn);
    if (validation === undefined)
      warn("there are no validation pictures: accuracy is that on the training pictures");
    const available = await freeMemory(runtime.device);
    // 6. Models and device in line with the saved state, or with the start of a run.
    const progress = await restore({ options, run, model, layout, classes }, { runtime, optimizer });
    const result = (imagesPerSecond: number): TrainResult => ({
      run: run.path,
      model: model.name,
      epochs: options.epochs,
      ...epochResults(run),
      seconds: (performance.now() - start) / 1000,
      imagesPerSecond,
    });
    if (progress.epoch >= options.epochs) {
      warn(`this run is complete: its ${options.epochs} epochs are trained`);
      return result(0);
    }
    // 7. Programs.
    const setup = { options, model, layout, optimizer, teacher, pictures };
    const executables = await loadPrograms(runtime, setup).catch((error: unknown) => {
      throw withMemoryAdvice(error, options);
    });
    const plan = planMemory(executables, { layout, optimizer });
    const tight = memoryWarning(plan, { available, options });
    if (tight !== undefined) warn(tight);
    if (executables.apply) await clearGradients({ runtime, layout });
    await using _ = { [Symbol.asyncDispose]: async () => executables.teacher?.close() };
    const { uniquePictures: uniqueImages, repeats } = trainPlan(options, pictures.length);
    onEvent({
      type: "start",
      run: run.path,
      model: model.name,
      parameters: layout.parameters,
      device: runtime.reason,
      trainImages: pictures.length,
      uniqueImages,
      repeats,
      valImages: measured.length,
      classes: classes.length,
      stepsPerEpoch: batchesPerEpoch(options, loaders.training),
      epochs: options.epochs,
      ...(teacher && { teacher: teacher.name }),
      ...(run.resumed && { resumedFrom: { epoch: progress.epoch, step: progress.step } }),
    });
    // 8. The loop.
    const { imagesPerSecond } = await runEpochs({
      options,
      model,
      layout,
      classes,
      optimizer,
      runtime,
      executables,
      run,
      progress,
      loaders,
      onEvent,
      signal,
      schedule: scheduleFor(options, loaders.training),
      validationImages: measured.length,
      classWeights: classWeightsFor(options, pictures),
    });
    return result(imagesPerSecond);
  } finally {
    await Promise.all([loaders.training.close(), loaders.validation.close(), runtime.close()]);
  }
}

async function openRun(options: TrainOptions): Promise<RunFolder> {
  return openRunFolder(options.outputDir, {
    args: options,
    ...SAME_TRAINING,
    versions: { "deit-ts": VERSION },
    command: process.argv.slice(2),
  });
}

/** Ends before the loop begins, so that nothing keeps the state's vectors in memory. */
async function restore(
  owner: ModelOwner,
  { runtime, optimizer }: { runtime: Runtime; optimizer: Optimizer },
): Promise<Progress> {
  const { run, model, layout, options } = owner;
  const saved = await run.loadState();
  if (saved !== null) await repairModels(owner, saved);
  return restoreProgress(
    { runtime, layout, optimizer },
    { saved, initial: () => initialWeights(options, { model, layout }) },
  );
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
