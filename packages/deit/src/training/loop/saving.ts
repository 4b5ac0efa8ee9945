/** Saving: amid an epoch, at its end, when a run is stopped, and when the device's memory was not enough. */
import { DeviceError } from "../../errors.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { LoopSettings } from "./cadence.ts";
import { isSavedWithin } from "./cadence.ts";
import type { TrainEvent } from "./events.ts";
import { InterruptedError } from "./events.ts";
import type { SizeSettings } from "../memory-needs.ts";
import { withMemoryAdvice } from "../memory-needs.ts";
import type { Progress } from "./run-progress.ts";
import { captureState } from "./run-progress.ts";
import type { ModelOwner } from "../run/run-models.ts";
import { saveModel } from "../run/run-models.ts";
import type { RunState } from "../run/run-state.ts";

export interface SavingParts extends ModelOwner {
  readonly runtime: Runtime;
  readonly optimizer: Optimizer;
  readonly progress: Progress;
  readonly settings: LoopSettings;
  /** What decides how much memory a step takes. */
  readonly sizes: SizeSettings;
  readonly onEvent: (event: TrainEvent) => void;
}

export class Saving {
  private readonly parts: SavingParts;
  /** On the clock of `performance`. */
  private savedAt = performance.now();

  constructor(parts: SavingParts) {
    this.parts = parts;
  }

  /** Whether to save after the last step, amid an epoch. */
  get isDue(): boolean {
    const { settings, progress } = this.parts;
    const sinceSave = performance.now() - this.savedAt;
    return isSavedWithin(settings, { step: progress.step, sinceSave });
  }

  /** Saves where the run stands. */
  async save(): Promise<RunState> {
    const { run, progress, onEvent } = this.parts;
    const state = await captureState(this.parts, progress);
    await run.saveState(state);
    this.savedAt = performance.now();
    onEvent({ type: "saved", path: run.path });
    return state;
  }

  /** Saves the epoch that was logged last, as a state and as models. */
  async saveEpoch({ isBest }: { isBest: boolean }): Promise<void> {
    const state = await this.save();
    if (isBest) await saveModel(this.parts, "best", state);
    await saveModel(this.parts, "last", state);
    if (this.parts.optimizer.average) await saveModel(this.parts, "ema", state);
  }

  /** Saves where the run stands and leaves it. @throws InterruptedError */
  async stop(): Promise<never> {
    await this.save();
    throw new InterruptedError(this.parts.run.path);
  }

  /** Ends a run by the error of a step. One that does not fit into memory has changed nothing, so that it can still be saved. */
  async fail(cause: unknown): Promise<never> {
    const { progress, sizes } = this.parts;
    const isWhole = progress.step % sizes.accumulationSteps === 0; // accumulated gradients are not saved
    if (cause instanceof DeviceError && cause.outOfMemory && isWhole) {
      // Where the state cannot be read any more, what was saved before is what there is.
      await this.save().catch(() => {});
    }
    throw withMemoryAdvice(cause, sizes, { saved: true });
  }
}
