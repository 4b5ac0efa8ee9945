/** What a training run says while it goes on, and the two ways in which it stops early. */
import type { SelectionRule } from "../run/best-epoch.ts";
import { DeitError } from "../../errors.ts";
import { shellWord } from "../../printable.ts";

export type TrainEvent =
  | {
      readonly type: "start";
      readonly run: string;
      readonly model: string;
      readonly parameters: number;
      readonly device: string;
      readonly trainImages: number;
      /** Different images that an epoch shows: a part of them with repeated augmentation. */
      readonly uniqueImages: number;
      /** Times that an epoch shows each of them: more than once with repeated augmentation. */
      readonly repeats: number;
      readonly valImages: number;
      /** Those of them that it does not train on: all or none. */
      readonly heldOut: number;
      /** Which epoch becomes best.safetensors. */
      readonly selection: SelectionRule;
      readonly classes: number;
      readonly stepsPerEpoch: number;
      readonly epochs: number;
      /** Name of the teacher, when there is one. */
      readonly teacher?: string;
      readonly resumedFrom?: { readonly epoch: number; readonly step: number };
    }
  | {
      readonly type: "step";
      readonly epoch: number;
      /** Steps of this epoch that are done. */
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly losses: Readonly<Record<string, number>>;
      /** Updates of this epoch that float16 made useless so far, and that were skipped. */
      readonly skipped: number;
      readonly lr: number;
      readonly imagesPerSecond: number;
      readonly secondsLeft: number;
    }
  | {
      readonly type: "epoch";
      readonly epoch: number;
      readonly epochs: number;
      readonly trainLoss: number;
      readonly testLoss: number;
      readonly acc1: number;
      readonly acc5: number;
      /** Top-1 of the averaged weights, when they are kept. */
      readonly averageAcc1?: number;
      /** Of a student of embeddings: mean cosine with the teacher's on the validation images. */
      readonly teacherSimilarity?: number;
      /** What metrics of `train` measured, by name. */
      readonly metrics?: Readonly<Record<string, number>>;
      /** Part of `seconds` in which the model waited for images. */
      readonly waitingSeconds: number;
      readonly best: boolean;
      readonly seconds: number;
    }
  | { readonly type: "evaluate"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string }
  /** Something that was done as it should be, and is worth a line. */
  | { readonly type: "note"; readonly message: string }
  | { readonly type: "saved"; readonly path: string };

/** The run was asked to stop, and has saved. */
export class InterruptedError extends DeitError {
  override readonly name = "InterruptedError";
  readonly run: string;
  constructor(run: string) {
    super(`stopped and saved in ${run}`, {
      code: "run/interrupted",
      hint: `Go on with: deit train ${shellWord(run)}`,
    });
    this.run = run;
  }
}

/** A loss or gradient that is not a finite number; what was saved last stays as it is. */
export class NonFiniteError extends DeitError {
  override readonly name = "NonFiniteError";
  readonly metric: string;
  readonly epoch: number;
  readonly step: number;
  constructor({
    metric,
    value,
    epoch,
    step,
    lr,
  }: {
    metric: string;
    value: number;
    epoch: number;
    step: number;
    lr: number;
  }) {
    super(
      `${metric} is ${value} in epoch ${epoch + 1}, step ${step + 1}, at a learning rate of ${lr.toPrecision(3)}`,
      {
        code: "run/diverged",
        hint: "The run has diverged and stopped; what it saved before is unchanged. Try a smaller --lr, a longer --warmup-epochs, or --clip-grad 1.",
      },
    );
    this.metric = metric;
    this.epoch = epoch;
    this.step = step;
  }
}
