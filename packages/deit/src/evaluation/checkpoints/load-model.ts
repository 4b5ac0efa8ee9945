/** A trained model with its weights in memory, from any checkpoint that checkpoint.ts opens. */
import type { PartialPreprocessing, Preprocessing } from "../../augmentation/preprocessing.ts";
import {
  completePreprocessing,
  describeAssumed,
  describeOtherSize,
  mergePreprocessing,
} from "../../augmentation/preprocessing.ts";
import { CheckpointError } from "../../errors.ts";
import { describeForeign } from "../../formats/architecture.ts";
import type { ModelMetadata } from "../../formats/model-metadata.ts";
import { LEFT_OUT } from "../../formats/find-weights.ts";
import { sizeOf } from "../../graph/shape.ts";
import { adaptation, gridOf } from "../../models/adapt.ts";
import type { Model } from "../../models/registry.ts";
import { createModel, modelOf } from "../../models/registry.ts";
import { checkTensors } from "../../nn/check-tensors.ts";
import type { Tensors } from "../../nn/parameters.ts";
import { modelLayout } from "../../nn/parameters.ts";
import type { Checkpoint, OpenCheckpointOptions } from "./checkpoint.ts";
import { openCheckpoint } from "./checkpoint.ts";

export interface LoadedModel {
  readonly model: Model;
  readonly tensors: Tensors;
  /** What the checkpoint says of itself; nothing for bare tensors. */
  readonly metadata: Partial<ModelMetadata>;
  /** How images are prepared: as options say, else the checkpoint, else DeiT's evaluation. */
  readonly preprocessing: Preprocessing;
  readonly file: string;
  /** What was changed or passed over, a sentence each. */
  readonly notes: readonly string[];
}

export interface LoadModelOptions extends OpenCheckpointOptions {
  /** Name of a registered model, for checkpoints that cannot be recognised. */
  readonly model?: string | undefined;
  /** [height, width] or a side, when it is not the checkpoint's own: position embeddings are interpolated. */
  readonly inputSize?: number | readonly [number, number] | undefined;
  /** Whether weights without a classifier are taken, for what their heads read: the classifier is then zeros. */
  readonly headless?: boolean | undefined;
  /** How images are prepared, where not as the checkpoint says. */
  readonly preprocessing?: PartialPreprocessing | undefined;
}

/**
 * Reads a checkpoint and finds its model: by `model`, else by what the checkpoint says, else by its shapes.
 * @throws DataError, FormatError, ConfigError; CheckpointError when tensors do not fit the model
 */
export async function loadModel(
  checkpointName: string,
  { model: name, inputSize, weights, headless = false, preprocessing: given }: LoadModelOptions = {},
): Promise<LoadedModel> {
  await using checkpoint = await openCheckpoint(checkpointName, { weights });
  const { path: file, metadata } = checkpoint;
  const asked = typeof inputSize === "number" ? ([inputSize, inputSize] as const) : inputSize;
  const own = name === undefined ? checkpoint.expectModel({ inputSize: asked }) : undefined;
  const { usualSize: usual } = own ?? {};
  // features of images as large as their classifiers are published for, not as the positions
  const size = asked ?? (headless && usual !== undefined ? ([usual, usual] as const) : undefined);
  const model = modelFor(checkpoint, { name: name ?? own?.name ?? "", own, inputSize: size });
  const notes: string[] = [...checkpoint.notes, ...(name === undefined ? checkpoint.assumptions : [])];
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const grid = gridOf(checkpoint.metadata.inputSize, model);
  for (const { name: parameter, shape } of model.parameters) {
    const found = adaptation({ name: parameter, shape }, { model, from: checkpoint.file.tensors, grid });
    if (found?.source !== parameter) continue; // a head or token of its own is what a checkpoint has to have
    const { data } = await checkpoint.file.readFloat32(parameter);
    tensors.set(parameter, { shape, data: found.convert(data) });
    if (found.note !== undefined) notes.push(found.note);
  }
  for (const [other, { shape }] of checkpoint.file.tensors)
    if (!tensors.has(other)) tensors.set(other, { shape, data: new Float32Array() });
  if (headless && addZeroHead(tensors, model))
    notes.push(`${file} has no classifier: its features are used, its predictions are meaningless`);
  check(tensors, { model, file, checkpoint, isNamed: name !== undefined });
  checkFinite(tensors, file);
  const said = mergePreprocessing(given, checkpoint.preprocessing);
  const preprocessing = completePreprocessing(model.config.inputSize, said, model.preprocessing);
  const assumed = checkpoint.isSure ? undefined : describeAssumed(file, { said, used: preprocessing });
  const other = size === undefined ? describeOtherSize(file, { said, used: preprocessing }) : undefined;
  notes.push(...[assumed, other].filter((note) => note !== undefined));
  return { model, tensors, metadata, preprocessing, file, notes };
}

