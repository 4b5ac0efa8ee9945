/** The loop: epochs of steps, an evaluation and a save after each. It knows no loss, no model and no device. */
import type { Batch, Loader } from "../data/loader.ts";
import { evaluate } from "../evaluation/evaluate.ts";
import type { EvaluationMetrics } from "../evaluation/metrics.ts";
import { tellWarnings } from "../evaluation/logits.ts";
import { DeviceError } from "../errors.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Schedule } from "../optim/schedule.ts";
import type { Executable, Runtime, TensorData } from "../runtime/runtime.ts";
import type { TrainEvent } from "./events.ts";
import { InterruptedError, NonFiniteError } from "./events.ts";
import { withMemoryAdvice } from "./memory.ts";
import type { FeedSettings } from "./feeds.ts";
import { batchFeeds, hyperFeeds } from "./feeds.ts";
import type { Executables } from "./load-programs.ts";
import type { TrainingPlan } from "./plan.ts";
import type { Progress, WeightsKind } from "./progress.ts";
import { captureState, isBetter, skippedUpdates } from "./progress.ts";
import type { EpochRecord } from "./run-log.ts";
import type { ModelOwner } from "./run-models.ts";
import { saveModel } from "./run-models.ts";
import type { RunState } from "./run-state.ts";
import { Speed } from "./speed.ts";
import { withAnswers } from "./teacher-answers.ts";
import { inGroups, runSteps } from "./step-groups.ts";

/** The parts of a plan that the loop goes by. */
export type LoopPlan = FeedSettings & Pick<TrainingPlan, "loop" | "machine">;

export interface Engine extends ModelOwner {
  readonly plan: LoopPlan;
  readonly optimizer: Optimizer;
  /** Learning rate by epoch and update of the epoch. */
  readonly schedule: Schedule;
  readonly runtime: Runtime;
  readonly executables: Executables;
  readonly loaders: { readonly training: Loader; readonly validation: Loader };
  readonly progress: Progress;
  readonly validationImages: number;
  /** What a picture of each class weighs; undefined when all weigh the same. */
  readonly classWeights: Float32Array | undefined;
  readonly onEvent: (event: TrainEvent) => void;
  readonly signal: AbortSignal | undefined;
}

/** An engine that runs. */
interface Loop extends Engine {
  /** Batches of an epoch. */
  readonly steps: number;
  readonly speed: Speed;
  readonly tellWarnings: () => void;
  /** When the state was saved last, on the clock of `performance`. */
  savedAt: number;
  /** Milliseconds of this epoch in which the model waited for pictures. */
  waited: number;
  /** Milliseconds of this epoch in which the student waited for a teacher beside it. */
  taught: number;
  toldFull: boolean;
  /** Of the last update, where the loss is scaled. */
  lossScale: number | undefined;
  /** Updates that were skipped since the loss is scaled. */
  skipped: number;
}

/** Trains from where `progress` stands to the last epoch. @throws InterruptedError, NonFiniteError, DataError */
export async function runEpochs(engine: Engine): Promise<{ imagesPerSecond: number }> {
  const { plan, loaders, progress, onEvent } = engine;
  const { epochs } = plan.loop;
  const loop: Loop = {
    ...engine,
    steps: loaders.training.steps,
    speed: new Speed(plan.batches.batchSize),
    tellWarnings: tellWarnings([loaders.training, loaders.validation], (message) =>
      onEvent({ type: "warning", message }),
    ),
    savedAt: performance.now(),
    waited: 0,
    taught: 0,
    toldFull: false,
    lossScale: undefined,
    skipped: engine.optimizer.lossScale ? await skippedUpdates(engine.runtime) : 0,
  };
  while (progress.epoch < epochs && !isStalled(loop)) {
    const started = performance.now();
    await trainEpoch(loop);
    const results = isEvaluated(loop) ? await validate(loop) : undefined;
    loop.tellWarnings();
    await finishEpoch(loop, { results, started });
  }
  if (progress.epoch < epochs) {
    const message = `stopped after epoch ${progress.epoch}: top-1 has not risen since epoch ${(progress.best?.since ?? 0) + 1}`;
    onEvent({ type: "note", message });
  }
  return { imagesPerSecond: loop.speed.imagesPerSecond };
}

