/** The compiled programs of a run, loaded on its device. */
import type { TrainOptions } from "../config/schema.ts";
import { evaluationProgram } from "../evaluation/program.ts";
import type { ProgramOptions } from "../evaluation/program.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/layout.ts";
import { EMA_SLOT } from "../optim/ema.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Executable, Runtime } from "../runtime/runtime.ts";
import { applyProgram, gradProgram, stepProgram } from "./program.ts";
import type { TrainingOptions } from "./program.ts";
import { mixupOptions } from "./setup.ts";
import { binaryClassification, classification } from "./task.ts";

export interface Executables {
  /** Forward, backward and update of a batch; or with accumulation, its first two thirds. */
  readonly batch: Executable;
  /** The update after accumulated batches; undefined when `batch` does it itself. */
  readonly apply: Executable | undefined;
  readonly evaluate: Executable;
  /** Evaluates the averaged weights, when they are kept. */
  readonly evaluateAverage: Executable | undefined;
}

/** What the options ask of the training programs. */
export function trainingOptions(options: TrainOptions, optimizer: Optimizer): TrainingOptions {
  const { bceLoss, dropPath, drop, attnDrop, reprob, clipGrad } = options;
  return {
    task: bceLoss ? binaryClassification : classification,
    optimizer,
    dropPath,
    drop,
    attnDrop,
    erasing: reprob > 0,
    mixing: mixupOptions(options) !== undefined,
    clipGrad: clipGrad ?? undefined,
  };
}

export async function loadPrograms(
  runtime: Runtime,
  {
    options,
    model,
    layout,
    optimizer,
  }: { options: TrainOptions; model: Model; layout: Layout; optimizer: Optimizer },
): Promise<Executables> {
  const { batchSize, accumulationSteps, mean, std } = options;
  const shared: ProgramOptions = {
    model,
    layout,
    batchSize,
    target: runtime.target,
    normalisation: { mean, std },
  };
  const training = trainingOptions(options, optimizer);
  const evaluation = {
    evaluate: await runtime.load(evaluationProgram(shared)),
    evaluateAverage: options.modelEma
      ? await runtime.load(evaluationProgram(shared, { slot: EMA_SLOT }))
      : undefined,
  };
  if (accumulationSteps === 1) {
    return { batch: await runtime.load(stepProgram(shared, training)), apply: undefined, ...evaluation };
  }
  return {
    batch: await runtime.load(gradProgram(shared, training, { batches: accumulationSteps })),
    apply: await runtime.load(applyProgram(shared, training)),
    ...evaluation,
  };
}
