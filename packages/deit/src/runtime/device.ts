/**
 * Which device a runtime gets, and why. Anything that might bring the process down (Dawn and CUDA may abort it) is
 * tried in a child process first, so that a missing driver is an error message and not a crash.
 */

import { existsSync } from "node:fs";
import { DeviceError } from "../errors.ts";
import type { Target } from "../graph/program.ts";
import { INSTALL_CUDA, cudaRefusal } from "./install-cuda.ts";
import { cudaProvider, onnxRuntimePackage } from "./onnxruntime-package.ts";
import { probeDevice } from "./probe.ts";
import type { DeviceProbe } from "./probe.ts";
import { devices } from "./runtime.ts";
import type { DeviceName } from "./runtime.ts";

export interface DeviceChoice {
  readonly device: DeviceName;
  readonly target: Target;
  readonly reason: string;
}

/** Resolves `auto` and makes sure that a device can be used. Throws DeviceError saying how to get it. */
export async function chooseDevice({
  device,
  threads,
}: {
  device: string;
  threads: number;
}): Promise<DeviceChoice> {
  const cpu = (why: string): DeviceChoice => ({
    device: "cpu",
    target: "cpu",
    reason: `cpu, ${threads} ${threads === 1 ? "thread" : "threads"} (${why})`,
  });
  switch (device) {
    case "cpu":
      return cpu("as requested");
    case "webgpu": {
      const probe = await probeDevice("webgpu");
      if (!probe.usable) throw missingWebgpu(probe);
      const adapter = probe.hardware ? "hardware adapter" : "software adapter, slower than cpu";
      return { device, target: "webgpu", reason: `webgpu, ${adapter} (as requested)` };
    }
    case "cuda":
      await checkCuda();
      return { device, target: "cpu", reason: "cuda, state crosses the bus at every run (as requested)" };
    case "auto": {
      const { without } = await autoWebgpu();
      if (without !== undefined) return cpu(`auto: ${without}`);
      return { device: "webgpu", target: "webgpu", reason: "webgpu, hardware adapter (auto)" };
    }
    default:
      throw new DeviceError(device, `there is no device "${device}"`, {
        code: "device/unknown",
        hint: `Devices: auto, ${devices.join(", ")}.`,
      });
  }
}

async function autoWebgpu(): Promise<{ without?: string }> {
  // On Linux a GPU that programs can use has a device file; without one there is nothing to try.
  if (process.platform === "linux" && !gpuFiles.some((path) => existsSync(path)))
    return { without: "no GPU found" };
  const probe = await probeDevice("webgpu");
  if (!probe.usable) return { without: "no WebGPU adapter" };
  return probe.hardware ? {} : { without: "the only WebGPU adapter is a software one" };
}

const gpuFiles = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg", "/dev/mali0", "/dev/kgsl-3d0"];

function missingWebgpu({ message, loader }: DeviceProbe): DeviceError {
  if (process.platform !== "linux") {
    return new DeviceError("webgpu", `webgpu cannot be used: ${message}`, {
      code: "device/unusable",
      hint: "Update the graphics driver, or take --device cpu.",
    });
  }
  if (!loader) {
    return new DeviceError("webgpu", "webgpu cannot be used: there is no Vulkan loader (libvulkan.so.1)", {
      code: "device/unusable",
      hint: "Debian, Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers (NVIDIA: the vendor's driver instead of mesa). Or take --device cpu.",
    });
  }
  const forced = process.env["VK_DRIVER_FILES"] ?? process.env["VK_ICD_FILENAMES"];
  if (forced !== undefined && !forced.split(":").some((path) => existsSync(path))) {
    return new DeviceError(
      "webgpu",
      `webgpu cannot be used: VK_DRIVER_FILES or VK_ICD_FILENAMES names ${forced}, which is not there`,
      { code: "device/unusable", hint: "Unset it, or name the .json file of a Vulkan driver." },
    );
  }
  return new DeviceError(
    "webgpu",
    `webgpu cannot be used: no Vulkan driver offers a suitable adapter (${message})`,
    {
      code: "device/unusable",
      hint: "AMD, Intel: apt-get install mesa-vulkan-drivers. NVIDIA: the vendor's driver. Or take --device cpu.",
    },
  );
}

/**
 * CUDA's libraries would round the operands of float32 products to 10 bits (TF32), since ONNX Runtime allows it and
 * onnxruntime-node cannot say otherwise. They read this variable once, before their first product; what the user has set
 * stays. Processes that are started from here inherit it. From a worker thread it would not reach native code.
 */
function keepFloat32(): void {
  process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
}

async function checkCuda(): Promise<void> {
  keepFloat32();
  const refusal = cudaRefusal();
  if (refusal !== undefined) throw refusal;
  if (cudaProvider(onnxRuntimePackage()) === undefined) {
    throw new DeviceError(
      "cuda",
      "the npm package onnxruntime-node has no CUDA provider inside, and none was added",
      {
        code: "device/unusable",
        hint:
          `Add it with: ${INSTALL_CUDA} (several hundred MB; needs an NVIDIA driver, CUDA 12 and cuDNN 9). ` +
          "Or take --device webgpu, which needs none of that.",
      },
    );
  }
  const probe = await probeDevice("cuda");
  if (probe.usable) return;
  throw new DeviceError("cuda", `the CUDA provider is there and cannot be used: ${probe.message}`, {
    code: "device/unusable",
    hint: "It needs an NVIDIA driver, CUDA 12 and cuDNN 9 where the dynamic linker finds them; deit doctor says what is missing. Or take --device webgpu.",
  });
}
