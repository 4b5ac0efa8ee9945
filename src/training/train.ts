/**
 * `train`: from options to a trained model in a run folder. It sets everything up in the order listed below and
 * hands over to the loop (engine.ts). The command line calls this and nothing else.
 */
import type { TrainOptions } from "../config/schema.ts";
import { MAY_DIFFER_ON_RESUME } from "../config/schema.ts";
import { openDatasets } from "../data/open.ts";
import { ConfigError } from "../errors.ts";
import { readCheckpoint } from "../formats/safetensors-file.ts";
import { sameShape } from "../graph/shape.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/layout.ts";
import { initialVectors } from "../nn/layout.ts";
import { createRandom } from "../random.ts";
import { VERSION } from "../version.ts";
import { runEpochs } from "./engine.ts";
import type { TrainEvent } from "./events.ts";
import { loadPrograms } from "./executables.ts";
import { restoreProgress } from "./progress.ts";
import { openRunFolder } from "./run-folder.ts";
import { checkBatch, loadersFor, modelFor, openRuntime, optimizerFor, scheduleFor } from "./setup.ts";

export type { TrainEvent } from "./events.ts";
export { InterruptedError, NonFiniteError } from "./events.ts";
export { estimate } from "./estimate.ts";
export type { Estimate } from "./estimate.ts";

export interface TrainHooks {
  readonly onEvent?: (event: TrainEvent) => void;
  /** Aborting saves after the current step and throws InterruptedError. */
  readonly signal?: AbortSignal;
}

interface EpochResult {
  readonly epoch: number;
  readonly acc1: number;
  readonly acc5: number;
}

/** What `deit train --json` prints. Other tools read it: add keys, never rename these. */
export interface TrainResult {
  readonly run: string;
  readonly model: string;
  readonly epochs: number;
  /** The epoch with the highest top-1 on the validation pictures (joint classifier); its weights are best.safetensors. */
  readonly best: EpochResult;
  readonly last: EpochResult;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** Trains, or goes on with the run in `outputDir`. @throws DeitError and its kin for everything a user can mend */
export async function train(options: TrainOptions, { onEvent = () => {}, signal }: TrainHooks = {}): Promise<TrainResult> {
  const start = performance.now();
  // 1. Pictures.
  const { train: pictures, validation = pictures } = await openDatasets(options);
  checkBatch(options, pictures);
  // 2. Model, and where its parameters lie in the state vectors.
  const { model, layout } = modelFor(options, pictures.classes.length);
  // 3. Run folder: locked, in line with its state.
  await using run = await openRunFolder(options.outputDir, {
    args: options,
    mayDiffer: MAY_DIFFER_ON_RESUME,
    versions: { "deit-ts": VERSION, node: process.version },
    command: process.argv.slice(2),
  });
  for (const message of run.notes) onEvent({ type: "warning", message });
  // 4. Device, programs, state.
  const runtime = await openRuntime(options);
  const loaders = loadersFor(options, { model, pictures, validation });
  try {
    const optimizer = optimizerFor(options);
    const executables = await loadPrograms(runtime, { options, model, layout, optimizer });
    const saved = await run.loadState();
    const progress = await restoreProgress({ runtime, layout, optimizer, saved, initial: () => initialWeights(options, { model, layout }, onEvent) });
    onEvent({
      type: "start",
      run: run.path,
      model: model.name,
      parameters: layout.parameters,
      device: runtime.reason,
      trainImages: pictures.length,
      valImages: validation.length,
      classes: pictures.classes.length,
      stepsPerEpoch: loaders.training.steps,
      epochs: options.epochs,
      ...(saved && { resumedFrom: { epoch: progress.epoch, step: progress.step } }),
    });
    // 5. The loop.
    const schedule = scheduleFor(options, loaders.training.steps);
    const trained = await runEpochs({
      options, model, layout, optimizer, schedule, runtime, executables, run, progress, loaders,
      classes: pictures.classes,
      validationImages: validation.length,
      onEvent,
      signal,
    });
    const seconds = (performance.now() - start) / 1000;
    return { run: run.path, model: model.name, epochs: options.epochs, ...trained, seconds };
  } finally {
    await Promise.all([loaders.training.close(), loaders.validation.close(), runtime.close()]);
  }
}

/** Drawn from the seed, or from the checkpoint of `--finetune` wherever names and shapes agree. */
async function initialWeights(
  { finetune, seed }: TrainOptions,
  { model, layout }: { model: Model; layout: Layout },
  onEvent: (event: TrainEvent) => void,
): Promise<Record<string, Float32Array>> {
  const vectors = initialVectors(layout, createRandom(seed, "weights"));
  if (finetune === null) return vectors;
  const { tensors } = await readCheckpoint(finetune);
  const fresh: string[] = [];
  for (const { name, shape, vector, offset } of layout.segments.values()) {
    const tensor = tensors.get(name);
    if (tensor !== undefined && sameShape(tensor.shape, shape)) vectors[vector]?.set(tensor.data, offset);
    else fresh.push(name);
  }
  if (fresh.length === layout.segments.size) {
    throw new ConfigError("finetune", `no tensor of ${finetune} fits ${model.name}`, { hint: "Choose the model that the checkpoint was made for." });
  }
  if (fresh.length > 0) {
    onEvent({ type: "warning", message: `${fresh.length} tensors are not in ${finetune} in this shape and start fresh: ${fresh.join(", ")}` });
  }
  return vectors;
}
