/** The parts of a run, each made from the options that concern it. */
import type { TrainCrop } from "../augmentation/transform.ts";
import type { TrainOptions } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Loader } from "../data/loader.ts";
import { createLoader } from "../data/loader.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { ConfigError } from "../errors.ts";
import { patchGrid } from "../models/patch-embed.ts";
import type { Model } from "../models/registry.ts";
import { createModel } from "../models/registry.ts";
import type { Layout } from "../nn/layout.ts";
import { adamW } from "../optim/adamw.ts";
import { modelLayout } from "../optim/groups.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Schedule } from "../optim/schedule.ts";
import { cosineByEpoch, cosineByStep, scaleLearningRate } from "../optim/schedule.ts";
import { sgd } from "../optim/sgd.ts";
import { createRuntime } from "../runtime/node.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** The model that options ask for, with its layout. @throws ConfigError for an unknown name, a size that the patch does not divide */
export function modelFor(
  { model: name, inputSize }: Pick<TrainOptions, "model" | "inputSize">,
  numClasses?: number,
): { model: Model; layout: Layout } {
  const model = createModel(name, { numClasses, inputSize: inputSize ?? undefined });
  patchGrid(model.config.inputSize, model.config.patchSize);
  return { model, layout: modelLayout(model) };
}

export function optimizerFor({ opt, weightDecay, optBetas, optEps, momentum }: TrainOptions): Optimizer {
  if (opt === "adamw") return adamW({ weightDecay, betas: optBetas, epsilon: optEps });
  return sgd({ weightDecay, momentum, nesterov: opt === "sgd" });
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
  const {
    batchSize,
    seed,
    crop,
    scale,
    ratio,
    hflip,
    trainInterpolation: interpolation,
    evalCropRatio,
  } = options;
  const size = model.config.inputSize;
  const [lowScale, highScale] = scale;
  const [lowRatio, highRatio] = ratio;
  const resized: TrainCrop = { kind: "resized", scale: [lowScale, highScale], ratio: [lowRatio, highRatio] };
  const cropOptions: TrainCrop =
    crop === "none" ? { kind: "centre" } : crop === "resized" ? resized : { kind: crop };
  return {
    training: createLoader({
      dataset: pictures,
      transform: { mode: "train", size, crop: cropOptions, flip: hflip, interpolation },
      plan: createPlan({ mode: "train", length: pictures.length, batchSize, seed }),
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
