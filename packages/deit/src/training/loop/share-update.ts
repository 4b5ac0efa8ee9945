/**
 * What several processes exchange in an update: each computed some of its batches, and all need the sum of their gradients,
 * every batch's losses, and to know whether one of them failed or was asked to stop. Without other processes it is nothing.
 */
import { DeitError, DeviceError } from "../../errors.ts";
import type { ErrorCode } from "../../error-codes.ts";
import type { ProgramFacts } from "../../graph/program.ts";
import type { Message, Ranks } from "../../ranks/ranks.ts";
import type { Runtime, TensorData } from "../../runtime/runtime.ts";
import type { StepResults } from "./step-groups.ts";

/** What one process asks of all. */
export interface Wishes {
  readonly stop: boolean;
  readonly save: boolean;
}

/** The outputs of all batches of an update, in order, and what all processes do next. */
export interface SharedUpdate extends StepResults, Wishes {}

export interface ShareSetup {
  readonly ranks: Ranks;
  readonly runtime: Pick<Runtime, "getState" | "setState">;
  /** Adds the gradient of a batch to the state. */
  readonly program: ProgramFacts;
  /** Of an update, of all ranks together. */
  readonly batches: number;
}

/** A function that turns a rank's part of an update into the whole of it. */
export function shareUpdates({
  ranks,
  runtime,
  program,
  batches,
}: ShareSetup): (own: StepResults, wishes: Wishes) => Promise<SharedUpdate> {
  const { rank, size } = ranks;
  const next = Object.entries(program.state).filter(([, output]) => output !== null);
  const stateOutputs = new Set(next.map(([, output]) => output));
  const losses = Object.keys(program.outputs).filter((name) => !stateOutputs.has(name));
  const gradients = next.map(([name]) => name).filter((name) => name.startsWith("G."));
  // Not trained, and changed by every batch: BatchNorm's statistics, of which each rank has those of its own images.
  const statistics = next.map(([name]) => name).filter((name) => name.startsWith("W."));

  return async ({ results, failure }, { stop, save }) => {
    const signs = new Float64Array(3 + batches * losses.length);
    signs.set([Number(stop), Number(save), Number(failure !== undefined)]);
    for (const [i, outputs] of results.entries())
      for (const [k, name] of losses.entries())
        signs[3 + (rank + i * size) * losses.length + k] = Number(outputs[name]?.[0]);
    const [grads, stats] = await Promise.all(
      [gradients, statistics].map(async (names) => Promise.all(names.map((name) => runtime.getState(name)))),
    );
    await ranks.sum([signs, ...(grads ?? []), ...(stats ?? [])]);
    const [stops = 0, saves = 0, failures = 0] = signs;
    if (failures > 0)
      return { results: [], failure: { error: await failureOf(ranks, failure) }, stop: false, save: false };
    for (const [i, name] of gradients.entries())
      await runtime.setState(name, grads?.[i] ?? new Float32Array());
    for (const [i, name] of statistics.entries())
      await runtime.setState(
        name,
        (stats?.[i] ?? new Float32Array()).map((value) => value / size),
      );
    return {
      results: Array.from({ length: batches }, (_, batch) => {
        const own = signs.subarray(3 + batch * losses.length);
        return Object.fromEntries(
          losses.map((name, k): [string, TensorData] => [name, Float32Array.of(own[k] ?? Number.NaN)]),
        );
      }),
      failure: undefined,
      stop: stops > 0,
      save: saves > 0,
    };
  };
}

/** Batches of an update that a rank computes, from the one at `step` on. */
export function ownBatches(step: number, { batches, size }: { batches: number; size: number }): number {
  return Math.ceil((batches - (step % batches)) / size);
}

/** The error of the first rank that has one, as every rank throws it. */
async function failureOf(ranks: Ranks, own: StepResults["failure"]): Promise<DeitError> {
  const found = await ranks.gather(own === undefined ? null : pack(own.error));
  const rank = found.findIndex((message) => message !== null);
  const { device, message, code, outOfMemory } = found[rank] as Packed;
  const text = `${ranks.name(rank)}: ${message}`;
  return ranks.shared(
    device === null
      ? new DeitError(text, { code: code as ErrorCode })
      : new DeviceError(device, text, { code: code as ErrorCode, outOfMemory }),
  );
}

type Packed = {
  readonly device: string | null;
  readonly message: string;
  readonly code: string;
  readonly outOfMemory: boolean;
};

function pack(error: unknown): Message & Packed {
  const isDevice = error instanceof DeviceError;
  return {
    device: isDevice ? error.device : null,
    message: error instanceof Error ? error.message : String(error),
    code: error instanceof DeitError ? error.code : "internal",
    outOfMemory: isDevice && error.outOfMemory,
  };
}
