/**
 * Run as a process by `probe.ts`, which reads what it and ONNX Runtime print; it may crash, that is its purpose.
 * `probe-child webgpu|cuda` tries the device and prints what it found; `probe-child nodes webgpu|cuda` loads the model on
 * stdin there with a log that names the nodes without a kernel.
 */

import { readdirSync, readlinkSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import * as ort from "onnxruntime-node";
import { float16Model, identityModel } from "./identity-model.ts";
import type { DeviceProbe } from "./probe.ts";

const [task = "webgpu", where = "webgpu"] = process.argv.slice(2);

/** Hardware drivers hold a device file open, software ones none; elsewhere than on Linux drivers are of the system. */
function usesHardware(): boolean {
  if (process.platform !== "linux") return true;
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      return /^\/dev\/(dri\/|nvidia|dxg|mali|kgsl)/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // the descriptor of this very listing
    }
  });
}

async function tryDevice(device: string): Promise<Omit<DeviceProbe, "loader">> {
  try {
    const session = await ort.InferenceSession.create(identityModel, {
      executionProviders: [device],
      logSeverityLevel: 4,
    });
    const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(1, 2, 3), [3]) });
    const usable = y?.data[2] === 3;
    const float16 = usable && (await computesInFloat16(device));
    return { usable, hardware: usesHardware(), float16, message: usable ? "" : "it computes wrong values" };
  } catch (error) {
    // ONNX Runtime puts its source position and the failed condition before what a reader can use.
    const message = (error instanceof Error ? error.message : String(error))
      .replace(/^.*was false\. /s, "")
      .trim();
    return { usable: false, hardware: false, float16: false, message };
  }
}

/** ONNX Runtime loads float16 nodes anywhere; a device without float16 fails when it runs them. */
async function computesInFloat16(device: string): Promise<boolean> {
  try {
    const session = await ort.InferenceSession.create(float16Model, {
      executionProviders: [device],
      logSeverityLevel: 4,
      extra: { session: { disable_cpu_ep_fallback: "1" } },
    });
    const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(1, -2049, 3), [3]) });
    return y?.data[1] === 2048; // what float16 makes of 2049
  } catch {
    return false;
  }
}

ort.env.logLevel = task === "nodes" ? "verbose" : "fatal";
if (task === "nodes") {
  const model = await buffer(process.stdin);
  // As sessions.ts.
  const provider = where === "webgpu" ? ({ name: where, preferredLayout: "NCHW" } as const) : where;
  const options = { executionProviders: [provider], logSeverityLevel: 0 as const };
  await ort.InferenceSession.create(new Uint8Array(model), options);
} else {
  process.stdout.write(`${JSON.stringify(await tryDevice(task))}\n`);
}
