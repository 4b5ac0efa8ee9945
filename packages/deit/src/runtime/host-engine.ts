/**
 * State in host memory (cpu, cuda). A state vector has two arrays: programs read one and write the next value into
 * the other, then they are swapped, so that a step allocates nothing of the state's size.
 *
 * onnxruntime-node 1.30 writes into preallocated outputs and then copies every output once more into a fresh
 * array; for AdamW's three vectors of DeiT-Ti that was half of the optimizer's time (24 against 12 ms). It copies
 * them in order and stops with an error at the first that is no tensor, after everything was computed: so programs
 * that update state get such an output in front (`withLeadingSequence`). `writesOutputs` tries that at the start;
 * where it does not hold, outputs are taken as ONNX Runtime returns them.
 */

import type { InferenceSession, Tensor } from "onnxruntime-node";
import { DeitError } from "../errors.ts";
import type { Program } from "../graph/program.ts";
import { channelBlock } from "./blocks.ts";
import type { ContentionMeter } from "./contention.ts";
import { createContentionMeter } from "./contention.ts";
import type { Engine, LoadedProgram } from "./engine.ts";
import { allocate, checkState } from "./feeds.ts";
import { identityModel, leadingSequence, withLeadingSequence } from "./identity-model.ts";
import type { SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";
import {
  hostData,
  hostTensor,
  isFallback,
  profilePrefix,
  sessionError,
  sessionOptions,
  unsupported,
} from "./sessions.ts";
import type { OnnxRuntime, Surroundings } from "./sessions.ts";

/** What onnxruntime-node says when it meets the leading output. */
const STOPPED = "Non tensor type is temporarily not supported.";

/** Programs larger than this, with the weights of a teacher inside, keep the threads that they were loaded with. */
const KEPT_BYTES = 2 ** 25;

interface HostState {
  current: Float32Array<ArrayBuffer>;
  spare: Float32Array<ArrayBuffer> | undefined;
}

/** An engine for devices whose programs read and write host memory. */
export async function createHostEngine(
  surroundings: Surroundings,
  settings: SessionSettings,
): Promise<Engine> {
  const { ort } = surroundings;
  const states = new Map<string, HostState>();
  // With cuda, outputs come over the bus into arrays of ONNX Runtime's anyway.
  const inPlace = settings.device === "cpu" && (await writesOutputs(ort));
  const block = settings.device === "cpu" && surroundings.blocks ? await channelBlock(ort) : undefined;

  const contention = contentionOf(surroundings, settings);

  function stateOf(program: Program, name: string): HostState {
    const state = states.get(name);
    checkState(program, name, state?.current.length);
    if (state === undefined) throw new DeitError(`state "${name}" is not set`, { code: "program/state" });
    return state;
  }

  async function load(program: Program): Promise<LoadedProgram> {
    const updates = Object.entries(program.state).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    const replacedBy = new Map(updates.map(([name, output]) => [output, name]));
    const written = inPlace && updates.length > 0;
    const given = written ? withLeadingSequence(program.model) : program.model;
    const canAdapt = contention !== undefined && given.byteLength <= KEPT_BYTES;
    // The request's bytes are let go after loading; a copy serves to load the session again.
    const model = canAdapt && !written ? given.slice() : given;
    let spinning = !(contention?.isContended() ?? false);
    const create = (fallback: boolean): Promise<InferenceSession> => {
      const wanted = { name: program.name, training: updates.length > 0, fallback, spinning };
      return ort.InferenceSession.create(model, sessionOptions(settings, wanted));
    };
    let session: InferenceSession;
    try {
      session = await create(false).catch(async (error: unknown) => {
        if (!isFallback(error)) throw error;
        const named = await unsupported(surroundings, "cuda", program);
        surroundings.warn?.(
          `program "${program.name}" does not run on cuda alone: ${named} will run on the CPU, with copies at every run`,
        );
        return create(true);
      });
    } catch (error) {
      throw sessionError(settings.device, program, "load", error);
    }

    /** Loads the session again, where other programs began or ceased to need its cores. Its numbers stay the same. */
    async function adapt(): Promise<void> {
      if (!canAdapt || contention.isContended() === !spinning) return;
      spinning = !spinning;
      await session.release(); // first, so that two are never in memory
      session = await create(false);
    }

    /** Runs with every output in memory of ours. */
    async function runInto(
      feeds: Record<string, Tensor>,
      outputs: ReadonlyMap<string, TensorData>,
    ): Promise<void> {
      const fetches: Record<string, Tensor | null> = { [leadingSequence]: null };
      for (const [name, data] of outputs) {
        const type = program.outputs[name];
        if (type !== undefined) fetches[name] = hostTensor(ort, type, data);
      }
      await stoppedRun(session, feeds, fetches);
    }

    return {
      async run(feeds) {
        const inputs: Record<string, Tensor> = {};
        for (const [name, type] of Object.entries(program.inputs)) {
          const data = Object.hasOwn(program.state, name) ? stateOf(program, name).current : feeds[name];
          if (data !== undefined) inputs[name] = hostTensor(ort, type, data);
        }
        const results = new Map<string, TensorData>();
        try {
          await adapt();
          if (written) {
            for (const [name, type] of Object.entries(program.outputs)) {
              const replaced = replacedBy.get(name);
              results.set(
                name,
                replaced === undefined ? allocate(type) : spareOf(stateOf(program, replaced)),
              );
            }
            await runInto(inputs, results);
          } else {
            const returned = await session.run(inputs);
            for (const [name, tensor] of Object.entries(returned)) results.set(name, hostData(tensor));
          }
        } catch (error) {
          throw sessionError(settings.device, program, "run", error);
        }
        const outputs: Record<string, TensorData> = {};
        for (const [name, data] of results) {
          const replaced = replacedBy.get(name);
          if (replaced === undefined) outputs[name] = data;
          else advance(stateOf(program, replaced), data);
        }
        return async () => outputs;
      },
      async release() {
        if (settings.profile !== undefined) session.endProfiling();
        await session.release();
        if (settings.profile === undefined) return undefined;
        return surroundings.profileFile?.(profilePrefix(settings.profile, program.name));
      },
    };
  }

  return {
    block,
    runsAhead: false,
    load,
    async setState(name, value) {
      states.set(name, { current: value, spare: undefined });
    },
    async getState(name) {
      const state = states.get(name);
      if (state === undefined) throw unknownState(name, states.keys());
      return state.current.slice();
    },
    async deleteState(name) {
      if (!states.delete(name)) throw unknownState(name, states.keys());
    },
  };
}

/** A meter, where spinning can be seen to do harm: on the CPU, with several threads, and no profile in the making. */
function contentionOf(
  { cpu }: Surroundings,
  { device, threads, profile }: SessionSettings,
): ContentionMeter | undefined {
  if (cpu === undefined || device !== "cpu" || threads === 1 || profile !== undefined) return undefined;
  return createContentionMeter({ threads, ...cpu });
}

/** The error of asking for a vector that was never set. */
export function unknownState(name: string, known: Iterable<string>): DeitError {
  return new DeitError(`there is no state vector "${name}"; set are: ${[...known].join(", ") || "none"}`, {
    code: "program/state",
  });
}

function spareOf(state: HostState): Float32Array {
  state.spare ??= new Float32Array(state.current.length);
  return state.spare;
}

/** Makes `next` the current value; when it is the spare array, the two swap. */
function advance(state: HostState, next: TensorData): void {
  if (!(next instanceof Float32Array)) throw new TypeError("a next state is no Float32Array");
  if (next === state.spare) state.spare = state.current;
  state.current = next as Float32Array<ArrayBuffer>;
}

/** A run that ends at the leading output: what follows it was written into `fetches`. */
async function stoppedRun(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  fetches: Record<string, Tensor | null>,
): Promise<void> {
  try {
    await session.run(feeds, fetches);
  } catch (error) {
    if (error instanceof Error && error.message === STOPPED) return;
    throw error;
  }
  throw new Error("the run returned its leading output");
}

/** Whether outputs are in their preallocated arrays when a run stops at its leading output. */
async function writesOutputs(ort: OnnxRuntime): Promise<boolean> {
  const session = await ort.InferenceSession.create(withLeadingSequence(identityModel), {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    const y = new Float32Array(2);
    const feeds = { x: new ort.Tensor("float32", Float32Array.of(1, 2), [2]) };
    await stoppedRun(session, feeds, { [leadingSequence]: null, y: new ort.Tensor("float32", y, [2]) });
    return y[0] === 1 && y[1] === 2 && session.outputNames[0] === leadingSequence;
  } catch {
    return false;
  } finally {
    await session.release();
  }
}