/** Whether so many validations as --patience says have passed since the best one. */
function isStalled({ plan, progress: { epoch, step, best } }: Loop): boolean {
  const { patience, evalEvery } = plan.loop;
  if (patience === null || best === undefined || step !== 0) return false;
  return epoch - 1 - best.since >= patience * evalEvery;
}

/** The steps of one epoch that are still to do. */
async function trainEpoch(loop: Loop): Promise<void> {
  const { executables, loaders, progress, onEvent, plan, speed, signal, steps } = loop;
  const { accumulationSteps } = plan.batches;
  const { epoch } = progress;
  if (signal?.aborted) await stop(loop);
  loop.waited = 0;
  loop.taught = 0;
  if (progress.step >= steps) return; // it was left within its validation
  let asked = performance.now();
  const batches = loaders.training.epoch(epoch, { from: progress.step });
  for await (const group of inGroups(batches, ({ step }) => stepsTogether(loop, step))) {
    loop.waited += performance.now() - asked;
    speed.start();
    const { results, failure } = await runSteps(executables, feedsOf(loop, group), group.length);
    speed.stop(results.length);
    for (const [i, batch] of group.slice(0, results.length).entries()) {
      const isUpdate = (batch.step + 1) % accumulationSteps === 0;
      const lr = learningRate(loop, batch.step);
      const hyper = hyperFeeds(loop, { update: progress.updates + 1, lr });
      const applied = isUpdate
        ? await executables.apply?.run(hyper).catch((error: unknown) => fail(loop, error))
        : {};
      const losses = scalars({ ...results[i], ...applied });
      const isSkipped = losses["overflow"] === 1;
      checkStep(loop, { losses, isSkipped, step: batch.step });
      progress.step = batch.step + 1;
      count(progress, losses);
      if (isSkipped) {
        progress.skipped++;
        loop.skipped++;
      } else if (isUpdate) progress.updates++;
      loop.lossScale = losses["lossScale"] ?? loop.lossScale;
      onEvent({
        type: "step",
        epoch,
        step: progress.step,
        steps,
        loss: losses["loss"] ?? Number.NaN,
        losses,
        skipped: progress.skipped,
        lr,
        imagesPerSecond: speed.imagesPerSecond,
        secondsLeft: speed.secondsFor((plan.loop.epochs - epoch) * steps - progress.step),
      });
    }
    if (failure !== undefined) await fail(loop, failure.error);
    const isUpdate = progress.step % accumulationSteps === 0;
    if (isUpdate && signal?.aborted) await stop(loop); // accumulated gradients are not saved
    if (progress.step === steps) break;
    if (isUpdate && isSaveDue(loop)) await save(loop);
    asked = performance.now();
  }
  speed.pause();
}

/** How many steps may be one run from here on: no save and no end of an epoch lies within. */
function stepsTogether({ executables, plan, steps }: Loop, step: number): number {
  const { saveSteps } = plan.loop;
  const untilSave = saveSteps === null ? steps : saveSteps - (step % saveSteps);
  return Math.max(1, Math.min(executables.group?.count ?? 1, steps - step, untilSave));
}

/** What each of these steps is fed with. */
async function* feedsOf(loop: Loop, group: readonly Batch[]): AsyncGenerator<Record<string, TensorData>> {
  const { executables, plan, model, classWeights, progress } = loop;
  const { program } = executables.batch;
  const { epoch, updates } = progress;
  const { skipped } = loop;
  for (const [i, batch] of group.entries()) {
    const { step } = batch;
    const pictures = batchFeeds({ plan, model, program, classWeights }, { epoch, ...batch });
    const askedTeacher = performance.now();
    const taught = await withAnswers(executables.teacher, { epoch, step, feeds: pictures });
    loop.taught += performance.now() - askedTeacher;
    const update = { update: updates + 1 + i, lr: learningRate(loop, step), skipped };
    const hyper = hyperFeeds({ ...loop, program }, update);
    yield executables.apply ? taught : { ...taught, ...hyper };
  }
}

/** Ends a run by the error of a step. One that does not fit into memory has changed nothing, so that it can still be saved. */
async function fail(loop: Loop, error: unknown): Promise<never> {
  const { plan, progress } = loop;
  const isWhole = progress.step % plan.batches.accumulationSteps === 0; // accumulated gradients are not saved
  if (error instanceof DeviceError && error.outOfMemory && isWhole) {
    // Where the state cannot be read any more, what was saved before is what there is.
    await save(loop).catch(() => {});
  }
  throw withMemoryAdvice(error, { ...plan.batches, ...plan.machine }, { saved: true });
}

