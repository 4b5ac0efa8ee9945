/**
 * Devices that tests run on: cpu always, webgpu where there is a driver (a software one will do). For
 * `describe.each(devices)`, with one runtime a device shared by the tests of a file.
 */

import { afterFile } from "../../../../tests/setup/after-file.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { useWebgpuDriver } from "../runtime/webgpu-driver.ts";

const missing = await useWebgpuDriver();
if (missing !== undefined) console.warn(`webgpu is left out of these tests: ${missing}`);

/** Why webgpu is not among the devices; undefined when it is. */
export const webgpuMissing: string | undefined = missing;

export const devices: readonly ("cpu" | "webgpu")[] = missing === undefined ? ["cpu", "webgpu"] : ["cpu"];

const runtimes = new Map<string, Promise<Runtime>>();

/** The file's runtime of a device (one thread, so that sums have one order); closed after its last test. */
export function sharedRuntime(device: "cpu" | "webgpu"): Promise<Runtime> {
  const known = runtimes.get(device);
  if (known !== undefined) return known;
  const runtime = createRuntime({ device, threads: 1 });
  runtimes.set(device, runtime);
  afterFile(async () => {
    runtimes.delete(device);
    await (await runtime).close();
  });
  return runtime;
}
