/**
 * `deit doctor`: what this machine has, what `--device auto` takes and why, what is missing and how to mend it. Each
 * device proves itself with a tiny training step in a process of its own. Nothing here fails on an odd machine: what
 * cannot be found out is left out.
 */

import { existsSync } from "node:fs";
import { chooseDevice } from "../runtime/device.ts";
import { onnxRuntimePackage } from "../runtime/onnxruntime-package.ts";
import { devices } from "../runtime/runtime.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import { VERSION } from "../version.ts";
import { lookAtCuda } from "./cuda.ts";
import type { Cuda } from "./cuda.ts";
import { lookAtGraphics } from "./graphics.ts";
import type { Graphics } from "./graphics.ts";
import { attempt } from "../runtime/guarded.ts";
import { cpuChecks, cudaCheck, imagesCheck, vulkanChecks, webgpuCheck } from "./findings.ts";
import { lookAtMachine } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { tryImages } from "./images.ts";
import { tryDevice } from "./trial.ts";
import type { Trial } from "./trial.ts";

/** `fail`: deit cannot work here. `warn`: it can, less well than it might. `info`: something optional is absent. */
export type Status = "ok" | "warn" | "fail" | "info";

export interface Check {
  readonly name: string;
  readonly status: Status;
  readonly found: string;
  /** The one command or step that mends it. */
  readonly fix?: string;
}

/** What `deit doctor --json` prints. */
export interface DoctorReport {
  readonly versions: { readonly deit: string; readonly node: string; readonly onnxRuntime: string | null };
  /** What `--device auto` takes, and why. */
  readonly auto: { readonly device: DeviceName; readonly reason: string };
  readonly checks: readonly Check[];
  readonly machine: Machine;
  readonly graphics: Graphics;
  readonly cuda: Cuda;
  /** How a tiny training step went on each device. */
  readonly trials: Readonly<Record<DeviceName, Trial>>;
}

/** Looks at everything at once; takes a few seconds. */
export async function doctor(): Promise<DoctorReport> {
  const auto = chooseAuto();
  const [machine, graphics, cuda, images, ...outcomes] = await Promise.all([
    lookAtMachine(),
    lookAtGraphics(),
    lookAtCuda(),
    tryImages(),
    ...devices.map((device) => tryDevice(device)),
  ]);
  const trials = Object.fromEntries(
    devices.map((device, i) => [device, outcomes[i]]),
  ) as DoctorReport["trials"];
  const cards = { ...graphics, deviceFiles: existsSync("/dev/dri") || existsSync("/dev/nvidiactl") };
  return {
    versions: {
      deit: VERSION,
      node: process.versions.node,
      onnxRuntime: attempt(() => onnxRuntimePackage().version) ?? null,
    },
    auto: await auto,
    checks: [
      ...cpuChecks(machine, trials.cpu),
      imagesCheck(images),
      ...vulkanChecks(graphics),
      webgpuCheck(cards, trials.webgpu),
      cudaCheck(cuda, { gpus: graphics.gpus, trial: trials.cuda }),
    ],
    machine,
    graphics,
    cuda,
    trials,
  };
}

async function chooseAuto(): Promise<DoctorReport["auto"]> {
  const threads = 1;
  try {
    const { device, reason } = await chooseDevice({ device: "auto", threads });
    // Its words about threads are of the runtime that is opened; here it is about the device.
    return { device, reason: /\(auto: (.*)\)$/.exec(reason)?.[1] ?? reason };
  } catch (error) {
    return { device: "cpu", reason: error instanceof Error ? error.message : String(error) };
  }
}
