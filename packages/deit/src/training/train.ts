/**
 * `train`: from a plan to a trained model in a run folder. It opens everything in the order listed below and hands over
 * to `fit`. Node only.
 */
import { freeMemory } from "../runtime/free-memory.ts";
import { openCheckpoint } from "../evaluation/checkpoints/checkpoint.ts";
import { checkMetricNames } from "../evaluation/own-metrics.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/parameters.ts";
import { VERSION } from "../version.ts";
import { openAnswerCache } from "./loop/answer-cache.ts";
import type { TrainHooks, TrainResult } from "./fit.ts";
import { fit } from "./fit.ts";
import type { GivenParts } from "./given-parts.ts";
import { initialWeights } from "./initial-weights.ts";
import type { TrainingPlan } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { selectionRule } from "./run/best-epoch.ts";
import { isRunFolder, openRunFolder } from "./run/run-folder.ts";
import { programForm } from "./run/run-record.ts";
import { SAME_TRAINING } from "./run/same-options.ts";

export type { TrainEvent } from "./loop/events.ts";
export { InterruptedError, NonFiniteError } from "./loop/events.ts";
export { estimate } from "./estimate.ts";
export type { Estimate } from "./estimate.ts";
export type { TrainHooks, TrainResult } from "./fit.ts";

/**
 * Trains, or goes on with the run in the plan's folder. What can be wrong is found out before the folder is made.
 * @throws InterruptedError, NonFiniteError, and the other kinds of DeitError for everything a user can mend
 */
export async function train(
  plan: TrainingPlan,
  { onEvent = () => {}, signal }: TrainHooks = {},
  given: GivenParts = {},
): Promise<TrainResult> {
  const start = performance.now();
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const note = (message: string): void => onEvent({ type: "note", message });
  checkMetricNames(given.metrics ?? {});
  plan.warnings.forEach(warn);
  // 1. Images, model, teacher, device.
  await using prepared = await prepare(plan, { warn, note }, given);
  const { images, validation, model, layout, teacher, runtime, loaders, optimizer } = prepared;
  const heldOut = prepared.onTraining ? 0 : validation.length;
  const selection = selectionRule(plan.loop, heldOut);
  // 2. What a new run starts from, read before anything is written.
  const begin = async (): Promise<Record<string, Float32Array>> =>
    startOf(plan, { model, layout, warn, note });
  let first = (await isRunFolder(plan.run.folder)) ? undefined : await begin();
  signal?.throwIfAborted();
  // 3. Run folder: the first that is written; locked, its log in line with its state.
  await using run = await openRunFolder(plan.run.folder, {
    args: plan.run.args,
    ...SAME_TRAINING,
    mayDiffer: plan.run.mayDiffer,
    versions: { "deit-ts": VERSION },
    command: process.argv.slice(2),
    parts: { opened: prepared.opened, selection, program: programForm(model, { layout, optimizer }) },
  });
  run.notes.forEach(warn);
  if (prepared.onTraining) warn("there are no validation images: accuracy is that on the training images");
  // 4. Training.
  const { device } = runtime;
  const cache = plan.teacher?.cache;
  const result = await fit(
    {
      plan,
      model,
      layout,
      optimizer,
      runtime,
      images,
      validationImages: validation.length,
      heldOut,
      selection: run.record?.selection ?? selection,
      loaders,
      run,
      async initial() {
        const vectors = first ?? (await begin());
        first = undefined; // nothing keeps them in memory while it trains
        return vectors;
      },
      teacher,
      metrics: given.metrics,
      openCache: async () =>
        teacher && cache && openAnswerCache(cache, { teacher, plan, student: model, images, device }),
      freeMemory: await freeMemory(device),
    },
    { onEvent, ...(signal && { signal }) },
  );
  return { ...result, seconds: (performance.now() - start) / 1000 };
}

/** What a new run starts from; reads the checkpoint that the plan names. */
async function startOf(
  { finetune, batches: { seed } }: TrainingPlan,
  {
    model,
    layout,
    ...hooks
  }: {
    model: Model;
    layout: Layout;
    warn: (message: string) => void;
    note: (message: string) => void;
  },
): Promise<Record<string, Float32Array>> {
  if (finetune === undefined) return initialWeights({ seed }, { model, layout });
  const { path, weights } = finetune;
  await using checkpoint = await openCheckpoint(path, { weights });
  // Messages name what the user gave, which may be a folder.
  return await initialWeights({ seed, checkpoint: { ...checkpoint, path }, ...hooks }, { model, layout });
}
