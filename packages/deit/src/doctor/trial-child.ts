/** Run as a process by `trial.ts`: a tiny training step on the device that is named, its outcome as a line of JSON. */

import { DeitError, firstLine } from "../errors.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import type { Trial } from "./trial.ts";

const [device = "cpu"] = process.argv.slice(2);

/** What to do about a device that computes wrong values. */
function remedyOf(wrong: string): string {
  if (wrong === "cpu") return "Install the libraries again: npm ci";
  const tf32 = process.env["NVIDIA_TF32_OVERRIDE"] ?? "0";
  if (wrong === "cuda" && tf32 !== "0")
    return `Unset NVIDIA_TF32_OVERRIDE (it is ${tf32}): products are rounded to TF32`;
  const update = wrong === "cuda" ? "ONNX Runtime's provider and the driver" : "the graphics driver";
  return `Do not train on it: take --device cpu. Updating ${update} may help`;
}

async function outcome(): Promise<Trial> {
  try {
    // Loaded here, so that a broken installation is an outcome, too.
    const { createRuntime } = await import("../runtime/node.ts");
    const { probeDevice } = await import("../runtime/probe.ts");
    const { tryStep } = await import("./trial-program.ts");
    const start = performance.now();
    const runtime = await createRuntime({ device: device as DeviceName, threads: 1 });
    const wrong = await tryStep(runtime);
    const chains = device === "cpu" ? { chains: runtime.target.endsWith("-chains") } : {};
    const milliseconds = Math.round(performance.now() - start);
    await runtime.close();
    // The runtime has asked already; this is that answer.
    const adapter = device === "webgpu" ? { hardware: (await probeDevice("webgpu")).hardware } : {};
    return wrong === undefined
      ? { works: true, milliseconds, ...adapter, ...chains }
      : { works: false, message: wrong, hint: remedyOf(device), wrong: true };
  } catch (error) {
    const hint = error instanceof DeitError ? error.hint : undefined;
    return { works: false, message: firstLine(error), ...(hint !== undefined && { hint }) };
  }
}

process.stdout.write(`${JSON.stringify(await outcome())}\n`);
