/** When the loop validates, saves and stops. */
import type { SelectionRule } from "../run/best-epoch.ts";
import type { Progress } from "./run-progress.ts";

/** How long the loop goes on, and how often it validates and saves. */
export interface LoopSettings {
  readonly epochs: number;
  /** Validations without a better top-1 after which it stops; null: never. */
  readonly patience: number | null;
  /** Which epoch becomes best.safetensors. */
  readonly selectEpoch: "auto" | SelectionRule;
  /** In epochs. */
  readonly evalEvery: number;
  readonly saveEvery: number;
  /** Also within an epoch; null: not. */
  readonly saveSteps: number | null;
  readonly saveMinutes: number | null;
}

/** Whether nothing is left to train: all epochs are done, or patience is at an end. */
export function isDone(settings: LoopSettings, progress: Pick<Progress, "epoch" | "step" | "best">): boolean {
  return progress.epoch >= settings.epochs || isStalled(settings, progress);
}

/** Whether so many validations as --patience says have passed since the best one. */
function isStalled(
  { patience, evalEvery }: LoopSettings,
  { epoch, step, best }: Pick<Progress, "epoch" | "step" | "best">,
): boolean {
  if (patience === null || best === undefined || step !== 0) return false;
  return epoch - 1 - best.since >= patience * evalEvery;
}

/** Whether an epoch ends with a validation. */
export function isValidated({ epochs, evalEvery }: LoopSettings, epoch: number): boolean {
  return epoch === epochs - 1 || (epoch + 1) % evalEvery === 0;
}

/** Whether the state is saved when so many epochs are done. */
export function isSavedAfter(settings: LoopSettings, progress: Progress): boolean {
  return isDone(settings, progress) || progress.epoch % settings.saveEvery === 0;
}

/** Whether the state is saved amid an epoch, `step` steps into it and so many milliseconds after the last save. */
export function isSavedWithin(
  { saveSteps, saveMinutes }: LoopSettings,
  { step, sinceSave }: { step: number; sinceSave: number },
): boolean {
  if (saveSteps !== null && step % saveSteps === 0) return true;
  return saveMinutes !== null && sinceSave >= saveMinutes * 60_000;
}

/** How many steps may go to the device together from `step` on: no save and no end of an epoch lies within. */
export function stepsTogether(
  { saveSteps }: LoopSettings,
  { step, steps, largest }: { step: number; steps: number; largest: number },
): number {
  const untilSave = saveSteps === null ? steps : saveSteps - (step % saveSteps);
  return Math.max(1, Math.min(largest, steps - step, untilSave));
}
