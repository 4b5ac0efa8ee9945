/** What an epoch comes to: its losses, its validation, whether it is the best one, and its line in the log. */
import type { EvaluationMetrics } from "../../evaluation/metrics/metrics.ts";
import type { LoopSettings } from "./cadence.ts";
import type { Progress, WeightsKind } from "./run-progress.ts";
import { isBetter } from "./run-progress.ts";
import type { EpochRecord } from "../run/run-log.ts";
import type { TeacherAnswers } from "./teacher-answers.ts";

/** What was measured after an epoch: the trained weights, and their average where it is kept. */
export interface Results {
  readonly trained: EvaluationMetrics;
  readonly averaged?: EvaluationMetrics;
}

/** The weights that did better on the validation images (joint classifier); the trained ones, if equal. */
function better({ trained, averaged }: Results): EvaluationMetrics & { weights: WeightsKind } {
  return averaged !== undefined && averaged.acc1 > trained.acc1
    ? { ...averaged, weights: "averaged" }
    : { ...trained, weights: "trained" };
}

/** Makes the epoch that was trained the best one, if it is: where none is chosen, the last that is saved. Says whether. */
export function noteBest(
  progress: Progress,
  results: Results,
  { selectEpoch, epochs, saveEvery }: Pick<LoopSettings, "selectEpoch" | "epochs" | "saveEvery">,
): boolean {
  const { acc1, acc5, loss, weights } = better(results);
  const { epoch, best } = progress;
  const isSaved = epoch + 1 === epochs || (epoch + 1) % saveEvery === 0;
  if (selectEpoch === "last" ? !isSaved : !isBetter({ acc1, loss }, best)) return false;
  progress.best = { epoch, acc1, acc5, loss, since: acc1 === best?.acc1 ? best.since : epoch, weights };
  return true;
}

/** Means of the task's losses over the batches of the epoch. What is not a loss (a gradient's norm) is left out. */
export function meanLosses(
  { lossSums, lost }: Progress,
  { steps }: { steps: number },
): Record<string, number> & { loss: number } {
  const losses = Object.entries(lossSums).filter(([name]) => /(?:^|_)loss$/.test(name));
  const counted = Math.max(1, steps - lost);
  return { loss: Number.NaN, ...Object.fromEntries(losses.map(([name, sum]) => [name, sum / counted])) };
}

/** What an epoch's line in the log says besides its results. */
export interface EpochFacts {
  readonly epoch: number;
  readonly losses: Readonly<Record<string, number>> & { readonly loss: number };
  /** Of the last update. */
  readonly lr: number;
  readonly parameters: number;
  readonly seconds: number;
  /** Part of `seconds` in which the model waited for images. */
  readonly waitingSeconds: number;
  /** Part of `seconds` from a rank's last batch of an update to the sum of all gradients; undefined in one process. */
  readonly exchangeSeconds: number | undefined;
  /** A teacher beside the student, and the part of `seconds` that the student waited for it. */
  readonly teacher: { readonly answers: TeacherAnswers; readonly seconds: number } | undefined;
  /** Where the loss is scaled. */
  readonly scaling: { readonly skipped: number; readonly lossScale: number | undefined } | undefined;
}

/** An epoch's line in the log. */
export function epochRecord(results: Results | undefined, facts: EpochFacts): EpochRecord {
  const { losses, teacher, scaling } = facts;
  const { loss, ...parts } = losses;
  const cache = teacher?.answers.cache?.statistics;
  return {
    epoch: facts.epoch,
    train_loss: loss,
    ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [`train_${name}`, value])),
    train_lr: facts.lr,
    ...(results && { test_images: results.trained.images }),
    ...(results && testRecord("test", results.trained)),
    ...(results?.averaged && testRecord("test_ema", results.averaged)),
    n_parameters: facts.parameters,
    seconds: facts.seconds,
    waiting_seconds: facts.waitingSeconds,
    ...(facts.exchangeSeconds !== undefined && { exchange_seconds: facts.exchangeSeconds }),
    ...(teacher && { teacher_seconds: teacher.seconds }),
    ...(cache && { teacher_hits: cache.hits, teacher_misses: cache.misses }),
    ...(scaling && { skipped_updates: scaling.skipped }),
    ...(scaling?.lossScale !== undefined && { loss_scale: scaling.lossScale }),
  };
}

/** The log's results of an evaluation. */
function testRecord(
  prefix: "test" | "test_ema",
  { loss, acc1, acc5, heads, tokens, teacherSimilarity, own = {} }: EvaluationMetrics,
): Partial<EpochRecord> {
  return {
    [`${prefix}_loss`]: loss,
    [`${prefix}_acc1`]: acc1,
    [`${prefix}_acc5`]: acc5,
    [`${prefix}_heads`]: Object.fromEntries(Object.entries(heads).map(([name, head]) => [name, { ...head }])),
    ...Object.fromEntries(Object.entries(own).map(([name, value]) => [`${prefix}_${name}`, value])),
    ...(teacherSimilarity !== undefined && { [`${prefix}_teacher_similarity`]: teacherSimilarity }),
    ...(tokens && { [`${prefix}_token_similarity`]: { ...tokens } }),
  };
}
