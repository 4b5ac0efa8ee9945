/**
 * The models of a run, last.safetensors, best.safetensors and ema.safetensors: each the weights of a saved
 * state with what is needed to predict with them.
 */
import type { Normalisation } from "../../augmentation/normalisation.ts";
import type { Model } from "../../models/registry.ts";
import type { Layout } from "../../nn/parameters.ts";
import { unpackTensors } from "../../nn/parameters.ts";
import type { WeightsKind } from "../loop/run-progress.ts";
import { progressOf, weightsOf } from "../loop/run-progress.ts";
import type { RunState } from "./run-state.ts";
import type { ModelKind, RunStore } from "./run-store.ts";

export interface ModelOwner {
  /** How evaluation prepares an image: part of the resized image that it looks at. */
  readonly cropRatio: number;
  readonly normalisation: Normalisation;
  readonly run: RunStore;
  readonly model: Model;
  readonly layout: Layout;
  /** Names by index. */
  readonly classes: readonly string[];
}

/** Writes the weights of a state as a model that can be used by itself. They are those of the epoch that was logged last. */
export async function saveModel(
  { run, model, layout, classes, normalisation, cropRatio }: ModelOwner,
  kind: ModelKind,
  state: RunState,
): Promise<void> {
  const record = run.log.at(-1);
  const { best } = progressOf(state.counters);
  const weights: WeightsKind =
    kind === "ema" ? "averaged" : kind === "best" ? (best?.weights ?? "trained") : "trained";
  const result = (metric: string): number | undefined => {
    const value = record?.[weights === "averaged" ? `test_ema_${metric}` : `test_${metric}`];
    return typeof value === "number" ? value : undefined;
  };
  const [acc1, acc5, loss] = ["acc1", "acc5", "loss"].map(result);
  await run.saveModel(kind, unpackTensors(layout, weightsOf(state, layout, weights)), {
    model: model.name,
    classes,
    inputSize: model.config.inputSize,
    ...normalisation,
    epoch: record?.epoch ?? 0,
    metrics: {
      ...(acc1 !== undefined && { acc1 }),
      ...(acc5 !== undefined && { acc5 }),
      ...(loss !== undefined && { loss }),
    },
    extra: { crop_ratio: String(cropRatio), weights },
  });
}

/** After a kill between saving the state and saving the models, the state holds the weights that they lack. */
export async function repairModels(owner: ModelOwner, state: RunState): Promise<void> {
  const { epoch, step, best } = progressOf(state.counters);
  if (step !== 0) return; // saved within an epoch: the models came before it, whole
  for (const kind of owner.run.staleModels) {
    if (kind !== "best" || best?.epoch === epoch - 1) await saveModel(owner, kind, state);
  }
}
