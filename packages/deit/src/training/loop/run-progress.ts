/** How far a run is, and its state vectors: into a file and back, bit for bit. */
import { DeitError } from "../../errors.ts";
import type { Layout } from "../../nn/parameters.ts";
import { trainedVectors } from "../../nn/parameters.ts";
import { EMA_SLOT } from "../../optim/ema.ts";
import { LOSS_SCALE_STATE } from "../../optim/loss-scale.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { trainingState } from "./training-programs.ts";
import type { Counters, RunState } from "../run/run-state.ts";

/** The best epoch so far; a type, not an interface, so that it is JSON. */
export type BestEpoch = {
  readonly epoch: number;
  readonly acc1: number;
  readonly acc5: number;
  /** In validation: of epochs with the same top-1 the one with the lowest is the best. */
  readonly loss: number;
  /** The first epoch with that top-1. */
  readonly since: number;
  readonly weights: WeightsKind;
};

/** Whether that epoch's weights are better than the best so far. */
export function isBetter(
  found: Pick<BestEpoch, "acc1" | "loss">,
  best: Pick<BestEpoch, "acc1" | "loss"> | undefined,
): boolean {
  if (best === undefined) return true;
  return found.acc1 > best.acc1 || (found.acc1 === best.acc1 && found.loss < best.loss);
}

/** The weights that the optimizer trains, or their average (EMA). */
export type WeightsKind = "trained" | "averaged";

/** The slot of the state that holds them. */
const WEIGHTS_SLOT: Readonly<Record<WeightsKind, string>> = { trained: "W", averaged: EMA_SLOT };

/** Where training stands. `step` counts the batches of the epoch that are done. */
export interface Progress {
  epoch: number;
  step: number;
  /** Optimizer updates since the start: AdamW's t. */
  updates: number;
  /** Sums of the losses of this epoch's batches, by name. */
  lossSums: Record<string, number>;
  /** Updates of this epoch that were skipped, since a float16 gradient overflowed. */
  skipped: number;
  /** Batches of this epoch whose loss was not a number for the same reason. */
  lost: number;
  best: BestEpoch | undefined;
}

interface StateOwner {
  readonly runtime: Runtime;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
}

/**
 * The state that training starts from: every vector of `trainingState` by name. Weights are given by the names of the
 * layout's vectors (`initialVectors`, `packTensors`) and become W and its average; moments start at 0.
 * @throws DeitError for weights of other names or lengths than the layout's vectors
 */
export function initialState(
  layout: Layout,
  optimizer: Optimizer,
  weights: Readonly<Record<string, Float32Array>>,
): Record<string, Float32Array> {
  const vectors = startOfRun(layout, weights);
  return Object.fromEntries(
    trainingState(layout, optimizer).map(({ name, length }) => [
      name,
      checkLength(name, length, vectors[name] ?? startOfSlot({ name, length, optimizer, isNew: true })),
    ]),
  );
}

/** Sets the device's state: as saved, or the start of a run. */
export async function restoreProgress(
  { runtime, layout, optimizer }: Omit<StateOwner, "runtime"> & { runtime: Pick<Runtime, "setState"> },
  { saved, initial }: { saved: RunState | null; initial: () => Promise<Record<string, Float32Array>> },
): Promise<Progress> {
  const vectors = saved?.vectors ?? initialState(layout, optimizer, await initial());
  for (const { name, length } of trainingState(layout, optimizer)) {
    const vector = vectors[name] ?? startOfSlot({ name, length, optimizer, isNew: saved === null });
    await runtime.setState(name, checkLength(name, length, vector));
  }
  return progressOf(saved?.counters ?? { epoch: 0 });
}

/** @throws DeitError */
function checkLength(name: string, length: number, vector: Float32Array | undefined): Float32Array {
  if (vector?.length === length) return vector;
  throw new DeitError(`the state has ${vector?.length ?? "no"} numbers for ${name}; expected ${length}`, {
    code: "run/other-program",
    hint: "It belongs to another model or optimizer. A run's state was written by another version or edited; start a new run in another --output-dir.",
  });
}