/** What was measured after an epoch: the trained weights, and their average where it is kept. */
interface Results {
  readonly trained: EvaluationMetrics;
  readonly averaged?: EvaluationMetrics;
}

/** The weights that did better on the validation pictures (joint classifier); the trained ones, if equal. */
function better({ trained, averaged }: Results): EvaluationMetrics & { weights: WeightsKind } {
  return averaged !== undefined && averaged.acc1 > trained.acc1
    ? { ...averaged, weights: "averaged" }
    : { ...trained, weights: "trained" };
}

/** Logs and saves the epoch that was just trained, and goes on to the next. */
async function finishEpoch(
  loop: Loop,
  { results, started }: { results: Results | undefined; started: number },
): Promise<void> {
  const { plan, run, progress, layout, onEvent, steps } = loop;
  const { epochs, saveEvery } = plan.loop;
  const { epoch } = progress;
  const { loss: trainLoss = Number.NaN, ...parts } = meanLosses(loop);
  const found = results && better(results);
  const isBest = found !== undefined && isBetter(found, progress.best);
  if (isBest) {
    const { acc1, acc5, loss, weights } = found;
    const since = acc1 === progress.best?.acc1 ? progress.best.since : epoch;
    progress.best = { epoch, acc1, acc5, loss, since, weights };
  }
  const scaling = loop.optimizer.lossScale && {
    skipped_updates: progress.skipped,
    ...(loop.lossScale !== undefined && { loss_scale: loop.lossScale }),
  };
  Object.assign(progress, { epoch: epoch + 1, step: 0, lossSums: {}, skipped: 0, lost: 0 });

  const seconds = (performance.now() - started) / 1000;
  await run.appendEpoch({
    epoch,
    train_loss: trainLoss,
    ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [`train_${name}`, value])),
    train_lr: learningRate(loop, steps - 1, epoch),
    ...(results && testRecord(results)),
    n_parameters: layout.parameters,
    seconds,
    waiting_seconds: loop.waited / 1000,
    ...teacherRecord(loop),
    ...scaling,
  });
  // The best weights are saved whenever they come: later ones are another model's.
  const isDone = progress.epoch === epochs || isStalled(loop);
  if (isBest || isDone || progress.epoch % saveEvery === 0) {
    const state = await save(loop);
    if (isBest) await saveModel(loop, "best", state);
    await saveModel(loop, "last", state);
    if (loop.optimizer.average) await saveModel(loop, "ema", state);
  }
  onEvent({
    type: "epoch",
    epoch,
    epochs,
    trainLoss,
    testLoss: results?.trained.loss ?? Number.NaN,
    acc1: results?.trained.acc1 ?? Number.NaN,
    acc5: results?.trained.acc5 ?? Number.NaN,
    ...(results?.averaged && { averageAcc1: results.averaged.acc1 }),
    waitingSeconds: loop.waited / 1000,
    best: isBest,
    seconds,
  });
}

/** @throws NonFiniteError when the weights have become useless without a step having shown it */
async function validate(loop: Loop): Promise<Results> {
  const { executables, loaders, model, validationImages: total, onEvent, signal, steps } = loop;
  const { numClasses } = model.config;
  const measure = async (executable: Executable): Promise<EvaluationMetrics> =>
    evaluate({ executable, loader: loaders.validation, numClasses, total }, { onEvent, signal });
  try {
    const trained = await measure(executables.evaluate);
    checkFinite(loop, { metric: "test_loss", value: trained.loss, step: steps - 1 });
    if (executables.evaluateAverage === undefined) return { trained };
    return { trained, averaged: await measure(executables.evaluateAverage) };
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return stop(loop);
    throw error;
  }
}

/** Whether the epoch that is being trained is validated. */
function isEvaluated({ plan, progress: { epoch } }: Loop): boolean {
  const { epochs, evalEvery } = plan.loop;
  return epoch === epochs - 1 || (epoch + 1) % evalEvery === 0;
}

/** Whether to save after this step, amid an epoch. */
function isSaveDue({ plan, progress, savedAt }: Loop): boolean {
  const { saveSteps, saveMinutes } = plan.loop;
  if (saveSteps !== null && progress.step % saveSteps === 0) return true;
  return saveMinutes !== null && performance.now() - savedAt >= saveMinutes * 60_000;
}

