/** The compiled programs of a run, loaded on its device. */
import type { TrainOptions } from "../config/schema.ts";
import { evaluationProgram } from "../evaluation/program.ts";
import type { ProgramOptions } from "../evaluation/program.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/layout.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Executable, Runtime } from "../runtime/runtime.ts";
import { applyProgram, gradProgram, stepProgram } from "./program.ts";
import type { TrainingOptions } from "./program.ts";
import { classification } from "./task.ts";

export interface Executables {
  /** Forward, backward and update of a batch; or with accumulation, its first two thirds. */
  readonly batch: Executable;
  /** The update after accumulated batches; undefined when `batch` does it itself. */
  readonly apply: Executable | undefined;
  readonly evaluate: Executable;
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
  const { batchSize, accumulationSteps, dropPath, clipGrad, mean, std } = options;
  const shared: ProgramOptions = {
    model,
    layout,
    batchSize,
    target: runtime.target,
    normalisation: { mean, std },
  };
  const training: TrainingOptions = {
    task: classification,
    optimizer,
    dropPath,
    clipGrad: clipGrad ?? undefined,
  };
  const evaluate = await runtime.load(evaluationProgram(shared));
  if (accumulationSteps === 1) {
    return { batch: await runtime.load(stepProgram(shared, training)), apply: undefined, evaluate };
  }
  return {
    batch: await runtime.load(gradProgram(shared, training, { batches: accumulationSteps })),
    apply: await runtime.load(applyProgram(shared, training)),
    evaluate,
  };
}