/** What a slot starts as; undefined where a saved state should have had it. */
function startOfSlot({
  name,
  length,
  optimizer,
  isNew,
}: {
  name: string;
  length: number;
  optimizer: Optimizer;
  isNew: boolean;
}): Float32Array | undefined {
  // A run may go on in another precision.
  if (name === LOSS_SCALE_STATE && optimizer.lossScale) return Float32Array.from(optimizer.lossScale.start);
  return isNew ? new Float32Array(length) : undefined;
}

/** How many updates were skipped, by the state of the loss scale. */
export async function skippedUpdates(runtime: Runtime): Promise<number> {
  const [, , skipped = 0] = await runtime.getState(LOSS_SCALE_STATE);
  return skipped;
}

/** Accumulated gradients start at 0. */
export async function clearGradients({
  runtime,
  layout,
}: Pick<StateOwner, "runtime" | "layout">): Promise<void> {
  for (const { name, length } of trainedVectors(layout))
    await runtime.setState(`G.${name}`, new Float32Array(length));
}

/** Goes on to the next epoch. */
export function nextEpoch(progress: Progress): void {
  Object.assign(progress, { epoch: progress.epoch + 1, step: 0, lossSums: {}, skipped: 0, lost: 0 });
}

/** Everything that a resume needs. */
export async function captureState(
  { runtime, layout, optimizer }: StateOwner,
  progress: Progress,
): Promise<RunState> {
  const vectors: Record<string, Float32Array> = {};
  for (const { name } of trainingState(layout, optimizer)) vectors[name] = await runtime.getState(name);
  const { best, ...counters } = progress;
  return { vectors, counters: { ...counters, ...(best && { best }) } };
}

/** The counters of a saved state; those that it lacks are 0. */
export function progressOf({ epoch, step, updates, lossSums, skipped, lost, best }: Counters): Progress {
  return {
    epoch,
    step: asNumber(step),
    updates: asNumber(updates),
    lossSums: asNumbers(lossSums),
    skipped: asNumber(skipped),
    lost: asNumber(lost),
    best: best && {
      epoch: best.epoch,
      acc1: asNumber(best["acc1"]),
      acc5: asNumber(best["acc5"]),
      loss: best["loss"] === undefined ? Number.MAX_VALUE : asNumber(best["loss"]), // of a state of version 0.1
      since: best["since"] === undefined ? best.epoch : asNumber(best["since"]),
      weights: best["weights"] === "averaged" ? "averaged" : "trained",
    },
  };
}

/** The weights in a captured state, by vector. */
export function weightsOf(
  { vectors }: RunState,
  layout: Layout,
  kind: WeightsKind = "trained",
): Record<string, Float32Array> {
  return Object.fromEntries(
    layout.vectors.flatMap(({ name }) => {
      const weights = vectors[`${WEIGHTS_SLOT[kind]}.${name}`];
      return weights === undefined ? [] : [[name, weights]];
    }),
  );
}

/** The average of the weights starts as the weights; the optimizer's own slots start at 0. */
function startOfRun(
  { vectors }: Layout,
  weights: Readonly<Record<string, Float32Array>>,
): Record<string, Float32Array> {
  const names = vectors.map(({ name }) => name);
  if (names.toSorted().join() !== Object.keys(weights).toSorted().join()) {
    throw new DeitError(
      `the weights to start with are the vectors ${Object.keys(weights).join(", ") || "none"}; expected ${names.join(", ")}`,
      {
        code: "program/state",
        hint: "Weights are given by the names of the layout's vectors, without W. before them.",
      },
    );
  }
  const slots = Object.values(WEIGHTS_SLOT);
  return Object.fromEntries(
    Object.entries(weights).flatMap(([name, data]) => slots.map((slot) => [`${slot}.${name}`, data])),
  );
}

function asNumbers(value: unknown): Record<string, number> {
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, number]) => [name, asNumber(number)]))
    : {};
}

function asNumber(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