/** Saves where the run stands. */
async function save(loop: Loop): Promise<RunState> {
  const state = await captureState(loop, loop.progress);
  await loop.run.saveState(state);
  loop.savedAt = performance.now();
  loop.onEvent({ type: "saved", path: loop.run.path });
  return state;
}

/** Saves where the run stands and leaves it. */
async function stop(loop: Loop): Promise<never> {
  await save(loop);
  throw new InterruptedError(loop.run.path);
}

/** Rate of the update that a batch is part of. */
function learningRate({ schedule, plan, progress }: Loop, step: number, epoch = progress.epoch): number {
  return schedule(epoch, Math.floor(step / plan.batches.accumulationSteps));
}

/** Below this a smaller loss scale helps no more: it is not the scale that makes gradients overflow. */
const LEAST_SCALE = 2 ** -10;

/** With a loss scale, an overflow is no reason to stop: that update is skipped, and the scale goes down. */
function checkStep(
  loop: Loop,
  { losses, isSkipped, step }: { losses: Record<string, number>; isSkipped: boolean; step: number },
): void {
  const { loss = Number.NaN, gradNorm = Number.NaN, lossScale } = losses;
  if (isSkipped && lossScale !== undefined && lossScale <= LEAST_SCALE)
    checkFinite(loop, {
      metric: Number.isFinite(loss) ? "gradNorm" : "loss",
      value: Number.isFinite(loss) ? gradNorm : loss,
      step,
    });
  if (loop.optimizer.lossScale) return;
  for (const [metric, value] of Object.entries(losses)) checkFinite(loop, { metric, value, step });
}

function checkFinite(
  loop: Loop,
  { metric, value, step }: { metric: string; value: number; step: number },
): void {
  if (Number.isFinite(value)) return;
  throw new NonFiniteError({ metric, value, epoch: loop.progress.epoch, step, lr: learningRate(loop, step) });
}

/** The log's results of an evaluation. */
function testRecord({ trained, averaged }: Results): Partial<EpochRecord> {
  const record = (
    prefix: string,
    { loss, acc1, acc5, heads, tokens }: EvaluationMetrics,
  ): Partial<EpochRecord> => ({
    [`${prefix}_loss`]: loss,
    [`${prefix}_acc1`]: acc1,
    [`${prefix}_acc5`]: acc5,
    [`${prefix}_heads`]: Object.fromEntries(Object.entries(heads).map(([name, head]) => [name, { ...head }])),
    ...(tokens && { [`${prefix}_token_similarity`]: { ...tokens } }),
  });
  return { ...record("test", trained), ...(averaged && record("test_ema", averaged)) };
}

/** What the log says of a teacher beside the student; tells once when there is no more room for its answers. */
function teacherRecord(loop: Loop): Partial<EpochRecord> {
  const { teacher } = loop.executables;
  if (teacher === undefined) return {};
  const { cache } = teacher;
  if (cache?.full === true && !loop.toldFull) {
    loop.toldFull = true;
    loop.onEvent({
      type: "warning",
      message:
        "there is no more room for the teacher's answers: the rest is computed again (--teacher-cache-gib)",
    });
  }
  const known = cache && { teacher_hits: cache.statistics.hits, teacher_misses: cache.statistics.misses };
  return { teacher_seconds: loop.taught / 1000, ...known };
}

/** Means of the task's losses over the epoch's batches. What is no loss (a gradient's norm) is left out. */
function meanLosses({ progress, steps }: Loop): Record<string, number> {
  const losses = Object.entries(progress.lossSums).filter(([name]) => /(?:^|_)loss$/.test(name));
  const counted = Math.max(1, steps - progress.lost);
  return Object.fromEntries(losses.map(([name, total]) => [name, total / counted]));
}

/** Adds a batch's losses to the epoch's, unless they are no numbers. */
function count(progress: Progress, losses: Readonly<Record<string, number>>): void {
  if (!Number.isFinite(losses["loss"])) {
    progress.lost++;
    return;
  }
  const { lossSums } = progress;
  for (const [name, value] of Object.entries(losses))
    if (Number.isFinite(value)) lossSums[name] = (lossSums[name] ?? 0) + value;
}

/** One-element outputs as numbers. */
function scalars(outputs: Readonly<Record<string, TensorData>>): Record<string, number> {
  return Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, Number(data[0])]));
}
