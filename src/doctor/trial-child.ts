/** Run as a process by `trial.ts`: a tiny training step on the device that is named, its outcome as a line of JSON. */

import { DeitError } from "../errors.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import type { Trial } from "./trial.ts";

const [device = "cpu"] = process.argv.slice(2);

async function outcome(): Promise<Trial> {
  try {
    // Loaded here, so that a broken installation is an outcome, too.
    const { createRuntime } = await import("../runtime/node.ts");
    const { tryStep } = await import("./trial-program.ts");
    const start = performance.now();
    const runtime = await createRuntime({ device: device as DeviceName, threads: 1 });
    const wrong = await tryStep(runtime);
    const milliseconds = Math.round(performance.now() - start);
    await runtime.close();
    return wrong === undefined ? { works: true, milliseconds } : { works: false, message: wrong };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof DeitError ? error.hint : undefined;
    const [first = message] = message.split("\n");
    return { works: false, message: first, ...(hint !== undefined && { hint }) };
  }
}

process.stdout.write(`${JSON.stringify(await outcome())}\n`);
