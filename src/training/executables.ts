/** The compiled programs of a run, loaded on its device. */
import type { TrainOptions } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import { distillation } from "../distillation/losses.ts";
import type { Teacher } from "../distillation/teacher.ts";
import { isOurs, teacherLogits } from "../distillation/teacher.ts";
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
import { binaryCrossEntropy, softTargetCrossEntropy } from "../nn/losses.ts";
import { classification } from "./task.ts";
import type { Task } from "./task.ts";
import type { TeacherAnswers } from "./teacher.ts";
import { loadTeacher } from "./teacher.ts";
import { loadTurns, mostTurns, turnsFor } from "./turns.ts";
import type { Turns } from "./turns.ts";

export interface Executables {
  /** Forward, backward and update of a batch; or with accumulation, its first two thirds. */
  readonly batch: Executable;
  /** How several batches go together; undefined where that is not done. */
  readonly turns: Turns | undefined;
  /** The update after accumulated batches; undefined when `batch` does it itself. */
  readonly apply: Executable | undefined;
  readonly evaluate: Executable;
  /** The teacher, when it runs beside the student. */
  readonly teacher: TeacherAnswers | undefined;
  /** Evaluates the averaged weights, when they are kept. */
  readonly evaluateAverage: Executable | undefined;
}

/** What the options ask of the training programs. */
export function trainingOptions(options: TrainOptions, optimizer: Optimizer): TrainingOptions {
  const { dropPath, drop, attnDrop, reprob, clipGrad, recompute } = options;
  return {
    task: taskFor(options),
    optimizer,
    // What comes before a head that is trained alone gives the same features as in use.
    evaluationMode: !options.trainMode || options.trainable === "head",
    dropPath,
    drop,
    attnDrop,
    recompute,
    erasing: reprob > 0,
    mixing: mixupOptions(options) !== undefined,
    clipGrad: clipGrad ?? undefined,
  };
}

/** True labels alone, or with what a teacher says. */
function taskFor(options: TrainOptions): Task {
  const criterion = options.bceLoss ? binaryCrossEntropy : softTargetCrossEntropy;
  const { distillationType: type } = options;
  if (type === "none") return classification(criterion, { joint: !options.trainMode });
  return distillation(
    {
      type,
      alpha: options.distillationAlpha,
      tau: options.distillationTau,
      reduction: options.distillationReduction,
      head: options.distillationHead,
      trueLabels: options.distillationLabels,
    },
    criterion,
  );
}

interface ProgramSetup {
  readonly options: TrainOptions;
  readonly model: Model;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  readonly teacher: Teacher | undefined;
  /** The training pictures. */
  readonly pictures: Dataset;
}

export async function loadPrograms(
  runtime: Runtime,
  { options, model, layout, optimizer, teacher, pictures }: ProgramSetup,
): Promise<Executables> {
  const { batchSize, accumulationSteps, mean, std } = options;
  const shared: ProgramOptions = {
    model,
    layout,
    batchSize,
    target: runtime.target,
    normalisation: { mean, std },
  };
  const own = trainingOptions(options, optimizer);
  // A teacher of ours is part of the program, unless its answers are to be kept.
  const inside = teacher !== undefined && isOurs(teacher) && options.teacherCache === null;
  const training: TrainingOptions = {
    ...own,
    teacher: inside ? (pixels) => teacherLogits(teacher, pixels, shared.normalisation) : teacher && "input",
  };
  const beside = {
    teacher:
      teacher === undefined || inside
        ? undefined
        : await loadTeacher(runtime, shared, { teacher, options, pictures, batch: own }),
    evaluate: await runtime.load(evaluationProgram(shared)),
    evaluateAverage: options.modelEma
      ? await runtime.load(evaluationProgram(shared, { slot: EMA_SLOT }))
      : undefined,
  };
  if (accumulationSteps === 1) {
    const step = stepProgram(shared, { ...training, ahead: mostTurns(options, runtime.device) });
    const count = turnsFor(options, { device: runtime.device, step });
    const turns = await loadTurns(runtime, step, count);
    return { batch: await runtime.load(step), turns, apply: undefined, ...beside };
  }
  const grad = gradProgram(shared, training, { batches: accumulationSteps });
  turnsFor(options, { device: runtime.device, step: grad });
  return {
    batch: await runtime.load(grad),
    turns: undefined,
    apply: await runtime.load(applyProgram(shared, training)),
    ...beside,
  };
}
