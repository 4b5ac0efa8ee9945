/** A model with weights: random ones, or pretrained ones. */
import type { Preprocessing } from "../augmentation/preprocessing.ts";
import { completePreprocessing, DEIT_PREPROCESSING } from "../augmentation/preprocessing.ts";
import { ConfigError } from "../errors.ts";
import { openCheckpoint } from "../evaluation/checkpoints/checkpoint.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { PRETRAINED, pretrainedOf } from "../models/pretrained.ts";
import type { ModelOptions } from "../models/registry.ts";
import { createModel as describeModel } from "../models/registry.ts";
import { checkTensors } from "../nn/check-tensors.ts";
import { modelLayout, unpackTensors } from "../nn/parameters.ts";
import { initialWeights } from "../training/initial-weights.ts";
import { encodeModelMetadata } from "../formats/model-metadata.ts";
import { writeCheckpoint } from "../formats/safetensors-file.ts";

export interface CreateModelOptions extends ModelOptions {
  /**
   * true: the weights that are released for this model, fetched once; the first of several (`deit models --pretrained`). A
   * string: any checkpoint of such a model (file, run or model folder, Hub id, address, "deit3_small_patch16_224.fb_in22k_ft_in1k").
   * Default: random weights.
   */
  readonly pretrained?: boolean | string | undefined;
  /** Names of the classes by index; `numClasses` is then their number. */
  readonly classes?: readonly string[] | undefined;
  /** Of random weights: all of them, or the head where a checkpoint has other classes. Default 0. */
  readonly seed?: number | undefined;
}

/**
 * A registered model with its weights. `openClassifier` opens it, `saveModel` writes it, and `model` and `tensors` are what
 * step programs of `deit-ts/models` take. Positions are interpolated for another `inputSize`; a head of another number of
 * classes starts fresh. `notes` say so.
 *
 *     const { model, tensors } = await createModel("deit_tiny_patch16_224", { pretrained: true, numClasses: 10 });
 *
 * @throws ConfigError for an unknown name or option, or no released weights; CheckpointError, DataError for a checkpoint
 * that does not fit or cannot be had
 */
export async function createModel(
  name: string,
  { pretrained = false, classes, seed = 0, ...options }: CreateModelOptions = {},
): Promise<LoadedModel> {
  const numClasses = classes?.length ?? options.numClasses;
  const model = describeModel(name, { ...options, ...(numClasses !== undefined && { numClasses }) });
  const layout = modelLayout(model);
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(text);
  const source = pretrained === true ? releaseOf(name) : pretrained === false ? undefined : pretrained;
  await using checkpoint = source === undefined ? undefined : await openCheckpoint(source);
  const vectors = await initialWeights({ seed, checkpoint, warn: note, note }, { model, layout });
  const own = checkpoint?.metadata.classes;
  const known = classes ?? (own?.length === model.config.numClasses ? own : undefined);
  return {
    model,
    tensors: unpackTensors(layout, vectors),
    metadata: known === undefined ? {} : { classes: known },
    preprocessing: completePreprocessing(
      model.config.inputSize,
      checkpoint?.preprocessing,
      model.preprocessing,
    ),
    file: checkpoint?.path ?? name,
    notes,
  };
}

/**
 * Writes a model as a .safetensors file under timm's names, which this package, timm and others read.
 * @throws CheckpointError for tensors that are not the model's, DeitError for a file that cannot be written
 */
export async function saveModel(
  path: string,
  {
    model,
    tensors,
    metadata = {},
    preprocessing = DEIT_PREPROCESSING,
  }: Pick<LoadedModel, "model" | "tensors"> & {
    readonly metadata?: LoadedModel["metadata"];
    /** Default: ImageNet's mean and std, 224 of 256 pixels. */
    readonly preprocessing?: Pick<Preprocessing, "mean" | "std" | "cropRatio">;
  },
): Promise<void> {
  const { mean, std, cropRatio } = preprocessing;
  checkTensors(modelLayout(model), tensors);
  const { inputSize, numClasses } = model.config;
  await writeCheckpoint(path, {
    tensors,
    metadata: encodeModelMetadata({
      epoch: metadata.epoch ?? 0,
      metrics: metadata.metrics ?? {},
      classes: metadata.classes ?? Array.from({ length: numClasses }, (_, i) => `class ${i}`),
      model: model.name,
      inputSize,
      mean,
      std,
      extra: { ...metadata.extra, crop_ratio: String(cropRatio) },
    }),
  });
}

/** @throws ConfigError where there are no released weights */
function releaseOf(name: string): string {
  if (pretrainedOf(name) !== undefined) return name;
  throw new ConfigError("pretrained", `there are no released weights of ${name}`, {
    code: "checkpoint/not-found",
    hint: `There are of ${[...new Set(PRETRAINED.map(({ model }) => model))].join(", ")}. Or name a checkpoint: { pretrained: "weights.safetensors" }.`,
  });
}
