/**
 * The loop: epochs of steps, a validation and a save after each. It knows no loss, no model, no device and no disk.
 * Resumed at any step it gives the same run, bit for bit: all randomness comes from (seed, epoch, step).
 */
import { evaluate } from "../../evaluation/evaluate.ts";
import { tellWarnings } from "../../evaluation/logits.ts";
import type { EvaluationMetrics } from "../../evaluation/metrics/metrics.ts";
import { METER_NUMBERS } from "../../evaluation/metrics/metrics.ts";
import type { Metrics } from "../../evaluation/own-metrics.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import { gatherParts } from "../../ranks/ranks.ts";
import type { Executable } from "../../runtime/runtime.ts";
import { isDone, isSavedAfter, isValidated, stepsTogether } from "./cadence.ts";
import type { EpochFacts, Results } from "./epoch-record.ts";
import { epochRecord, meanLosses, noteBest } from "./epoch-record.ts";
import type { RunLoaders } from "./loaders.ts";
import { NonFiniteError } from "./events.ts";
import { epochEvent, stalledEvent, stepEvent } from "./loop-events.ts";
import type { Executables } from "./load-programs.ts";
import { nextEpoch } from "./run-progress.ts";
import type { SavingParts } from "./saving.ts";
import { Saving } from "./saving.ts";
import { alignState } from "./spread-state.ts";
import { ownBatches, shareUpdates } from "./share-update.ts";
import { Speed, Stopwatch } from "./speed.ts";
import { inGroups, runSteps } from "./step-groups.ts";
import type { StepParts } from "./steps.ts";
import { Steps } from "./steps.ts";
import { tellFullCache } from "./teacher-answers.ts";

/** What a run consists of: where images come from, what executes, where it is kept, and what each part goes by. */
export interface LoopParts extends StepParts, SavingParts {
  readonly executables: Executables;
  readonly loaders: RunLoaders;
  readonly validationImages: number;
  /** Measured in validation besides accuracy and loss. */
  readonly metrics?: Metrics | undefined;
  /** Aborting saves after the current steps and throws InterruptedError. */
  readonly signal: AbortSignal | undefined;
  /** The processes that share the batches of every update; undefined: this one alone. */
  readonly ranks: Ranks | undefined;
}

/** A loop that runs. */
interface Loop extends LoopParts {
  readonly steps: Steps;
  readonly saving: Saving;
  readonly speed: Speed;
  /** How long the model has waited for images. */
  readonly waiting: Stopwatch;
  /** How long its gradients have waited for the other ranks, and been summed. */
  readonly exchange: Stopwatch;
}

/** Trains from where `progress` stands to the last epoch. @throws InterruptedError, NonFiniteError, DataError */
export async function runEpochs(parts: LoopParts): Promise<{ imagesPerSecond: number }> {
  const { settings, progress, loaders, onEvent } = parts;
  const steps = await Steps.open(parts, parts.runtime);
  const speed = new Speed(loaders.training.batchSize);
  const loop: Loop = {
    ...parts,
    steps,
    saving: new Saving(parts),
    speed,
    waiting: new Stopwatch(),
    exchange: new Stopwatch(),
  };
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const tellBroken = tellWarnings([loaders.training, loaders.validation], warn);
  const tellFull = tellFullCache(parts.executables.teacher, warn);
  while (!isDone(settings, progress)) {
    const started = performance.now();
    await trainEpoch(loop);
    const results = isValidated(settings, progress.epoch) ? await validate(loop) : undefined;
    tellBroken();
    tellFull();
    await finishEpoch(loop, { results, started });
  }
  if (progress.epoch < settings.epochs) onEvent(stalledEvent(progress));
  return { imagesPerSecond: speed.imagesPerSecond };
}

