/**
 * `train`: from a plan to a trained model in a run folder. It opens everything in the order listed below and hands over
 * to `fit`. Node only.
 */
import { freeMemory } from "../runtime/free-memory.ts";
import { openCheckpoint } from "../evaluation/checkpoints/checkpoint.ts";
import { checkMetricNames } from "../evaluation/own-metrics.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/parameters.ts";
import { ConfigError } from "../errors.ts";
import type { RankGroup } from "../ranks/mpi-ranks.ts";
import { fromFirst } from "../ranks/ranks.ts";
import { VERSION } from "../version.ts";
import { openAnswerCache } from "./loop/answer-cache.ts";
import type { TrainHooks, TrainResult } from "./fit.ts";
import { fit } from "./fit.ts";
import type { GivenParts } from "./given-parts.ts";
import { initialWeights } from "./initial-weights.ts";
import type { TrainingPlan } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { agree, planOfRank } from "./ranks-of-run.ts";
import type { SelectionRule } from "./run/best-epoch.ts";
import { selectionRule } from "./run/best-epoch.ts";
import { followerStore } from "./run/follower-store.ts";
import { isRunFolder, openRunFolder } from "./run/run-folder.ts";
import type { RunFolder } from "./run/run-folder.ts";
import type { RunStore } from "./run/run-store.ts";
import { programForm } from "./run/run-record.ts";
import { SAME_TRAINING } from "./run/same-options.ts";

export type { TrainEvent } from "./loop/events.ts";
export { InterruptedError, NonFiniteError } from "./loop/events.ts";
export { estimate } from "./estimate.ts";
export type { Estimate } from "./estimate.ts";
export type { TrainHooks, TrainResult } from "./fit.ts";

/**
 * Trains, or goes on with the run in the plan's folder. What can be wrong is found out before the folder is made. With
 * `ranks` every one of them calls it: rank 0 alone tells events and writes.
 * @throws InterruptedError, NonFiniteError, and the other kinds of DeitError for everything a user can mend
 */
export async function train(
  asked: TrainingPlan,
  { onEvent: tell = () => {}, signal }: TrainHooks = {},
  given: GivenParts = {},
  ranks?: RankGroup,
): Promise<TrainResult> {
  const start = performance.now();
  const isFirst = ranks === undefined || ranks.rank === 0;
  const onEvent = isFirst ? tell : (): void => {};
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const note = (message: string): void => onEvent({ type: "note", message });
  checkMetricNames(given.metrics ?? {});
  if (ranks !== undefined) refuseMetrics(given.metrics);
  const plan = await planOfRank(asked, ranks);
  plan.warnings.forEach(warn);
  // 1. Images, model, teacher, device.
  await using prepared = await prepare(plan, { warn, note }, given);
  const { images, validation, model, layout, teacher, loaders, optimizer } = prepared;
  const target = ranks && (await agree(ranks, plan, prepared));
  const runtime = target === undefined ? prepared.runtime : { ...prepared.runtime, target };
  const heldOut = prepared.onTraining ? 0 : validation.length;
  const selection = selectionRule(plan.loop, heldOut);
  // 2. What a new run starts from, read before anything is written.
  const begin = async (): Promise<Record<string, Float32Array>> =>
    startOf(plan, { model, layout, warn, note });
  let first = isFirst && !(await isRunFolder(plan.run.folder)) ? await begin() : undefined;
  if (ranks === undefined) signal?.throwIfAborted();
  // 3. Run folder: the first that is written; locked, its log in line with its state.
  await using run = await openRun(ranks, async () =>
    openRunFolder(plan.run.folder, {
      args: plan.run.args,
      ...SAME_TRAINING,
      mayDiffer: plan.run.mayDiffer,
      versions: { "deit-ts": VERSION, ...(ranks && { mpi: ranks.library }) },
      command: process.argv.slice(2),
      parts: {
        opened: prepared.opened,
        selection,
        program: programForm(model, { layout, optimizer }),
        ...(ranks && { updateBatches: plan.batches.accumulationSteps }),
      },
    }),
  );
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
      selection: run.selection ?? selection,
      loaders,
      run,
      async initial() {
        const vectors = first ?? (isFirst ? await begin() : emptyVectors(layout));
        first = undefined; // nothing keeps them in memory while it trains
        return vectors;
      },
      teacher,
      metrics: given.metrics,
      openCache: async () =>
        teacher && cache && openAnswerCache(cache, { teacher, plan, student: model, images, device }),
      freeMemory: await freeMemory(device),
      ranks,
    },
    { onEvent, ...(signal && { signal }) },
  );
  return { ...result, seconds: (performance.now() - start) / 1000 };
}

/** The run as it is kept, and which epoch becomes the best. */
interface OpenRun extends RunStore, AsyncDisposable {
  readonly notes: readonly string[];
  readonly selection: SelectionRule | undefined;
}

/** The folder, opened by rank 0; the other ranks keep its log in memory. */
async function openRun(ranks: RankGroup | undefined, open: () => Promise<RunFolder>): Promise<OpenRun> {
  let folder: RunFolder | undefined;
  const { path, log, resumed, selection } = await fromFirst(ranks, async () => {
    folder = await open();
    return { ...pickRun(folder), selection: folder.record?.selection };
  });
  if (folder !== undefined) return Object.assign(folder, { selection });
  const store = followerStore(path, { log, resumed });
  return Object.assign(store, { notes: [], selection, async [Symbol.asyncDispose]() {} });
}

function pickRun({ path, log, resumed }: RunFolder): Pick<RunFolder, "path" | "log" | "resumed"> {
  return { path, log, resumed };
}

/** What the other ranks have until rank 0 gives them its own. */
function emptyVectors({ vectors }: Layout): Record<string, Float32Array> {
  return Object.fromEntries(vectors.map(({ name, length }) => [name, new Float32Array(length)]));
}

/** @throws ConfigError for metrics, which need all answers in one process */
function refuseMetrics(metrics: GivenParts["metrics"]): void {
  if (Object.keys(metrics ?? {}).length === 0) return;
  throw new ConfigError("metrics", "metrics of your own cannot be measured by several ranks", {
    code: "options/not-supported",
    hint: "Leave them out, and measure the trained model with openClassifier.",
  });
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
