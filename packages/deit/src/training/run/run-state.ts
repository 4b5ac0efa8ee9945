/**
 * state.safetensors: everything that a resume needs in one file, replaced as a whole. Vectors are float32
 * tensors by name; counters, the log so far and the options are JSON in the metadata. It is the only truth
 * about how far a run is; the other files of the folder follow it. Reading it from disk is run-state-file.ts.
 */
import { z } from "zod";
import { FormatError } from "../../errors.ts";
import type { CheckpointContent, FloatTensor } from "../../formats/safetensors.ts";
import type { EpochRecord, Json } from "./run-log.ts";
import { isEpochRecord } from "./run-log.ts";

/** Progress and whatever else a resume needs that is not a vector. */
export interface Counters {
  /** Epochs completed: the index of the epoch that is trained next (or is being trained). */
  readonly epoch: number;
  /** The epoch whose weights best.safetensors should hold, and what made it the best. */
  readonly best?: { readonly epoch: number; readonly [key: string]: Json };
  readonly [key: string]: Json | undefined;
}

/** What a training loop saves and gets back, bit for bit. */
export interface RunState {
  readonly vectors: Readonly<Record<string, Float32Array>>;
  readonly counters: Counters;
}

/** All that is in the file but the vectors. */
export interface StateHeader {
  readonly counters: Counters;
  readonly log: readonly EpochRecord[];
  readonly args: Readonly<Record<string, Json>>;
  /** Identity of the run that it is of; undefined in states of version 0.1. */
  readonly run?: string | undefined;
}

const FORMAT = "deit-state/1";
const json: z.ZodType<Json> = z.json();
/** More than any run counts. */
const whole = z.int().nonnegative().max(1e12);
const countersSchema: z.ZodType<Counters> = z
  .looseObject({
    epoch: whole,
    step: whole.optional(),
    updates: whole.optional(),
    skipped: whole.optional(),
    lost: whole.optional(),
    best: z.looseObject({ epoch: whole }).optional(),
  })
  .transform((value) => value as Counters);
const logSchema: z.ZodType<EpochRecord[]> = z.array(z.custom<EpochRecord>(isEpochRecord));
const argsSchema = z.record(z.string(), json);

/** The file's content; shares memory with the vectors. */
export function encodeState(
  { vectors, counters }: RunState,
  { log, args, run }: Omit<StateHeader, "counters">,
): CheckpointContent {
  const tensors = new Map<string, FloatTensor>();
  for (const [name, data] of Object.entries(vectors)) tensors.set(name, { shape: [data.length], data });
  return {
    tensors,
    metadata: {
      kind: FORMAT,
      counters: JSON.stringify(counters),
      log: JSON.stringify(log),
      args: JSON.stringify(args),
      ...(run !== undefined && { run }),
    },
  };
}

/** The state back from a file's content. @throws FormatError naming `file` */
export function decodeState(file: string, { tensors, metadata }: CheckpointContent): RunState {
  const { counters } = decodeHeader(file, metadata);
  return {
    vectors: Object.fromEntries([...tensors].map(([name, { data }]) => [name, data])),
    counters,
  };
}

/** All but the vectors, from a file's metadata. @throws FormatError naming `file` when it is damaged or no state file */
export function decodeHeader(file: string, metadata: Readonly<Record<string, string>>): StateHeader {
  if (metadata["kind"] !== FORMAT) {
    throw new FormatError(
      file,
      `is not a training state of this version (expected ${FORMAT}, found ${metadata["kind"] ?? "none"})`,
      {
        code: "run/no-state",
        hint: "Choose another --output-dir, or resume with the version of deit-ts that wrote it (see args.yaml).",
      },
    );
  }
  const read = <T>(key: string, schema: z.ZodType<T>): T => {
    try {
      return schema.parse(JSON.parse(metadata[key] ?? ""));
    } catch (cause) {
      throw new FormatError(file, `its metadata "${key}" is damaged`, {
        code: "run/damaged-state",
        hint: "The run cannot be resumed from this file. Choose another --output-dir, or delete the folder to start over.",
        cause,
      });
    }
  };
  return {
    counters: read("counters", countersSchema),
    log: read("log", logSchema),
    args: read("args", argsSchema),
    run: metadata["run"],
  };
}