/** The steps of one epoch that are still to do. */
async function trainEpoch(loop: Loop): Promise<void> {
  const { executables, loaders, settings, sizes, progress, signal, steps, saving, speed, waiting, ranks } =
    loop;
  const { steps: total } = loaders.training;
  const largest = executables.group?.count ?? 1;
  const batches = sizes.accumulationSteps;
  const { program } = executables.batch;
  const share = ranks && shareUpdates({ ...loop, ranks, program, batches });
  if (ranks === undefined && signal?.aborted) await saving.stop();
  waiting.reset();
  loop.exchange.reset();
  steps.teaching.reset();
  if (progress.step >= total) return; // it was left within its validation
  const loaded = loaders.training.epoch(progress.epoch, { from: progress.step });
  waiting.start();
  for await (const group of inGroups(loaded, ({ step }) =>
    ranks
      ? ownBatches(step, { batches, ...ranks })
      : stepsTogether(settings, { step, steps: total, largest }),
  )) {
    waiting.stop();
    speed.start();
    const own = await runSteps(executables, steps.feeds(group), group.length);
    loop.exchange.start();
    const shared = await share?.(own, {
      stop: signal?.aborted ?? false,
      save: ranks?.rank === 0 && saving.isDueAt(progress.step + batches),
    });
    loop.exchange.stop();
    const { results, failure } = shared ?? own;
    speed.stop(results.length);
    for (const outputs of results) {
      const done = await steps.finish(progress.step, outputs).catch(async (error) => saving.fail(error));
      loop.onEvent(stepEvent(loop, done));
    }
    if (failure !== undefined) await saving.fail(failure.error);
    const isUpdate = progress.step % batches === 0; // accumulated gradients are not saved
    if (isUpdate && (shared ? shared.stop : signal?.aborted)) await saving.stop();
    const isDue = isUpdate && progress.step < total && (shared?.save ?? saving.isDueAt(progress.step));
    if (isDue) await saving.save();
    waiting.start();
  }
  speed.pause();
}

/** @throws NonFiniteError when the weights have become useless without a step having shown it */
async function validate(loop: Loop): Promise<Results> {
  const { executables, loaders, model, validationImages: total, metrics, onEvent, steps, ranks } = loop;
  const { numClasses } = model.config;
  const signal = ranks === undefined ? loop.signal : undefined; // ranks stop together, after it
  const { steps: count } = loaders.validation;
  const feeds = executables.evaluationFeeds;
  const share =
    ranks && ((own: readonly Float64Array[]) => gatherParts(ranks, own, { count, length: METER_NUMBERS }));
  const measure = async (executable: Executable): Promise<EvaluationMetrics> =>
    evaluate(
      { executable, feeds, loader: loaders.validation, numClasses, total, metrics, share },
      { onEvent, signal },
    );
  try {
    const trained = await measure(executables.evaluate);
    steps.checkFinite({ metric: "test_loss", value: trained.loss, step: loaders.training.steps - 1 });
    const average = executables.evaluateAverage;
    const results = { trained, ...(average && { averaged: await measure(average) }) };
    if (ranks !== undefined && (await wantStop(ranks, loop.signal))) await loop.saving.stop();
    return results;
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return loop.saving.stop();
    throw error instanceof NonFiniteError ? (ranks?.shared(error) ?? error) : error;
  }
}

/** Whether one of the ranks was asked to stop. */
async function wantStop(ranks: Ranks, signal: AbortSignal | undefined): Promise<boolean> {
  const asked = Float64Array.of(Number(signal?.aborted ?? false));
  await ranks.sum([asked]);
  return asked[0] !== 0;
}

/** Logs and saves the epoch that was just trained, and goes on to the next. */
async function finishEpoch(
  loop: Loop,
  { results, started }: { results: Results | undefined; started: number },
): Promise<void> {
  const { run, progress, settings, executables, loaders, optimizer, steps, saving } = loop;
  const { epoch, skipped } = progress;
  const { steps: total } = loaders.training;
  const isBest = results !== undefined && noteBest(progress, results, settings);
  const answers = executables.teacher;
  const facts: EpochFacts = {
    epoch,
    losses: meanLosses(progress, { steps: total }),
    lr: steps.learningRate(epoch, total - 1),
    parameters: loop.layout.parameters,
    seconds: (performance.now() - started) / 1000,
    waitingSeconds: loop.waiting.seconds,
    exchangeSeconds: loop.ranks && loop.exchange.seconds,
    teacher: answers && { answers, seconds: steps.teaching.seconds },
    scaling: optimizer.lossScale && { skipped, lossScale: steps.lossScale },
  };
  if (loop.ranks !== undefined && (await alignState(loop.ranks, loop, progress)))
    loop.onEvent({
      type: "warning",
      message: `the ranks' weights differed by rounding after epoch ${epoch + 1}: all go on with those of rank 0`,
    });
  nextEpoch(progress);
  await run.appendEpoch(epochRecord(results, facts));
  // The best weights are saved whenever they come: later ones are another model's.
  if (isBest || isSavedAfter(settings, progress)) await saving.saveEpoch({ isBest });
  loop.onEvent(epochEvent(facts, { epochs: settings.epochs, isBest, results }));
}
