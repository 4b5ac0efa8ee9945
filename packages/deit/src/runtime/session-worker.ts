/** Worker thread that holds the ONNX Runtime sessions: `session.run` blocks its thread, and this one may block. */

import { availableParallelism, cpus } from "node:os";
import { parentPort } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import type { CpuTimes } from "./contention.ts";
import type { Envelope } from "./messages.ts";
import { loadAddon, nativeSessions } from "./native.ts";
import { newestProfile, unsupportedNodes } from "./probe.ts";
import { createSessionHost } from "./session-host.ts";

const port = parentPort;
if (port === null) throw new Error("session-worker runs as a worker thread only");

const handle = createSessionHost(
  // Tried on x64 alone: elsewhere ONNX Runtime may be built without such convolutions and would write past its arrays.
  {
    ort,
    unsupportedNodes,
    warn: (message) => process.emitWarning(message),
    profileFile: newestProfile,
    blocks: process.arch === "x64",
    native: nativeSessions(loadAddon()),
    cpu: { cores: availableParallelism(), now: () => performance.now(), read: cpuTimes },
  },
  (answer, transfer) => {
    port.postMessage(answer, transfer);
  },
);
port.on("message", (message: Envelope) => handle(message));

function cpuTimes(): CpuTimes {
  const { user, system } = process.cpuUsage();
  const all = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { all, own: (user + system) / 1000 };
}
