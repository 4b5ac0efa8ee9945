/** Saving: amid an epoch, at its end, when a run is stopped, and when the device's memory was not enough. */
import { DeviceError } from "../../errors.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { LoopSettings } from "./cadence.ts";
import { isSavedWithin } from "./cadence.ts";
import type { TrainEvent } from "./events.ts";
import { InterruptedError, NonFiniteError } from "./events.ts";
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
  /** Rank 0 saves, and the others wait for it. */
  readonly ranks: Ranks | undefined;
  readonly onEvent: (event: TrainEvent) => void;
}

export class Saving {
  private readonly parts: SavingParts;
  /** On the clock of `performance`. */
  private savedAt = performance.now();

  constructor(parts: SavingParts) {
    this.parts = parts;
  }

  /** Whether to save when so many steps of an epoch are done. */
  isDueAt(step: number): boolean {
    const sinceSave = performance.now() - this.savedAt;
    return isSavedWithin(this.parts.settings, { step, sinceSave });
  }

  /** Saves where the run stands. */
  async save(): Promise<void> {
    return this.byFirst(async () => void (await this.saveState()));
  }

  private async saveState(): Promise<RunState> {
    const { run, progress, onEvent } = this.parts;
    const state = await captureState(this.parts, progress);
    await run.saveState(state);
    this.savedAt = performance.now();
    onEvent({ type: "saved", path: run.path });
    return state;
  }

  /** Saves the epoch that was logged last, as a state and as models. */
  async saveEpoch({ isBest }: { isBest: boolean }): Promise<void> {
    return this.byFirst(async () => {
      const state = await this.saveState();
      if (isBest) await saveModel(this.parts, "best", state);
      await saveModel(this.parts, "last", state);
      if (this.parts.optimizer.average) await saveModel(this.parts, "ema", state);
    });
  }

  /** Work of rank 0. */
  private async byFirst(work: () => Promise<void>): Promise<void> {
    const { ranks } = this.parts;
    if (ranks === undefined || ranks.rank === 0) await work();
    await ranks?.meet({ patience: SAVING_PATIENCE });
  }

  /** Saves where the run stands and leaves it. @throws InterruptedError */
  async stop(): Promise<never> {
    await this.save();
    throw this.shared(new InterruptedError(this.parts.run.path));
  }

  /** Ends a run by the error of a step. One that does not fit into memory has changed nothing, so that it can still be saved. */
  async fail(cause: unknown): Promise<never> {
    const { progress, sizes, ranks } = this.parts;
    if (cause instanceof NonFiniteError) throw this.shared(cause); // every rank has found it
    const isShared = ranks === undefined || ranks.isShared(cause);
    const isWhole = progress.step % sizes.accumulationSteps === 0; // accumulated gradients are not saved
    if (cause instanceof DeviceError && cause.outOfMemory && isWhole && isShared) {
      // Where the state cannot be read any more, what was saved before is what there is.
      await this.byFirst(async () => void (await this.saveState().catch(() => {})));
    }
    const advised = withMemoryAdvice(cause, sizes, { saved: true });
    throw isShared ? this.shared(advised) : advised;
  }

  private shared<E>(error: E): E {
    return this.parts.ranks?.shared(error) ?? error;
  }
}

/** How many times longer than for a step the others wait for rank 0. */
const SAVING_PATIENCE = 10;
