/** The compiled programs of a run, loaded on its device. */
import type { Dataset } from "../data/dataset.ts";
import type { Teacher } from "../distillation/teacher.ts";
import { isOurs, teacherLogits } from "../distillation/teacher.ts";
import { evaluationProgram } from "../evaluation/program.ts";
import type { ProgramOptions } from "../evaluation/program.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/layout.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Executable, Runtime } from "../runtime/runtime.ts";
import { applyProgram, gradProgram, stepProgram } from "./program.ts";
import type { TrainingPlan } from "./plan.ts";
import type { TrainingOptions } from "./program.ts";
import type { TeacherAnswers, TeacherCacheSettings } from "./teacher.ts";
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

/** The parts of a plan that decide the programs. */
export type ProgramSettings = Pick<TrainingPlan, "batches" | "images" | "normalisation" | "step" | "machine">;

interface ProgramSetup {
  readonly plan: ProgramSettings;
  readonly model: Model;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  readonly teacher: Teacher | undefined;
  /** Where the teacher's answers are kept; undefined: nowhere. */
  readonly cache: TeacherCacheSettings | undefined;
  /** The training pictures. */
  readonly pictures: Dataset;
}

export async function loadPrograms(
  runtime: Runtime,
  { plan, model, layout, optimizer, teacher, cache, pictures }: ProgramSetup,
): Promise<Executables> {
  const { batchSize, accumulationSteps } = plan.batches;
  const shared: ProgramOptions = {
    model,
    layout,
    batchSize,
    target: runtime.target,
    normalisation: plan.normalisation,
  };
  const turnSettings = { accumulationSteps, stepsPerRun: plan.machine.stepsPerRun };
  // A teacher of ours is part of the program, unless its answers are to be kept.
  const inside = teacher !== undefined && isOurs(teacher) && cache === undefined;
  const training: TrainingOptions = {
    ...plan.step,
    optimizer,
    teacher: inside ? (pixels) => teacherLogits(teacher, pixels, shared.normalisation) : teacher && "input",
  };
  const beside = {
    teacher:
      teacher === undefined || inside
        ? undefined
        : await loadTeacher(runtime, shared, { teacher, plan, cache, pictures }),
    evaluate: await runtime.load(evaluationProgram(shared)),
    evaluateAverage: optimizer.average
      ? await runtime.load(evaluationProgram(shared, { slot: optimizer.average.slot }))
      : undefined,
  };
  if (accumulationSteps === 1) {
    const step = stepProgram(shared, { ...training, ahead: mostTurns(turnSettings, runtime.device) });
    const count = turnsFor(turnSettings, { device: runtime.device, step });
    const turns = await loadTurns(runtime, step, count);
    return { batch: await runtime.load(step), turns, apply: undefined, ...beside };
  }
  const grad = gradProgram(shared, training, { batches: accumulationSteps });
  turnsFor(turnSettings, { device: runtime.device, step: grad });
  return {
    batch: await runtime.load(grad),
    turns: undefined,
    apply: await runtime.load(applyProgram(shared, training)),
    ...beside,
  };
}
