/**
 * The plan of a run: its options, checked and turned once into parts that are made beside their own code. Loader,
 * programs, loop and run folder each take the part that concerns them; nothing else sees all options.
 */
import type { Normalisation } from "../augmentation/normalisation.ts";
import type { TrainingImages } from "../augmentation/training-images.ts";
import { trainingImages } from "../augmentation/training-images.ts";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import type { TrainOptions } from "../config/schema.ts";
import { MAY_DIFFER_ON_RESUME } from "../config/schema.ts";
import type { DataOptions } from "../data/open.ts";
import type { BatchSettings } from "../data/loading/epoch-plan.ts";
import type { TeacherRequest } from "../distillation/distillation-request.ts";
import { distillationRequest, distillationWarnings } from "../distillation/distillation-request.ts";
import { distillation } from "../distillation/losses.ts";
import type { ModelRequest } from "../models/model-request.ts";
import { modelRequest } from "../models/model-request.ts";
import { binaryCrossEntropy, softTargetCrossEntropy } from "../nn/losses.ts";
import { createOptimizer } from "../optim/create-optimizer.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Schedule } from "../optim/schedule.ts";
import { scheduleOf } from "../optim/schedule.ts";
import type { LoopSettings } from "./loop/cadence.ts";
import type { TrainingOptions } from "./loop/training-programs.ts";
import { checkGroup } from "./loop/step-groups.ts";
import type { TargetOptions } from "./task.ts";
import { classification, targetOptions } from "./task.ts";

export interface TrainingPlan {
  /** Which images, and which of them are held out. */
  readonly data: DataOptions;
  /** Which images make up which step. */
  readonly batches: BatchSettings;
  /** What happens to training images. */
  readonly images: TrainingImages;
  /** How an image is prepared for validation; its size is that of the model's input. */
  readonly evaluation: Omit<EvaluationTransformOptions, "size">;
  /** What the model sees of bytes, in training and validation. */
  readonly normalisation: Normalisation;
  readonly targets: TargetOptions;
  readonly model: ModelRequest;
  /** The checkpoint that a new run starts from; undefined: random weights. */
  readonly finetune: FinetuneRequest | undefined;
  /** Loss and forward pass of the training programs; the optimizer depends on the precision, the teacher on its file. */
  readonly step: Omit<TrainingOptions, "optimizer" | "teacher" | "ahead">;
  readonly teacher: TeacherRequest | undefined;
  /** With the average of the weights, where it is kept; before a loss scale. */
  readonly optimizer: Optimizer;
  /** Learning rate by epoch and update of the epoch, given the updates of an epoch and the batches of an update. */
  readonly schedule: (updatesPerEpoch: number, batchesPerUpdate?: number) => Schedule;
  readonly loop: LoopSettings;
  readonly machine: MachineSettings;
  readonly run: RunSettings;
  /** What the user should hear of these options. */
  readonly warnings: readonly string[];
}

/** The checkpoint that a new run starts from. */
export interface FinetuneRequest {
  readonly path: string;
  /** Which weights of a file that holds several; undefined: the trained ones. */
  readonly weights?: string | undefined;
}

/** Where and how it is computed: nothing of it changes what comes of a run, but for rounding. */
export interface MachineSettings {
  readonly device: "auto" | "cpu" | "webgpu" | "cuda";
  /** Null: one for each core. */
  readonly threads: number | null;
  /** Threads that prepare images; null: by the number of cores. */
  readonly workers: number | null;
  /** Cores for both, where this process has not all of them. */
  readonly cores?: number | undefined;
  readonly precision: "float32" | "float16" | "auto";
  readonly recompute: boolean;
  /** Steps that the device gets together; null: as many as suit it. */
  readonly stepsPerRun: number | null;
}

export interface RunSettings {
  readonly folder: string;
  /** What args.yaml records, and a resume compares: every option by name. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Options that a resume may change. */
  readonly mayDiffer: readonly string[];
}

/** What a plan says of images, from the file to the program: all that loaders and previews need. */
export type ImagePlan = Pick<
  TrainingPlan,
  "data" | "batches" | "images" | "evaluation" | "normalisation" | "targets"
>;

/** @throws ConfigError for options that contradict each other */
export function planImages(options: TrainOptions): ImagePlan {
  const { dataPath, dataSet, valSplit, holdOut, numTrain, seed, batchSize, accumulationSteps } = options;
  return {
    data: { dataPath, dataSet, valSplit, holdOut, numTrain, seed },
    batches: {
      batchSize,
      accumulationSteps,
      seed,
      repeats: options.repeatedAug ? options.augRepeats : 1,
    },
    images: trainingImages(options),
    evaluation: { mode: "evaluation", cropRatio: options.evalCropRatio },
    normalisation: { mean: options.mean, std: options.std },
    targets: targetOptions(options),
  };
}

/**
 * `continues`: the run in `outputDir` goes on, and may be longer than it was planned.
 * @throws ConfigError for options that contradict each other, before anything is opened or written
 */
export function planTraining(
  options: TrainOptions,
  { continues = false }: { continues?: boolean } = {},
): TrainingPlan {
  const { request, model } = modelRequest(options);
  const distilled = distillationRequest(options, model);
  checkGroup(options);
  const imagePlan = planImages(options);
  const { images, targets } = imagePlan;
  const criterion = targets.binary ? binaryCrossEntropy : softTargetCrossEntropy;
  return {
    ...imagePlan,
    model: request,
    finetune:
      options.finetune === null
        ? undefined
        : { path: options.finetune, weights: options.weights ?? undefined },
    step: {
      task: distilled
        ? distillation(distilled.losses, criterion)
        : classification(criterion, { joint: !options.trainMode }),
      // What comes before a head that is trained alone gives the same features as in use.
      evaluationMode: !options.trainMode || options.trainable === "head",
      dropPath: options.dropPath,
      drop: options.drop,
      attnDrop: options.attnDrop,
      recompute: options.recompute,
      erasing: images.transform.erasing !== undefined,
      mixing: images.mixup !== undefined,
      clipGrad: options.clipGrad ?? undefined,
    },
    teacher: distilled?.teacher,
    optimizer: createOptimizer(options),
    schedule: scheduleOf(options),
    loop: {
      epochs: options.epochs,
      patience: options.patience,
      selectEpoch: options.selectEpoch,
      evalEvery: options.evalEvery,
      saveEvery: options.saveEvery,
      saveSteps: options.saveSteps,
      saveMinutes: options.saveMinutes,
    },
    machine: {
      device: options.device,
      threads: options.threads,
      workers: options.workers,
      precision: options.precision,
      recompute: options.recompute,
      stepsPerRun: options.stepsPerRun,
    },
    run: {
      folder: options.outputDir,
      args: options,
      mayDiffer: continues ? [...MAY_DIFFER_ON_RESUME, "epochs"] : MAY_DIFFER_ON_RESUME,
    },
    warnings: distillationWarnings(options, model),
  };
}
