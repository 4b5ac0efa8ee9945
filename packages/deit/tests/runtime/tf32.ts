/** Run as a process by the tests: asks for cuda, there or not, and prints NVIDIA_TF32_OVERRIDE here and in a child. */

import { execFileSync } from "node:child_process";
import { chooseDevice } from "../../src/runtime/device.ts";

await chooseDevice({ device: "cuda", threads: 1 }).catch(() => {});
const print = 'process.stdout.write(process.env.NVIDIA_TF32_OVERRIDE ?? "none")';
const inChild = execFileSync(process.execPath, ["-e", print], { encoding: "utf8" });
console.log(process.env["NVIDIA_TF32_OVERRIDE"] ?? "none", inChild);
