/** What was found, judged: a status, a line, and what mends it. Pure, so that odd machines can be tested. */

import { basename } from "node:path";
import { INSTALL_CUDA } from "../runtime/install-cuda.ts";
import type { Cuda } from "./cuda.ts";
import type { Check } from "./doctor.ts";
import type { Gpu, Graphics } from "./graphics.ts";
import type { Machine } from "./machine.ts";
import type { ImagesTrial } from "./images.ts";
import type { Trial } from "./trial.ts";

/** Below these, runs are likely to fail: DeiT-Ti at 224 in batches of 8 takes about 1 GiB. */
const LITTLE_MEMORY_MIB = 2048;
const LITTLE_DISK_MIB = 2048;

/** Processor, cores, memory, disks, and the proof that programs run. */
export function cpuChecks(machine: Machine, trial: Trial): Check[] {
  return [
    processorCheck(machine),
    coresCheck(machine.cores),
    memoryCheck(machine.memory),
    ...machine.disks.map(({ use, folder, freeMiB }): Check => ({
      name: `disk for ${use}`,
      found: `${size(freeMiB)} free in ${folder}`,
      ...(freeMiB < LITTLE_DISK_MIB
        ? {
            status: "warn",
            fix:
              use === "runs"
                ? "Make room, or name another folder: --output-dir DIR"
                : "Make room, or name another folder: export DEIT_CACHE=DIR",
          }
        : { status: "ok" }),
    })),
    trialCheck("cpu", trial, {
      status: "fail",
      fix: machine.musl
        ? "ONNX Runtime has no build for this system's C library (musl, as on Alpine): take a system with glibc, such as Debian"
        : "Install the libraries again: npm ci",
    }),
  ];
}

function processorCheck({ platform, arch, cpu = "unknown", features }: Machine): Check {
  const name = "processor";
  const found = `${cpu} (${platform} ${arch}${features === undefined || features.length === 0 ? "" : `; ${features.join(", ")}`})`;
  if (arch === "x64" && features !== undefined && !features.includes("AVX2")) {
    const fix =
      "A processor with AVX2 (2013 and later) is several times as fast; in a virtual machine, pass the host's on";
    return { name, found, status: "warn", fix };
  }
  return { name, found, status: "ok" };
}

function coresCheck({ machine, usable }: Machine["cores"]): Check {
  if (usable >= machine) return { name: "cores", status: "ok", found: `${machine}` };
  return {
    name: "cores",
    status: "info",
    found: `${usable} of ${machine}: the rest is kept from this process (container, batch job or affinity)`,
  };
}

function memoryCheck({ totalMiB, availableMiB, limitMiB }: Machine["memory"]): Check {
  const limit = limitMiB === undefined ? "" : `, this process may use ${size(limitMiB)}`;
  const found = `${size(totalMiB)}${limit}, ${size(availableMiB)} free`;
  if (Math.min(availableMiB, limitMiB ?? totalMiB) >= LITTLE_MEMORY_MIB)
    return { name: "memory", status: "ok", found };
  return {
    name: "memory",
    status: "warn",
    found,
    fix: "End other programs, or take small batches: --batch-size 8",
  };
}

/** Whether images can be read. */
export function imagesCheck(trial: ImagesTrial): Check {
  const name = "images";
  if (trial.works) return { name, status: "ok", found: `sharp ${trial.version} writes and reads a JPEG` };
  return {
    name,
    status: "fail",
    found: `sharp cannot be used: ${trial.message}`,
    fix: "Install it again: npm ci",
  };
}

/** A card without a working WebGPU is worth a warning; no card is none. */
export function webgpuCheck(graphics: Graphics & { deviceFiles: boolean }, trial: Trial): Check {
  const { gpus, deviceFiles } = graphics;
  const card = gpus.length > 0 || deviceFiles;
  const seen = gpus.map(gpuLine).join("; ");
  if (trial.works && card && trial.hardware === false) {
    return {
      name: "webgpu",
      status: "warn",
      found: `${worked(trial)}, done by a software driver, slower than the cpu; not by ${seen || "the card"}`,
      fix:
        vulkanFix(graphics) ??
        "Install the card's Vulkan driver (AMD, Intel: apt-get install mesa-vulkan-drivers)",
    };
  }
  if (trial.works) {
    const doneBy = card ? seen || "a card" : "no card: a software driver, slower than the cpu";
    return { name: "webgpu", status: card ? "ok" : "info", found: `${worked(trial)}; ${doneBy}` };
  }
  if (!card) return { name: "webgpu", status: "info", found: "no graphics card found" };
  const fix = trial.timedOut ? TRY_AGAIN : trial.wrong ? trial.hint : (vulkanFix(graphics) ?? trial.hint);
  return {
    name: "webgpu",
    status: "warn",
    found: `${seen || "a card"} is there, and ${trial.message}`,
    ...(fix !== undefined && { fix }),
  };
}