/** Zeros for the classifier of a transformer that has none; whether there were none. */
function addZeroHead(
  tensors: Map<string, { shape: readonly number[]; data: Float32Array }>,
  { parameters, transformer }: Model,
): boolean {
  const heads = parameters.filter(({ name }) => /^head\.(?:weight|bias)$/.test(name));
  if (transformer === undefined || heads.some(({ name }) => tensors.has(name))) return false;
  for (const { name, shape } of heads) tensors.set(name, { shape, data: new Float32Array(sizeOf(shape)) });
  return true;
}

function modelFor(
  { file, metadata }: Checkpoint,
  {
    name,
    own,
    inputSize,
  }: { name: string; own: Model | undefined; inputSize: readonly [number, number] | undefined },
): Model {
  if (own !== undefined && inputSize === undefined) return own;
  if (own?.transformer !== undefined && inputSize !== undefined)
    return modelOf(own.name, { ...own.transformer, inputSize }, own);
  const size = { inputSize: inputSize ?? metadata.inputSize };
  const { classWeight } = own ?? createModel(name, size);
  const numClasses = file.tensors.get(classWeight)?.shape[0] ?? metadata.classes?.length;
  return createModel(name, { numClasses, ...size });
}

/** @throws CheckpointError saying what does not fit, and why that may be */
function check(
  tensors: Tensors,
  {
    model,
    file,
    checkpoint,
    isNamed,
  }: { model: Model; file: string; checkpoint: Checkpoint; isNamed: boolean },
): void {
  try {
    checkTensors(modelLayout(model), tensors);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const { missing, unexpected } = error;
    const hint = isNamed
      ? otherName({ model, checkpoint })
      : likelyCause({ missing, unexpected, model, checkpoint });
    const beside = checkpoint.notes.filter((note) => note.startsWith(LEFT_OUT)).map((note) => `\n  ${note}`);
    throw new CheckpointError(`${file} is not a ${model.name}: ${error.message}${beside.join("")}`, {
      code: "checkpoint/wrong-tensors",
      missing,
      unexpected,
      hint,
    });
  }
}

/** What to do when the model that was named is not the file's. */
function otherName({ model, checkpoint }: { model: Model; checkpoint: Checkpoint }): string {
  const said = checkpoint.metadata.model;
  if (said !== undefined && said !== model.name)
    return `The file names its model, ${said}: leave out --model.`;
  return checkpoint.architecture === undefined
    ? `Name the model that it was made for with --model; ${describeForeign(checkpoint.file.tensors)}.`
    : "Leave out --model: it is found by the tensors' shapes.";
}

/** Why a file does not hold the model that it seems to be. */
function likelyCause({
  missing,
  unexpected,
  model,
  checkpoint,
}: {
  missing: readonly string[];
  unexpected: readonly string[];
  model: Model;
  checkpoint: Checkpoint;
}): string {
  if (unexpected.length > 0 && unexpected.every((name) => name.startsWith("blocks.")))
    return "Its blocks are numbered with a gap: some are missing. The file was edited, or is one shard of several (give the index file).";
  if (missing.length === 0 && unexpected.length > 0)
    return "It was trained with parts that this model does not have (a decoder, another head). deit finetune starts from it without them.";
  if (missing.length > 0 && missing.every((name) => /^(?:head|head_dist|fc)\./.test(name)))
    return "It has no classifier, as after a pretraining without labels: deit finetune gives it one and trains it.";
  if (checkpoint.metadata.model === model.name)
    return `Its metadata names ${model.name}, which its tensors do not fit: name the right model with --model, or save it again.`;
  return "Tensors are missing: it is one shard of several (give the index file), was edited, or comes from another model.";
}

/** @throws CheckpointError for weights that are not numbers */
function checkFinite(tensors: Tensors, file: string): void {
  const broken = [...tensors].filter(([, { data }]) => !data.every(Number.isFinite)).map(([name]) => name);
  if (broken.length === 0) return;
  throw new CheckpointError(
    `${file} has values that are not finite in ${broken.length} of its tensors: ${broken.slice(0, 5).join(", ")}${broken.length > 5 ? ", …" : ""}`,
    {
      code: "checkpoint/not-finite",
      hint: "Its training diverged, or the file is damaged: take an earlier checkpoint.",
    },
  );
}
