/**
 * The caller's side of a runtime: turns calls into messages to a worker and its answers into promises, and makes
 * sure that no promise is left hanging when the worker dies. Knows no Node: the worker is a `SessionPort`.
 */

import { DeviceError } from "../errors.ts";
import type { ProgramFacts, Target } from "../graph/program.ts";
import { checkFeeds, checkProgram } from "./feeds.ts";
import { buffersOf, detachedCopy, unpackError } from "./messages.ts";
import type { Answer, Envelope, Request, Results, Result } from "./messages.ts";
import type { DeviceName, Executable, Runtime, TensorData } from "./runtime.ts";

/** A worker that runs a session host. */
export interface SessionPort {
  post(message: Envelope, transfer: ArrayBuffer[]): void;
  onAnswer(listener: (answer: Answer) => void): void;
  /** Called once, with the reason, when the worker ends for whatever reason. */
  onEnd(listener: (reason: string) => void): void;
  /** Busy ports keep the process alive, idle ones let it exit. */
  setBusy(busy: boolean): void;
  /** Ends the worker now; resolves when it is gone. */
  terminate(): Promise<void>;
}

export interface RuntimeFacts {
  readonly device: DeviceName;
  readonly target: Target;
  readonly threads: number;
  readonly reason: string;
  readonly profile: string | undefined;
}

interface Waiting {
  resolve(value: Result): void;
  reject(error: Error): void;
}

/** Opens sessions behind `port`; resolves when the device answered. */
export async function connect(port: SessionPort, facts: RuntimeFacts): Promise<Runtime> {
  const { device, threads, reason, profile } = facts;
  let { target } = facts;
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let ended: string | undefined;

  port.onAnswer((answer) => {
    const promise = waiting.get(answer.id);
    if (promise === undefined) return; // rejected by close()
    waiting.delete(answer.id);
    if (waiting.size === 0) port.setBusy(false);
    if ("error" in answer) promise.reject(unpackError(answer.error));
    else promise.resolve(answer.value);
  });
  port.onEnd((why) => {
    ended ??= why;
    rejectAll(`the ${device} worker ended with work pending: ${why}`);
  });

  function rejectAll(message: string): void {
    const promises = [...waiting.values()];
    waiting.clear();
    port.setBusy(false);
    for (const { reject } of promises) reject(new DeviceError(device, message, { code: "device/ended" }));
  }

  function send<T extends Request["type"]>(
    request: Request & { type: T },
    arrays: Iterable<TensorData> = [],
  ): Promise<Results[T]> {
    const id = nextId++;
    return new Promise<Result>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      if (waiting.size === 1) port.setBusy(true);
      try {
        port.post({ id, request }, buffersOf(arrays));
      } catch (error) {
        waiting.delete(id);
        if (waiting.size === 0) port.setBusy(false);
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    }) as Promise<Results[T]>;
  }

  function checkOpen(): void {
    if (ended !== undefined)
      throw new DeviceError(device, `the ${device} runtime can no longer be used: ${ended}`, {
        code: "device/ended",
      });
  }

  function executable(program: ProgramFacts, handle: number): Executable {
    let released = false;
    return {
      program,
      async run(feeds, { group } = {}) {
        checkOpen();
        if (released)
          throw new DeviceError(device, `program "${program.name}" was released and cannot run`, {
            code: "program/released",
          });
        checkFeeds(program, feeds);
        const copies = Object.fromEntries(
          Object.entries(feeds).map(([name, data]) => [name, detachedCopy(data)]),
        );
        return send({ type: "run", handle, feeds: copies, group }, Object.values(copies));
      },
      async release() {
        if (released || ended !== undefined) return undefined;
        released = true;
        return send({ type: "release", handle });
      },
    };
  }

  try {
    target = (await send({ type: "open", settings: { device, threads, profile } })) ?? target;
  } catch (error) {
    await port.terminate();
    throw error;
  }

  return {
    device,
    target,
    threads,
    reason,
    async load(program, { transfer = false } = {}) {
      checkOpen();
      checkProgram(program);
      const { model: bytes, ...facts } = program;
      const { name, target, inputs, outputs, state, hasChains } = facts;
      const model = transfer ? bytes : detachedCopy(bytes);
      const handle = nextId;
      await send(
        {
          type: "load",
          handle,
          program: { name, target, model, inputs, outputs, state, ...(hasChains && { hasChains }) },
        },
        [model],
      );
      return executable(facts, handle);
    },
    async setState(name, value) {
      checkOpen();
      const copy = detachedCopy(value);
      return send({ type: "setState", name, value: copy }, [copy]);
    },
    async getState(name) {
      checkOpen();
      return send({ type: "getState", name });
    },
    async deleteState(name) {
      checkOpen();
      return send({ type: "deleteState", name });
    },
    async close() {
      if (ended !== undefined) return [];
      ended = "it was closed";
      rejectAll(`the ${device} runtime was closed with work pending`);
      try {
        return await send({ type: "close" });
      } catch {
        return []; // the worker is gone already, which is what closing is for
      } finally {
        await port.terminate();
      }
    },
  };
}
