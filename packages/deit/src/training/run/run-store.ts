/** Where a run is kept, as the loop sees it: a folder on disk (run-folder.ts), the file system of a browser, memory. */
import type { FloatTensor } from "../../formats/safetensors.ts";
import type { ModelMetadata } from "../../formats/model-metadata.ts";
import type { EpochRecord } from "./run-log.ts";
import type { RunState, StateHeader } from "./run-state.ts";

/** Names of the files that training writes, in a run folder and wherever else a run is kept. */
export const STORE_FILES = {
  log: "log.jsonl",
  summary: "summary.csv",
  last: "last.safetensors",
  best: "best.safetensors",
  ema: "ema.safetensors",
  state: "state.safetensors",
} as const;

/** The models that a run keeps. */
export type ModelKind = "last" | "best" | "ema";

/** The models that there are beside a saved state, and the epoch that each is of. */
export function expectedModels({ counters, args }: StateHeader): (readonly [ModelKind, number])[] {
  const { epoch, best } = counters;
  if (epoch === 0) return [];
  return [
    ["last", epoch - 1],
    ...(best === undefined ? [] : [["best", best.epoch] as const]),
    ...(args["modelEma"] === true ? [["ema", epoch - 1] as const] : []),
  ];
}

/**
 * An open run. Await each call before the next. At the end of an epoch calls come in this order: appendEpoch, saveState,
 * saveModel; the state is the truth about how far the run is.
 */
export interface RunStore {
  /** Where it is, in the words of its user. */
  readonly path: string;
  /** Whether there is a state to go on from. */
  readonly resumed: boolean;
  /** The epochs so far, in line with the state. */
  readonly log: readonly EpochRecord[];
  /** On a resume: models that are missing or not of the epoch that the state says. */
  readonly staleModels: readonly ModelKind[];
  /** Adds a record to the log. Epochs must come in ascending order. */
  appendEpoch(record: EpochRecord): Promise<void>;
  /** Replaces the state. The vectors must not change until the promise settles. */
  saveState(state: RunState): Promise<void>;
  /** The state to go on from, bit for bit as it was saved; null in a new run. */
  loadState(): Promise<RunState | null>;
  /** Replaces one of the models. */
  saveModel(
    kind: ModelKind,
    tensors: ReadonlyMap<string, FloatTensor>,
    metadata: ModelMetadata,
  ): Promise<void>;
}
