/**
 * The worker's side of a runtime: takes requests, runs them one after another on an engine, answers. Knows no
 * Node: a worker thread or a web worker gives it the way to answer and its surroundings.
 */

import { DeitError, DeviceError } from "../errors.ts";
import type { Engine, LoadedProgram } from "./engine.ts";
import { createHostEngine } from "./host-engine.ts";
import { buffersOf, packError } from "./messages.ts";
import type { Answer, Envelope, Request, Result, SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";
import type { Surroundings } from "./sessions.ts";
import { createWebgpuEngine } from "./webgpu-engine.ts";

/** Sends an answer and hands over its buffers. */
export type Reply = (answer: Answer, transfer: ArrayBuffer[]) => void;

/** Returns the handler of incoming messages. */
export function createSessionHost(surroundings: Surroundings, reply: Reply): (message: Envelope) => void {
  const programs = new Map<number, LoadedProgram>();
  let engine: Engine | undefined;
  let closing = false;
  let queue: Promise<void> = Promise.resolve();

  async function answer(request: Request): Promise<Result> {
    if (request.type === "open") {
      engine = await open(surroundings, request.settings);
      return engine.block;
    }
    if (request.type === "close") return releaseAll();
    if (engine === undefined) throw new DeitError("the runtime was not opened");
    switch (request.type) {
      case "load":
        programs.set(request.handle, await engine.load(request.program));
        return undefined;
      case "run":
        return programOf(request.handle).run(request.feeds);
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
    if (program === undefined) throw new DeitError("this program was released, or it failed to load");
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
    // Whoever closes has already rejected what was waiting.
    if (closing && request.type !== "close") return;
    try {
      const value = await answer(request);
      reply({ id, value }, buffersOf(arraysOf(value)));
    } catch (error) {
      reply({ id, error: packError(error) }, []);
    }
  }

  return (message) => {
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
    throw new DeviceError(settings.device, `${settings.device} cannot be used: ${reason}`, { cause: error });
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
