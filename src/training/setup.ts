/** The parts of a run, each made from the options that concern it. */
import type { MixupOptions } from "../augmentation/mixup.ts";
import { checkPairs } from "../augmentation/mixup.ts";
import type { TrainCrop, TrainTransformOptions } from "../augmentation/transform.ts";
import { createTransform } from "../augmentation/transform.ts";
import type { TrainOptions } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Loader } from "../data/loader.ts";
import { createLoader } from "../data/loader.ts";
import type { Plan } from "../data/plan.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { needsTeacher } from "../distillation/teacher.ts";
import { ConfigError } from "../errors.ts";
import type { Model } from "../models/registry.ts";
import { createModel } from "../models/registry.ts";
import type { Layout } from "../nn/layout.ts";
import { adamW } from "../optim/adamw.ts";
import { modelLayout } from "../optim/groups.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { withEma } from "../optim/ema.ts";
import type { Schedule } from "../optim/schedule.ts";
import { cosineByEpoch, cosineByStep, scaleLearningRate, stepDecayByEpoch } from "../optim/schedule.ts";
import { sgd } from "../optim/sgd.ts";
import { createRuntime } from "../runtime/node.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** The model that options ask for, with its layout. @throws ConfigError for an unknown name, a size that the patch does not divide */
export function modelFor(
  options: Pick<TrainOptions, "model" | "inputSize" | "layerDecay" | "trainable" | "loraRank" | "loraAlpha">,
  numClasses?: number,
): { model: Model; layout: Layout } {
  const { layerDecay, trainable, loraRank: rank, loraAlpha: alpha } = options;
  const model = createModel(options.model, { numClasses, inputSize: options.inputSize ?? undefined });
  return {
    model,
    layout: modelLayout(model, { layerDecay: layerDecay ?? 1, trainable, lora: { rank, alpha } }),
  };
}

/** @throws ConfigError for options that only a transformer has a place for */
export function checkModelOptions(options: TrainOptions, { transformer, name }: Model): void {
  const { drop, attnDrop, trainable, finetune } = options;
  if (trainable !== "all" && finetune === null) {
    throw new ConfigError(
      "trainable",
      `--trainable ${trainable} would leave the other layers as they are drawn: it wants a checkpoint`,
      { hint: "Add --finetune CKPT, or leave out --trainable." },
    );
  }
  const depth = transformer?.depth ?? Number.POSITIVE_INFINITY;
  if (trainable.startsWith("last-") && Number(trainable.slice("last-".length)) > depth) {
    throw new ConfigError("trainable", `--trainable ${trainable}: ${name} has ${depth} blocks`, {
      hint: "Name fewer blocks, or --trainable all.",
    });
  }
  if (transformer !== undefined) return;
  const inBlocks = trainable === "lora" || trainable === "attention" ? "trainable" : undefined;
  const wrong = drop > 0 ? "drop" : attnDrop > 0 ? "attnDrop" : inBlocks;
  if (wrong === undefined) return;
  throw new ConfigError(
    wrong,
    `${name} is a convnet: there is nowhere for ${wrong} ${options[wrong]} in it`,
    {
      hint: "Leave that option out; --drop-path and --trainable head or last-N work for convnets, too.",
    },
  );
}

/**
 * What a picture of each class weighs in the loss: [K], 1 on average over the pictures; undefined when all weigh the same.
 */
export function classWeightsFor(
  { classWeights }: Pick<TrainOptions, "classWeights">,
  { labels, classes }: Pick<Dataset, "labels" | "classes">,
): Float32Array | undefined {
  if (classWeights === "none") return undefined;
  const counts = new Float32Array(classes.length);
  for (const label of labels) if (label >= 0) counts[label] = (counts[label] ?? 0) + 1;
  const present = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count === 0 ? 0 : labels.length / (present * count)));
}

