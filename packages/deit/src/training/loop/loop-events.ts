/** The events of the loop, made from where it stands. */
import type { Loader } from "../../data/loading/loader.ts";
import type { LoopSettings } from "./cadence.ts";
import type { EpochFacts, Results } from "./epoch-record.ts";
import type { TrainEvent } from "./events.ts";
import type { Progress } from "./run-progress.ts";
import type { Speed } from "./speed.ts";
import type { FinishedStep } from "./steps.ts";

/** A step is done. */
export function stepEvent(
  {
    progress,
    speed,
    settings,
    loaders,
  }: {
    readonly progress: Progress;
    readonly speed: Speed;
    readonly settings: Pick<LoopSettings, "epochs">;
    readonly loaders: { readonly training: Pick<Loader, "steps"> };
  },
  { losses, lr }: FinishedStep,
): TrainEvent {
  const { epoch, step, skipped } = progress;
  const { steps } = loaders.training;
  return {
    type: "step",
    epoch,
    step,
    steps,
    loss: losses["loss"] ?? Number.NaN,
    losses,
    skipped,
    lr,
    imagesPerSecond: speed.imagesPerSecond,
    secondsLeft: speed.secondsFor((settings.epochs - epoch) * steps - step),
  };
}

/** An epoch is done and saved. */
export function epochEvent(
  { epoch, losses, seconds, waitingSeconds }: EpochFacts,
  { epochs, isBest, results }: { epochs: number; isBest: boolean; results: Results | undefined },
): TrainEvent {
  return {
    type: "epoch",
    epoch,
    epochs,
    trainLoss: losses.loss,
    testLoss: results?.trained.loss ?? Number.NaN,
    acc1: results?.trained.acc1 ?? Number.NaN,
    acc5: results?.trained.acc5 ?? Number.NaN,
    ...(results?.averaged && { averageAcc1: results.averaged.acc1 }),
    ...(results?.trained.teacherSimilarity !== undefined && {
      teacherSimilarity: results.trained.teacherSimilarity,
    }),
    ...(results?.trained.own && { metrics: results.trained.own }),
    waitingSeconds,
    best: isBest,
    seconds,
  };
}

/** A run ends before its last epoch, since it learns no more. */
export function stalledEvent({ epoch, best }: Progress): TrainEvent {
  const message = `stopped after epoch ${epoch}: top-1 has not risen since epoch ${(best?.since ?? 0) + 1}`;
  return { type: "note", message };
}
