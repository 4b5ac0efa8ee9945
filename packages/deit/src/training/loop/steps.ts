/** The steps of a run: what each is fed with, and what its results do to the run's progress. */
import type { Batch } from "../../data/loading/loader.ts";
import type { Model } from "../../models/registry.ts";
import type { Layout } from "../../nn/parameters.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import type { Schedule } from "../../optim/schedule.ts";
import type { Runtime, TensorData } from "../../runtime/runtime.ts";
import { NonFiniteError } from "./events.ts";
import type { FeedSettings } from "./step-feeds.ts";
import { batchFeeds, hyperFeeds } from "./step-feeds.ts";
import type { Executables } from "./load-programs.ts";
import type { Progress } from "./run-progress.ts";
import { skippedUpdates } from "./run-progress.ts";
import { Stopwatch } from "./speed.ts";
import { withAnswers } from "./teacher-answers.ts";

export interface StepParts {
  readonly plan: FeedSettings;
  readonly model: Model;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  readonly executables: Pick<Executables, "batch" | "apply" | "teacher">;
  /** Learning rate by epoch and update of the epoch. */
  readonly schedule: Schedule;
  /** What an image of each class weighs; undefined when all weigh the same. */
  readonly classWeights: Float32Array | undefined;
  /** Changed by every step that is finished. */
  readonly progress: Progress;
}

/** A step that is done. */
export interface FinishedStep {
  /** All that the step returned that is one number: losses, norms. */
  readonly losses: Readonly<Record<string, number>>;
  readonly lr: number;
}

type Results = Readonly<Record<string, TensorData>>;

export class Steps {
  /** How long the student has waited for a teacher beside it. */
  readonly teaching = new Stopwatch();
  /** Of the last update, where the loss is scaled. */
  lossScale: number | undefined;
  private readonly parts: StepParts;
  /** Updates that were skipped since the loss is scaled. */
  private skipped: number;

  private constructor(parts: StepParts, skipped: number) {
    this.parts = parts;
    this.skipped = skipped;
  }

  /** Goes on from the device's state. */
  static async open(parts: StepParts, runtime: Runtime): Promise<Steps> {
    return new Steps(parts, parts.optimizer.lossScale ? await skippedUpdates(runtime) : 0);
  }

  /** What each of these steps is fed with, before any of them is done: as if none of them were skipped. */
  async *feeds(batches: readonly Batch[]): AsyncGenerator<Results> {
    const { executables, progress } = this.parts;
    const { program } = executables.batch;
    const { epoch, updates } = progress;
    const { skipped } = this;
    for (const [i, batch] of batches.entries()) {
      const images = batchFeeds({ ...this.parts, program }, { epoch, ...batch });
      this.teaching.start();
      const feeds = await withAnswers(executables.teacher, { epoch, step: batch.step, feeds: images });
      this.teaching.stop();
      const update = { update: updates + 1 + i, lr: this.learningRate(epoch, batch.step), skipped };
      yield executables.apply ? feeds : { ...feeds, ...hyperFeeds({ ...this.parts, program }, update) };
    }
  }

  /**
   * Counts the results of a step; with accumulation, makes the update that it completes.
   * @throws NonFiniteError, and what the device throws
   */
  async finish(step: number, results: Results): Promise<FinishedStep> {
    const { plan, executables, progress } = this.parts;
    const isUpdate = (step + 1) % plan.batches.accumulationSteps === 0;
    const lr = this.learningRate(progress.epoch, step);
    const hyper = hyperFeeds(this.parts, { update: progress.updates + 1, lr });
    const applied = isUpdate ? await executables.apply?.run(hyper) : {};
    const losses = scalars({ ...results, ...applied });
    const isSkipped = losses["overflow"] === 1;
    this.check(losses, { isSkipped, step });
    progress.step = step + 1;
    countLosses(progress, losses);
    if (isSkipped) {
      progress.skipped++;
      this.skipped++;
    } else if (isUpdate) progress.updates++;
    this.lossScale = losses["lossScale"] ?? this.lossScale;
    return { losses, lr };
  }

  /** Rate of the update that a batch is part of. */
  learningRate(epoch: number, step: number): number {
    const { schedule, plan } = this.parts;
    return schedule(epoch, Math.floor(step / plan.batches.accumulationSteps));
  }

  /** @throws NonFiniteError for a value that is none */
  checkFinite({ metric, value, step }: { metric: string; value: number; step: number }): void {
    if (Number.isFinite(value)) return;
    const { epoch } = this.parts.progress;
    throw new NonFiniteError({ metric, value, epoch, step, lr: this.learningRate(epoch, step) });
  }

  /** With a loss scale, an overflow is not a reason to stop: that update is skipped, and the scale goes down. */
  private check(
    losses: Readonly<Record<string, number>>,
    { isSkipped, step }: { isSkipped: boolean; step: number },
  ): void {
    const { loss = Number.NaN, gradNorm = Number.NaN, lossScale } = losses;
    if (isSkipped && lossScale !== undefined && lossScale <= LEAST_SCALE) {
      const [metric, value] = Number.isFinite(loss)
        ? (["gradNorm", gradNorm] as const)
        : (["loss", loss] as const);
      this.checkFinite({ metric, value, step });
    }
    if (this.parts.optimizer.lossScale) return;
    for (const [metric, value] of Object.entries(losses)) this.checkFinite({ metric, value, step });
  }
}

/** Below this a smaller loss scale helps no more: it is not the scale that makes gradients overflow. */
const LEAST_SCALE = 2 ** -10;

/** Adds a batch's losses to the epoch's, unless they are not numbers. */
function countLosses(progress: Progress, losses: Readonly<Record<string, number>>): void {
  if (!Number.isFinite(losses["loss"])) {
    progress.lost++;
    return;
  }
  const { lossSums } = progress;
  for (const [name, value] of Object.entries(losses))
    if (Number.isFinite(value)) lossSums[name] = (lossSums[name] ?? 0) + value;
}

/** One-element outputs as numbers. */
function scalars(outputs: Results): Record<string, number> {
  return Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, Number(data[0])]));
}