/** The optimizer, which also keeps the average of the weights where that is wanted. */
export function optimizerFor(options: TrainOptions): Optimizer {
  const { opt, weightDecay, optBetas, optEps, momentum } = options;
  const optimizer =
    opt === "adamw"
      ? adamW({ weightDecay, betas: optBetas, epsilon: optEps })
      : sgd({ weightDecay, momentum, nesterov: opt === "sgd" });
  if (!options.modelEma) return optimizer;
  return withEma(optimizer, { decay: options.modelEmaDecay, warmup: options.modelEmaWarmup });
}

/** Batches of an epoch: those of whole updates. */
export function batchesPerEpoch(
  { accumulationSteps }: Pick<TrainOptions, "accumulationSteps">,
  loader: Pick<Loader, "steps">,
): number {
  return loader.steps - (loader.steps % accumulationSteps);
}

/** The learning rate over the run, by updates; scaled by the pictures of one update, as the reference. */
export function scheduleFor(options: TrainOptions, training: Pick<Loader, "steps">): Schedule {
  const { epochs, warmupEpochs, warmupLr, minLr, sched, schedUnit } = options;
  const batch = options.batchSize * options.accumulationSteps;
  const lr = options.unscaleLr ? options.lr : scaleLearningRate(options.lr, batch);
  // A constant is a cosine between equal ends, so that it has its warm-up, too.
  const shape = { lr, epochs, warmupEpochs, warmupLr, minLr: sched === "constant" ? lr : minLr };
  if (sched === "step")
    return stepDecayByEpoch({ ...shape, decayEpochs: options.decayEpochs, decayRate: options.decayRate });
  if (schedUnit === "epoch") return cosineByEpoch(shape);
  return cosineByStep({
    ...shape,
    stepsPerEpoch: batchesPerEpoch(options, training) / options.accumulationSteps,
  });
}

export async function openRuntime({
  device,
  threads,
}: Pick<TrainOptions, "device" | "threads">): Promise<Runtime> {
  return createRuntime({ device, ...(threads !== null && { threads }) });
}

export function loadersFor(
  options: TrainOptions,
  { model, pictures, validation }: { model: Model; pictures: Dataset; validation: Dataset },
): { training: Loader; validation: Loader } {
  const { batchSize, evalCropRatio } = options;
  const size = model.config.inputSize;
  return {
    training: createLoader({
      dataset: pictures,
      transform: trainTransform(options, size),
      plan: trainPlan(options, pictures.length),
      workers: workersFor(pictures, options.workers),
    }),
    validation: createLoader({
      dataset: validation,
      transform: { mode: "evaluation", size, cropRatio: evalCropRatio },
      plan: createPlan({ mode: "evaluation", length: validation.length, batchSize }),
      workers: workersFor(validation, options.workers),
    }),
  };
}

/** Which training pictures make up which step. */
export function trainPlan({ batchSize, seed, repeatedAug, augRepeats }: TrainOptions, length: number): Plan {
  return createPlan({ mode: "train", length, batchSize, seed, repeats: repeatedAug ? augRepeats : 1 });
}

/** What happens to each training picture. `size` is [height, width] of the model's input. */
export function trainTransform(
  options: TrainOptions,
  size: readonly [number, number],
): TrainTransformOptions {
  const { aa, threeAugment, colorJitter, reprob, remode, recount } = options;
  return {
    mode: "train",
    size,
    crop: trainCrop(options),
    flip: options.hflip,
    interpolation: options.trainInterpolation,
    ...(aa !== null && { augment: aa }),
    ...(threeAugment && { threeAugment }),
    ...(colorJitter > 0 && { colorJitter }),
    ...(reprob > 0 && { erasing: { probability: reprob, mode: remode, count: recount } }),
  };
}

function trainCrop({ crop, src, scale, ratio }: TrainOptions): TrainCrop {
  if (src) return { kind: "simple" };
  if (crop === "none") return { kind: "centre" };
  if (crop !== "resized") return { kind: crop };
  const [lowScale, highScale] = scale;
  const [lowRatio, highRatio] = ratio;
  return { kind: "resized", scale: [lowScale, highScale], ratio: [lowRatio, highRatio] };
}

