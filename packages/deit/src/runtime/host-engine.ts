/**
 * State in host memory (cpu, cuda). A state vector has two arrays: programs read one and write the next value into
 * the other, then they are swapped, so that a step allocates nothing of the state's size.
 */

import { DeitError } from "../errors.ts";
import type { Program, Target, TensorType } from "../graph/program.ts";
import { channelBlock } from "./blocks.ts";
import type { ContentionMeter } from "./contention.ts";
import { createContentionMeter } from "./contention.ts";
import type { Engine, LoadedProgram } from "./engine.ts";
import { allocate, checkState } from "./feeds.ts";
import { loadSession, writesOutputs } from "./host-sessions.ts";
import type { SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";
import { profilePrefix, sessionError } from "./sessions.ts";
import type { Surroundings } from "./sessions.ts";

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
    const session = await loadSession({ surroundings, settings, inPlace, contention }, program);
    const replacedBy = new Map(
      Object.entries(program.state).flatMap(([name, output]) =>
        output === null ? [] : [[output, name] as const],
      ),
    );
    return {
      async run(feeds) {
        const inputs: Record<string, TensorData> = {};
        for (const name of Object.keys(program.inputs)) {
          const data = Object.hasOwn(program.state, name) ? stateOf(program, name).current : feeds[name];
          if (data !== undefined) inputs[name] = data;
        }
        const place = (name: string, type: TensorType): TensorData => {
          const replaced = replacedBy.get(name);
          return replaced === undefined ? allocate(type) : spareOf(stateOf(program, replaced));
        };
        const results = await session.run(inputs, place).catch((error: unknown) => {
          throw sessionError(settings.device, program, "run", error);
        });
        const outputs: Record<string, TensorData> = {};
        for (const [name, data] of results) {
          const replaced = replacedBy.get(name);
          if (replaced === undefined) outputs[name] = data;
          else advance(stateOf(program, replaced), data);
        }
        return async () => outputs;
      },
      async release() {
        await session.release();
        if (settings.profile === undefined) return undefined;
        return surroundings.profileFile?.(profilePrefix(settings.profile, program.name));
      },
    };
  }

  return {
    target: targetOf(surroundings, block),
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

function targetOf({ native }: Surroundings, block: 8 | 16 | undefined): Target | undefined {
  if (block === undefined) return undefined;
  return native === undefined ? `cpu${block}` : `cpu${block}-chains`;
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
  if (!(next instanceof Float32Array)) throw new TypeError("a next state is not a Float32Array");
  if (next === state.spare) state.spare = state.current;
  state.current = next as Float32Array<ArrayBuffer>;
}