/** On Linux: what keeps Vulkan from an NVIDIA card whose driver is there; undefined when it is not known. */
function vulkanFix({ gpus, vulkanLoader, vulkanDrivers, driversNamedBy }: Graphics): string | undefined {
  // Only the driver itself tells its version.
  const hasDriver = gpus.some(({ name, driver }) => name.startsWith("NVIDIA") && driver !== undefined);
  const onLinux = vulkanLoader !== undefined || vulkanDrivers.length > 0;
  const isReached = vulkanDrivers.some(({ file, library }) => /nvidia/i.test(`${basename(file)} ${library}`));
  if (!hasDriver || !onLinux || isReached) return undefined;
  if (driversNamedBy !== undefined)
    return `Unset ${driversNamedBy}: it names other Vulkan drivers than NVIDIA's`;
  const loader = vulkanLoader === false ? "; the loader is missing, too: apt-get install libvulkan1" : "";
  return `NVIDIA's driver is there without its part for Vulkan: start the container with --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all (outside one, install the driver's graphics libraries: nvidia-vulkan-icd on Debian, libnvidia-gl on Ubuntu)${loader}`;
}

/** A machine may be busy, which is not a fault. */
const TRY_AGAIN = "Try again when the machine is less busy; if it stays so, the device or its driver hangs";

/** By which WebGPU reaches a card on Linux; nothing to tell elsewhere. */
export function vulkanChecks({ vulkanLoader, vulkanDrivers, driversNamedBy }: Graphics): Check[] {
  if (vulkanLoader === undefined && vulkanDrivers.length === 0) return [];
  const drivers = vulkanDrivers.map(
    ({ file, apiVersion = "unreadable" }) => `${basename(file)} (${apiVersion})`,
  );
  const list = drivers.length === 0 ? "no drivers" : `drivers ${drivers.join(", ")}`;
  const named = driversNamedBy === undefined ? "" : `, named by ${driversNamedBy}`;
  const loader = vulkanLoader === false ? "no loader" : "loader libvulkan.so.1";
  const complete = vulkanLoader !== false && drivers.length > 0;
  return [{ name: "vulkan", status: complete ? "ok" : "info", found: `${loader}, ${list}${named}` }];
}

/** CUDA is offered where there is an NVIDIA card, and silent where there is none. */
export function cudaCheck(
  { offered, provider, missing }: Cuda,
  { gpus, trial }: { gpus: readonly Gpu[]; trial: Trial },
): Check {
  const name = "cuda";
  const card = gpus.some(({ name: gpu }) => gpu.startsWith("NVIDIA"));
  if (!offered) return { name, status: "info", found: "not offered by ONNX Runtime on this platform" };
  if (trial.works) return { name, status: "ok", found: `${worked(trial)}${kernels(trial)}` };
  const lacking = missing === undefined || missing.length === 0 ? "" : `; not found: ${missing.join(", ")}`;
  if (provider === undefined) {
    const found = `provider not installed${card ? lacking : ", and no NVIDIA card found"}`;
    return { name, status: "info", found, ...(card && { fix: INSTALL_CUDA }) };
  }
  return {
    name,
    status: "warn",
    found: `the provider is installed, and ${trial.message}${lacking}`,
    fix: trial.timedOut ? TRY_AGAIN : ((trial.wrong && trial.hint) ?? cudaFix(missing ?? [], card)),
  };
}

function cudaFix(missing: readonly string[], card: boolean): string {
  if (!card || missing.includes("libcuda.so.1"))
    return "Install NVIDIA's driver (Debian: apt-get install nvidia-driver; containers: start with --gpus all)";
  const packages = [
    ...(missing.some((library) => library !== "libcudnn.so.9") ? ["cuda-libraries-12-9"] : []),
    ...(missing.includes("libcudnn.so.9") ? ["libcudnn9-cuda-12"] : []),
  ];
  if (packages.length === 0) return "Update NVIDIA's driver: CUDA 12 needs 525 or newer";
  return `apt-get install ${packages.join(" ")} (from NVIDIA's package repository), or put the libraries' folder into LD_LIBRARY_PATH`;
}

function trialCheck(name: string, trial: Trial, broken: Pick<Check, "status" | "fix">): Check {
  if (trial.works) return { name, status: "ok", found: `${worked(trial)}${kernels(trial)}` };
  if (trial.timedOut) return { name, status: "warn", found: trial.message, fix: TRY_AGAIN };
  return { name, found: trial.message, ...broken };
}

function worked({ milliseconds }: { milliseconds: number }): string {
  return `a tiny training step ran, with correct results (${milliseconds} ms with its start)`;
}

/** Training is faster where elementwise operations are one of our own (runtime/native.ts). */
function kernels({ chains }: { chains?: boolean }): string {
  if (chains === undefined) return "";
  return chains ? "; with fused operations" : "; without fused operations, which are there for Linux x64";
}

function gpuLine({ name, driver, memoryMiB }: Gpu): string {
  return [name, driver && `driver ${driver}`, memoryMiB && size(memoryMiB)].filter(Boolean).join(", ");
}

function size(mebibytes: number): string {
  return mebibytes < 1024 ? `${mebibytes} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}