/** Undefined when neither Mixup nor CutMix is on. */
export function mixupOptions({
  mixup,
  cutmix,
  cutmixMinmax,
  mixupProb: prob,
  mixupSwitchProb: switchProb,
  mixupMode: mode,
}: TrainOptions): MixupOptions | undefined {
  if (prob === 0 || (mixup === 0 && cutmix === 0 && cutmixMinmax === null)) return undefined;
  return { mixup, cutmix, cutmixMinmax, prob, switchProb, mode };
}

/** @throws ConfigError for a recipe that contradicts itself, before anything is opened or written */
export function checkRecipe(options: TrainOptions): void {
  createTransform(trainTransform(options, [1, 1])); // reads the policy
  const mixup = mixupOptions(options);
  if (mixup) checkPairs(options.batchSize);
  if (options.bceLoss && options.classWeights !== "none") {
    throw new ConfigError(
      "classWeights",
      "--bce-loss asks of each class by itself: it has no class weights",
      {
        hint: "Leave out one of them.",
      },
    );
  }
  if (!options.bceLoss || options.smoothing === 0) return;
  throw new ConfigError(
    "bceLoss",
    "--bce-loss wants labels without smoothing, which gives every class a part",
    {
      hint: "Add --smoothing 0.",
    },
  );
}

/** @throws ConfigError for a distillation that lacks its teacher or its head, or that nothing would come of */
export function checkDistillation(options: TrainOptions, { config: { distilled }, name }: Model): void {
  const { distillationType: type, distillationHead: head, distillationLabels, teacherPath } = options;
  if (type === "none") {
    if (teacherPath === null) return;
    throw new ConfigError("teacherPath", "there is a teacher, but nothing is learnt from it", {
      hint: "Add --distillation-type hard (or soft), or leave out --teacher-path.",
    });
  }
  if (needsTeacher(options) && teacherPath === null) {
    throw new ConfigError("teacherPath", `${type} distillation wants a teacher`, {
      hint: "Add --teacher-path with a .safetensors or .onnx file or a run folder.",
    });
  }
  if (!needsTeacher(options) && teacherPath !== null) {
    throw new ConfigError("teacherPath", `--distillation-type ${type} has no teacher`, {
      hint: "Leave out --teacher-path, or choose hard or soft.",
    });
  }
  if (head === "token" && !distilled) {
    throw new ConfigError("distillationHead", `${name} has no distillation token to learn with`, {
      hint: `Take its distilled form (--model ${distilledName(name)}), or --distillation-head class.`,
    });
  }
  if (head === "token") return;
  if (distilled || type === "labels" || distillationLabels > 0) {
    throw new ConfigError(
      "distillationHead",
      distilled
        ? `--distillation-head class would leave the distillation token of ${name} without a loss`
        : `--distillation-head class learns the true labels already`,
      {
        hint: distilled
          ? "Take the plain model, or --distillation-head token."
          : "Leave out --distillation-labels; for two class tokens take a distilled model.",
      },
    );
  }
}

function distilledName(name: string): string {
  return name.startsWith("deit_") ? name.replace("_patch", "_distilled_patch") : "deit_…_distilled_…";
}

/** @throws ConfigError when one update takes more pictures than there are */
export function checkBatch({ batchSize, accumulationSteps }: TrainOptions, pictures: Dataset): void {
  const needed = batchSize * accumulationSteps;
  if (needed <= pictures.length) return;
  throw new ConfigError(
    "batchSize",
    `one update takes ${needed} pictures (batch size ${batchSize}${accumulationSteps > 1 ? ` × ${accumulationSteps} accumulated` : ""}), but there are ${pictures.length} to train on`,
    {
      hint: `Use --batch-size ${Math.max(1, Math.floor(pictures.length / accumulationSteps))} or less, or more pictures.`,
    },
  );
}
