/**
 * The worker's side of a runtime: takes requests, runs them one after another on an engine, answers. Knows no
 * Node: a worker thread or a web worker gives it the way to answer and its surroundings.
 *
 * Reading the results of a run waits for the device, and for everything that was given to it before. So where a device
 * computes by itself, the next runs that wait here are prepared, uploaded and started first.
 */

import { DeitError, DeviceError } from "../errors.ts";
import type { Engine, LoadedProgram, Results } from "./engine.ts";
import { createHostEngine } from "./host-engine.ts";
import { buffersOf, letGo, packError } from "./messages.ts";
import type { Answer, Envelope, Request, Result, SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";
import type { Surroundings } from "./sessions.ts";
import { createWebgpuEngine } from "./webgpu-engine.ts";

/** Sends an answer and hands over its buffers. */
export type Reply = (answer: Answer, transfer: ArrayBuffer[]) => void;

/** Runs that a device may have before the first one's results are read: each holds its batch, and a stop waits for them. */
const MOST_STARTED = 4;

/** Returns the handler of incoming messages. */
export function createSessionHost(surroundings: Surroundings, reply: Reply): (message: Envelope) => void {
  const programs = new Map<number, LoadedProgram>();
  let engine: Engine | undefined;
  let closing = false;
  let queue: Promise<void> = Promise.resolve();
  /** Requests that came and were not looked at yet. */
  let waiting = 0;
  /** Runs whose results were not read yet, in their order. */
  const started: { readonly id: number; readonly group: number | undefined; readonly results: Results }[] =
    [];
  /** Why a run of a group failed; the others of that group are answered with it. */
  const failed = new Map<number, unknown>();

  async function answer(request: Exclude<Request, { type: "run" }>): Promise<Result> {
    if (request.type === "open") {
      engine = await open(surroundings, request.settings);
      return engine.target;
    }
    if (request.type === "close") return releaseAll();
    if (engine === undefined) throw new DeitError("the runtime was not opened", { code: "device/ended" });
    switch (request.type) {
      case "load":
        programs.set(request.handle, await engine.load(request.program));
        letGo(request.program.model); // it came with the request; the session has its own copy
        return undefined;
      case "release": {
        const program = programOf(request.handle);
        programs.delete(request.handle);
        return program.release();
      }
      case "setState":
        return void (await engine.setState(request.name, request.value as Float32Array<ArrayBuffer>));
      case "getState":
        return engine.getState(request.name);
      case "deleteState":
        return void (await engine.deleteState(request.name));
    }
  }

  function programOf(handle: number): LoadedProgram {
    const program = programs.get(handle);
    if (program === undefined)
      throw new DeitError("this program was released, or it failed to load", { code: "program/released" });
    return program;
  }

  async function releaseAll(): Promise<readonly string[]> {
    const files: string[] = [];
    for (const [handle, program] of programs) {
      programs.delete(handle);
      const file = await program.release();
      if (file !== undefined) files.push(file);
    }
    return files;
  }

  async function serve({ id, request }: Envelope): Promise<void> {
    waiting--;
    // Whoever closes has already rejected what was waiting.
    if (closing && request.type !== "close") return;
    if (request.type !== "run") {
      await finish();
      return respond(id, () => answer(request));
    }
    const { group, handle, feeds } = request;
    try {
      if (group !== undefined && failed.has(group)) throw failed.get(group);
      started.push({ id, group, results: await programOf(handle).run(feeds) });
    } catch (error) {
      if (group !== undefined) failed.set(group, error);
      await finish();
      return respond(id, () => Promise.reject(error));
    }
    if (waiting === 0 || started.length >= MOST_STARTED || engine?.runsAhead !== true) await finish();
  }

  /** Answers the runs that were started. */
  async function finish(): Promise<void> {
    for (const { id, group, results } of started.splice(0)) {
      await respond(id, async () => {
        try {
          return await results();
        } catch (error) {
          if (group !== undefined) failed.set(group, error);
          throw error;
        }
      });
    }
  }

  async function respond(id: number, result: () => Promise<Result>): Promise<void> {
    try {
      const value = await result();
      reply({ id, value }, buffersOf(arraysOf(value)));
    } catch (error) {
      reply({ id, error: packError(error) }, []);
    }
  }

  return (message) => {
    waiting++;
    if (message.request.type === "close") closing = true;
    queue = queue.then(() => serve(message));
  };
}

async function open(surroundings: Surroundings, settings: SessionSettings): Promise<Engine> {
  surroundings.ort.env.logLevel = "fatal";
  try {
    return await (settings.device === "webgpu"
      ? createWebgpuEngine(surroundings, settings)
      : createHostEngine(surroundings, settings));
  } catch (error) {
    if (error instanceof DeitError) throw error;
    const reason = error instanceof Error ? error.message.trim() : String(error);
    throw new DeviceError(settings.device, `${settings.device} cannot be used: ${reason}`, {
      code: "device/unusable",
      cause: error,
    });
  }
}

function arraysOf(value: Result): readonly TensorData[] {
  if (value instanceof Float32Array) return [value];
  if (typeof value !== "object" || isList(value)) return [];
  return Object.values(value);
}

// Array.isArray does not narrow readonly arrays.
function isList(value: Result): value is readonly string[] {
  return Array.isArray(value);
}
