/**
 * Learning rate over a run: warm-up, then cosine (§6, Table 9), steps or a constant. Pure functions of the
 * position; they hold no state, so resuming needs nothing from here. Not the optimizer.
 * Two forms. Per epoch, as the reference trains: one rate an epoch, one epoch late, since its loop advances the
 * scheduler after the epoch. Per step: the rate changes with every step.
 */

/** Learning rate of step `step` (from 0) in epoch `epoch` (from 0). Per-epoch schedules ignore the step. */
export type Schedule = (epoch: number, step: number) => number;

/** What all schedules start with. Rates are absolute: scale `lr` with {@link scaleLearningRate} before. */
export interface WarmupOptions {
  /** Peak learning rate. */
  lr: number;
  /** Rate that the warm-up starts from; never scaled by the batch. */
  warmupLr?: number;
  warmupEpochs?: number;
}

export interface CosineOptions extends WarmupOptions {
  /** Length of the run: the cosine ends there. */
  epochs: number;
  /** Where the cosine ends; never scaled by the batch. */
  minLr?: number;
}

export interface StepDecayOptions extends WarmupOptions {
  /** The rate is multiplied by `decayRate` every so many epochs. */
  decayEpochs?: number;
  decayRate?: number;
}

/** The options that a run's schedule is made from. */
export interface ScheduleFlags {
  readonly sched: "cosine" | "step" | "constant";
  /** A rate for each epoch, as the reference, or for each update. */
  readonly schedUnit: "epoch" | "step";
  readonly epochs: number;
  /** For 512 images an update, unless `unscaleLr`. */
  readonly lr: number;
  readonly unscaleLr: boolean;
  readonly batchSize: number;
  readonly accumulationSteps: number;
  readonly warmupEpochs: number;
  readonly warmupLr: number;
  readonly minLr: number;
  readonly decayEpochs: number;
  readonly decayRate: number;
}

/**
 * The learning rate over a run, by epoch and update of the epoch, given how many updates an epoch has, and of how many
 * batches an update is where several processes share it.
 */
export function scheduleOf(
  flags: ScheduleFlags,
): (updatesPerEpoch: number, batchesPerUpdate?: number) => Schedule {
  const { epochs, warmupEpochs, warmupLr, minLr, sched, schedUnit, decayEpochs, decayRate } = flags;
  return (updatesPerEpoch, batchesPerUpdate = flags.accumulationSteps) => {
    const lr = flags.unscaleLr ? flags.lr : scaleLearningRate(flags.lr, flags.batchSize * batchesPerUpdate);
    // A constant is a cosine between equal ends, so that it has its warm-up, too.
    const shape = { lr, epochs, warmupEpochs, warmupLr, minLr: sched === "constant" ? lr : minLr };
    if (sched === "step") return stepDecayByEpoch({ ...shape, decayEpochs, decayRate });
    if (schedUnit === "epoch") return cosineByEpoch(shape);
    return cosineByStep({ ...shape, stepsPerEpoch: updatesPerEpoch });
  };
}

/**
 * The rate for a batch of `totalBatch` images a step (all processes, accumulation included), given the rate
 * for 512 (§6: lr_scaled = lr / 512 · batch size). Only the peak is scaled: not warmupLr, not minLr.
 */
export function scaleLearningRate(lr: number, totalBatch: number): number {
  return (lr * totalBatch) / 512;
}

/**
 * timm's cosine at time `t` in epochs: linear warm-up, and a cosine over the whole run that is not shifted
 * by the warm-up, so it is already under way (0.99932 of the peak for 5 of 300) when the warm-up ends.
 */
function cosineAt(
  t: number,
  { lr, epochs, minLr = 1e-5, warmupLr = 1e-6, warmupEpochs = 5 }: CosineOptions,
): number {
  if (t < warmupEpochs) return warmupLr + (t * (lr - warmupLr)) / warmupEpochs;
  if (t >= epochs) return minLr;
  return minLr + 0.5 * (lr - minLr) * (1 + Math.cos((Math.PI * t) / epochs));
}

/** The reference's schedule: epoch e trains with the rate of time max(e − 1, 0), so epochs 0 and 1 share theirs. */
export function cosineByEpoch(options: CosineOptions): Schedule {
  return lateByOneEpoch((t) => cosineAt(t, options));
}

export interface CosineByStepOptions extends CosineOptions {
  stepsPerEpoch: number;
  /**
   * What the cosine spans. "rest": the steps after the warm-up, so that it starts at the peak (the default;
   * most later recipes). "whole": the whole run, as the reference's, cut in by the warm-up.
   */
  span?: "rest" | "whole";
}

/**
 * Step by step, without lag: step 0 trains with warmupLr, the first step after the warm-up with the peak (span
 * "rest"), and minLr would come one step after the last.
 */
export function cosineByStep({ stepsPerEpoch, span = "rest", ...options }: CosineByStepOptions): Schedule {
  const { lr, epochs, minLr = 1e-5, warmupEpochs = 5 } = options;
  return (epoch, step) => {
    const t = epoch + step / stepsPerEpoch;
    if (span === "whole" || t < warmupEpochs || t >= epochs) return cosineAt(t, options);
    return (
      minLr + 0.5 * (lr - minLr) * (1 + Math.cos((Math.PI * (t - warmupEpochs)) / (epochs - warmupEpochs)))
    );
  };
}

/** The reference's `--sched step`: warm-up, then lr · decayRate^⌊t / decayEpochs⌋; one epoch late as well. */
export function stepDecayByEpoch({
  lr,
  warmupLr = 1e-6,
  warmupEpochs = 5,
  decayEpochs = 30,
  decayRate = 0.1,
}: StepDecayOptions): Schedule {
  return lateByOneEpoch((t) => {
    if (t < warmupEpochs) return warmupLr + (t * (lr - warmupLr)) / warmupEpochs;
    return lr * decayRate ** Math.floor(t / decayEpochs);
  });
}

/** One rate for the whole run. */
export function constantSchedule(lr: number): Schedule {
  return () => lr;
}

function lateByOneEpoch(rate: (t: number) => number): Schedule {
  return (epoch) => rate(Math.max(epoch - 1, 0));
}
