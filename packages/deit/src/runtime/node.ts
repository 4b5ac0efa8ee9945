/** Runtimes in Node: device choice, then a worker thread with the sessions. */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { ConfigError } from "../errors.ts";
import { connect } from "./client.ts";
import type { SessionPort } from "./client.ts";
import { chooseDevice } from "./device.ts";
import type { Answer } from "./messages.ts";
import { besideThis } from "./probe.ts";
import type { Runtime, RuntimeOptions } from "./runtime.ts";

/**
 * Opens a device. Throws DeviceError when the device is unknown or cannot be used, saying what is missing; never
 * takes another device than the one asked for.
 */
export async function createRuntime({
  device = "auto",
  threads = availableParallelism(),
  profile,
}: RuntimeOptions = {}): Promise<Runtime> {
  if (!Number.isInteger(threads) || threads < 1) {
    throw new ConfigError("threads", `threads is ${threads}; expected a whole number from 1 on`, {
      code: "device/threads",
    });
  }
  const choice = await chooseDevice({ device, threads });
  return connect(openPort(new Worker(besideThis("session-worker"))), { ...choice, threads, profile });
}

/** Wraps a worker thread that runs a session host. */
export function openPort(worker: Worker): SessionPort {
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onAnswer(listener) {
      worker.on("message", (answer: Answer) => listener(answer));
    },
    onEnd(listener) {
      worker.on("error", (error) => listener(error instanceof Error ? error.message : String(error)));
      worker.on("messageerror", (error) => listener(error.message));
      worker.on("exit", (code) => listener(`its thread exited with code ${code}`));
    },
    setBusy(busy) {
      if (busy) worker.ref();
      else worker.unref();
    },
    async terminate() {
      await worker.terminate();
    },
  };
}
