/**
 * Run as a process by the tests. `forgetful <device> idle|pending|closed|open`: makes a runtime, runs a program and
 * never closes it (`pending`: with a run that nobody waits for). `open` prints the error of a device that is not there.
 */

import { DeviceError } from "../../src/errors.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import type { DeviceName } from "../../src/runtime/runtime.ts";
import { accumulate } from "./programs.ts";

const [device = "cpu", how = "idle"] = process.argv.slice(2);

try {
  const runtime = await createRuntime({ device: device as DeviceName, threads: 1 });
  const program = await runtime.load(accumulate(runtime.target, 4));
  await runtime.setState("w", new Float32Array(4));
  await program.run({ x: new Float32Array(4).fill(1) });
  if (how === "pending") {
    for (let i = 0; i < 50; i++) void program.run({ x: new Float32Array(4).fill(1) });
    void runtime.getState("w").then((w) => console.log(`w is ${w[0]}`));
  } else {
    console.log(runtime.reason);
  }
  if (how === "closed") await runtime.close();
} catch (error) {
  if (!(error instanceof DeviceError)) throw error;
  console.log(JSON.stringify({ device: error.device, message: error.message, hint: error.hint }));
}
