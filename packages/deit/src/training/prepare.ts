/** What training and estimates begin with: a plan's images, model, teacher, device and loaders. */
import type { Dataset } from "../data/dataset.ts";
import { workerPool } from "../data/loading/loader-pool.ts";
import type { OpenedDatasets } from "../data/open.ts";
import { openDatasets } from "../data/open.ts";
import { planBatches } from "../data/loading/epoch-plan.ts";
import { workersFor } from "../data/loading/workers.ts";
import { FUNCTION, functionTeacher, requireTeacher } from "../distillation/teacher-function.ts";
import { openTeacher } from "../distillation/teacher.ts";
import type { Teacher } from "../distillation/teacher-program.ts";
import type { Precision } from "../graph/precision.ts";
import type { NamedClasses } from "../models/match-classes.ts";
import { buildModel } from "../models/model-request.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/parameters.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { createRuntime } from "../runtime/node.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RunLoaders } from "./loop/loaders.ts";
import { createLoaders } from "./loop/loaders.ts";
import type { GivenParts } from "./given-parts.ts";
import type { TrainingPlan } from "./plan.ts";
import { imagesToResume } from "./run/run-record.ts";
import { choosePrecision, optimizerIn } from "./choose-precision.ts";
import { seenBefore } from "./run/seen-before.ts";

export interface Prepared extends AsyncDisposable {
  /** All images by part. */
  readonly opened: OpenedDatasets;
  readonly images: Dataset;
  /** Those that it is measured with; the training images where there are no others. */
  readonly validation: Dataset;
  readonly onTraining: boolean;
  readonly model: Model;
  readonly layout: Layout;
  readonly teacher: Teacher | undefined;
  readonly runtime: Runtime;
  readonly precision: Precision;
  /** As the precision needs it. */
  readonly optimizer: Optimizer;
  readonly loaders: RunLoaders;
}

/** What it says while it prepares. */
export interface PrepareHooks {
  readonly warn?: (message: string) => void;
  readonly note?: (message: string) => void;
}

/** @throws DataError, ConfigError for too few images, DeviceError, and what a teacher's file is refused for */
export async function prepare(
  plan: TrainingPlan,
  { warn = () => {}, note = () => {} }: PrepareHooks = {},
  given: GivenParts = {},
): Promise<Prepared> {
  const recorded = await imagesToResume(plan.run.folder);
  const opened = await openDatasets({ ...plan.data, recorded, given: given.images }, { onNote: warn });
  const seen = await seenBefore(plan, opened);
  if (seen !== undefined) warn(seen);
  const { train: images, validation = images } = opened;
  planBatches(plan.batches, images.length); // refuses too few images before a device is opened
  const { classes } = images;
  const plain = buildModel(plan.model, classes.length);
  const student = { numClasses: classes.length, classes };
  const teacher =
    plan.teacher && (await teacherOf(plan.teacher, { plan, model: plain.model, given, student, warn }));
  const head = plan.teacher?.embedding;
  const { model, layout } =
    teacher === undefined || head === undefined
      ? plain
      : buildModel(plan.model, classes.length, { width: teacher.width, head });
  const { device, workers, cores } = plan.machine;
  const threads = plan.machine.threads ?? cores;
  const runtime = await createRuntime({ device, ...(threads !== undefined && { threads }) });
  const loaders = createLoaders(plan, {
    training: images,
    validation,
    size: model.config.inputSize,
    first: given.transform,
    pool: (dataset) => workerPool(workersFor(dataset, workers, cores)),
  });
  const close = async (): Promise<void> => {
    await Promise.all([loaders.training.close(), loaders.validation.close(), runtime.close()]);
  };
  try {
    const { precision, note: choice } = await choosePrecision(plan.machine.precision, runtime.device);
    if (choice !== undefined) note(choice);
    return {
      opened,
      images,
      validation,
      onTraining: validation === images,
      model,
      layout,
      teacher,
      runtime,
      precision,
      optimizer: optimizerIn(plan.optimizer, precision),
      loaders,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The teacher that the plan names, or the function that code gives. */
async function teacherOf(
  request: NonNullable<TrainingPlan["teacher"]>,
  {
    plan,
    model,
    given,
    ...rest
  }: {
    plan: TrainingPlan;
    model: Model;
    given: GivenParts;
    student: NamedClasses;
    warn: (message: string) => void;
  },
): Promise<Teacher> {
  if (given.teacher === undefined) {
    requireTeacher(request.path);
    return openTeacher(request, rest);
  }
  return functionTeacher(given.teacher, {
    name: request.path.slice(FUNCTION.length),
    cached: request.cache !== undefined,
    embedding: request.embedding !== undefined,
    inputSize: model.config.inputSize,
    normalisation: plan.normalisation,
    numClasses: model.config.numClasses,
  });
}
