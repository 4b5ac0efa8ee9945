/** The compiled programs of a run, loaded on its device. */
import type { Teacher } from "../../distillation/teacher-program.ts";
import { isTraced, tracedAnswers } from "../../distillation/teacher-program.ts";
import { evaluationProgram } from "../../evaluation/evaluation-program.ts";
import type { ProgramOptions } from "../../evaluation/evaluation-program.ts";
import type { ExtraFeeds } from "../../evaluation/logits.ts";
import type { Model } from "../../models/registry.ts";
import type { Layout } from "../../nn/parameters.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import type { Executable, Runtime } from "../../runtime/runtime.ts";
import { applyProgram, gradProgram, stepProgram } from "./training-programs.ts";
import type { TrainingPlan } from "../plan.ts";
import type { TrainingOptions } from "./training-programs.ts";
import type { AnswerCache, TeacherAnswers } from "./teacher-answers.ts";
import { loadEvaluationFeeds, loadTeacherAnswers } from "./teacher-answers.ts";
import { loadStepGroup, largestGroup, groupSize } from "./step-groups.ts";
import type { StepGroup } from "./step-groups.ts";

export interface Executables {
  /** Forward, backward and update of a batch; or with accumulation, its first two thirds. */
  readonly batch: Executable;
  /** How several batches go together; undefined where that is not done. */
  readonly group: StepGroup | undefined;
  /** The update after accumulated batches; undefined when `batch` does it itself. */
  readonly apply: Executable | undefined;
  readonly evaluate: Executable;
  /** What evaluation is fed with besides images; undefined: nothing. */
  readonly evaluationFeeds?: ExtraFeeds | undefined;
  /** The teacher, when it runs beside the student. */
  readonly teacher: TeacherAnswers | undefined;
  /** Evaluates the averaged weights, when they are kept. */
  readonly evaluateAverage: Executable | undefined;
}

/** The parts of a plan that decide the programs. */
export type ProgramSettings = Pick<TrainingPlan, "batches" | "normalisation" | "step" | "machine">;

interface ProgramSetup {
  readonly plan: ProgramSettings;
  readonly model: Model;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  readonly teacher: Teacher | undefined;
  /** Where the teacher's answers are kept; undefined: nowhere. */
  readonly cache?: AnswerCache | undefined;
}

export async function loadPrograms(
  runtime: Runtime,
  { plan, model, layout, optimizer, teacher, cache }: ProgramSetup,
): Promise<Executables> {
  const { batchSize, accumulationSteps } = plan.batches;
  const shared: ProgramOptions = {
    model,
    layout,
    batchSize,
    target: runtime.target,
    normalisation: plan.normalisation,
  };
  const groupSettings = { accumulationSteps, stepsPerRun: plan.machine.stepsPerRun };
  // A teacher that can be traced is part of the program, unless its answers are to be kept.
  const inside = teacher !== undefined && isTraced(teacher) && cache === undefined;
  const training: TrainingOptions = {
    ...plan.step,
    optimizer,
    teacher: inside ? (pixels) => tracedAnswers(teacher, pixels, shared.normalisation) : teacher && "input",
  };
  const beside = {
    teacher:
      teacher === undefined || inside
        ? undefined
        : await loadTeacherAnswers(runtime, shared, { teacher, inputs: plan.step, cache }),
    evaluate: await runtime.load(evaluationProgram(shared)),
    evaluationFeeds:
      teacher?.answers === "embedding" ? await loadEvaluationFeeds(runtime, shared, teacher) : undefined,
    evaluateAverage: optimizer.average
      ? await runtime.load(evaluationProgram(shared, { slot: optimizer.average.slot }))
      : undefined,
  };
  if (accumulationSteps === 1) {
    const step = stepProgram(shared, { ...training, ahead: largestGroup(groupSettings, runtime.device) });
    const count = groupSize(groupSettings, { device: runtime.device, step });
    const group = await loadStepGroup(runtime, step, count);
    return { batch: await runtime.load(step), group, apply: undefined, ...beside };
  }
  const grad = gradProgram(shared, training, { batches: accumulationSteps });
  return {
    batch: await runtime.load(grad),
    group: undefined,
    apply: await runtime.load(applyProgram(shared, training)),
    ...beside,
  };
}
