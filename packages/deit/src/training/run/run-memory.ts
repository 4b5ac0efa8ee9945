/**
 * A run in memory, as the files of a run folder: for pages, which may keep them where they like, and for programs that
 * want no folder. What is in the files is what a folder on disk would hold, byte for byte.
 */
import { DeitError } from "../../errors.ts";
import { decodeModelMetadata, encodeModelMetadata } from "../../formats/model-metadata.ts";
import type { CheckpointContent } from "../../formats/safetensors.ts";
import {
  fromFloat32,
  parseCheckpoint,
  parseSafetensors,
  serializeSafetensors,
} from "../../formats/safetensors.ts";
import type { Json } from "./run-log.ts";
import { formatLog, formatSummary } from "./run-log.ts";
import { decodeHeader, decodeState, encodeState } from "./run-state.ts";
import type { ModelKind, RunStore } from "./run-store.ts";
import { expectedModels, STORE_FILES } from "./run-store.ts";

export interface MemoryRunOptions {
  /** What messages call the run. */
  readonly name?: string;
  /** The options of the run, for whoever reads its state. */
  readonly args?: Readonly<Record<string, Json>>;
  /** The files of a run to go on with, by name. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
}

export interface MemoryRun extends RunStore {
  /** Its files so far, by the names of a run folder; each is replaced as a whole. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** A new run, or the one in `files` to go on with. @throws FormatError when its state is damaged */
export function runInMemory({ name = "memory", args = {}, files: given }: MemoryRunOptions = {}): MemoryRun {
  const files = new Map(given);
  const saved = files.get(STORE_FILES.state);
  const state =
    saved && decodeHeader(STORE_FILES.state, parseSafetensors(saved, { file: STORE_FILES.state }).metadata);
  const log = [...(state?.log ?? [])];
  const writeLog = (): void => {
    files.set(STORE_FILES.log, new TextEncoder().encode(formatLog(log)));
    files.set(STORE_FILES.summary, new TextEncoder().encode(formatSummary(log)));
  };
  const write = (kind: ModelKind | "state", { tensors, metadata }: CheckpointContent): void => {
    const stored = new Map([...tensors].map(([tensor, content]) => [tensor, fromFloat32(content)]));
    files.set(STORE_FILES[kind], serializeSafetensors({ tensors: stored, metadata }));
  };
  if (state !== undefined) writeLog(); // it may be ahead of the state
  return {
    path: name,
    files,
    resumed: state !== undefined,
    log,
    staleModels: state === undefined ? [] : staleModels(files, expectedModels(state)),
    async appendEpoch(record) {
      const last = log.at(-1)?.epoch ?? -1;
      if (record.epoch <= last)
        throw new DeitError(`Epoch ${record.epoch} cannot be logged after epoch ${last}.`, {
          code: "run/log-order",
        });
      log.push(record);
      writeLog();
    },
    async saveState(next) {
      write("state", encodeState(next, { log, args: state?.args ?? args, run: state?.run }));
    },
    async loadState() {
      const bytes = files.get(STORE_FILES.state);
      return bytes === undefined
        ? null
        : decodeState(STORE_FILES.state, parseCheckpoint(bytes, { file: STORE_FILES.state }));
    },
    async saveModel(kind, tensors, metadata) {
      write(kind, { tensors, metadata: encodeModelMetadata(metadata) });
    },
  };
}

function staleModels(
  files: ReadonlyMap<string, Uint8Array>,
  expected: readonly (readonly [ModelKind, number])[],
): ModelKind[] {
  return expected.flatMap(([kind, epoch]) => {
    const bytes = files.get(STORE_FILES[kind]);
    if (bytes === undefined) return [kind];
    const file = STORE_FILES[kind];
    const { metadata } = parseSafetensors(bytes, { file });
    return decodeModelMetadata(metadata, { file }).epoch === epoch ? [] : [kind];
  });
}
