/** Device choice: what is missing is said, with its remedy, and nothing else is taken instead. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DeviceError } from "../../src/errors.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import type { DeviceName } from "../../src/runtime/runtime.ts";
import { webgpuMissing } from "../helpers/devices.ts";
import { runScript } from "./process.ts";

interface Refusal {
  readonly device: string;
  readonly message: string;
  readonly hint: string;
}

async function refusal(env: Readonly<Record<string, string>>): Promise<Refusal> {
  const { stdout } = await runScript("forgetful.ts", ["webgpu", "idle"], env);
  return JSON.parse(stdout) as Refusal;
}

describe("createRuntime", () => {
  test("an unknown device lists the devices", async () => {
    const tpu = createRuntime({ device: "tpu" as DeviceName });
    await expect(tpu).rejects.toThrow(DeviceError);
    await expect(tpu).rejects.toMatchObject({ code: "device/unknown" });
    await expect(tpu).rejects.toThrow('there is no device "tpu"\nDevices: auto, cpu, webgpu, cuda.');
  });

  test.each([0, 1.5, -2, Number.NaN])("%s threads are refused", async (threads) => {
    await expect(createRuntime({ device: "cpu", threads })).rejects.toMatchObject({ code: "device/threads" });
  });

  test("says how many threads the cpu takes", async () => {
    const runtime = await createRuntime({ device: "cpu", threads: 2 });
    expect(runtime.reason).toBe("cpu, 2 threads (as requested)");
    expect(runtime.threads).toBe(2);
    await runtime.close();
  });

  test.skipIf(webgpuMissing !== undefined)("auto never takes a software adapter", async () => {
    const runtime = await createRuntime();
    if (runtime.device === "cpu")
      expect(runtime.reason).toMatch(/\(auto: (no GPU found|the only WebGPU adapter is a software one)\)/);
    else expect(runtime.reason).toBe("webgpu, hardware adapter (auto)");
    await runtime.close();
  });
});

describe("cuda's float32", () => {
  // What native code reads there: setting it in a script's main thread sets the process' own.
  const seen = async (env: Readonly<Record<string, string | undefined>>): Promise<string> =>
    (await runScript("tf32.ts", [], env)).stdout.trim();

  test("is not TF32, in this process and in those started from it", async () => {
    expect(await seen({ NVIDIA_TF32_OVERRIDE: undefined })).toBe("0 0");
  });
  test("unless the user says so", async () => {
    expect(await seen({ NVIDIA_TF32_OVERRIDE: "1" })).toBe("1 1");
  });
});

describe.skipIf(process.platform !== "linux")("webgpu that cannot be used", () => {
  test("without a Vulkan loader names the package", async () => {
    const folder = await mkdtemp(join(tmpdir(), "loader-"));
    await writeFile(join(folder, "libvulkan.so.1"), "no library");
    const { device, message, hint } = await refusal({ LD_LIBRARY_PATH: folder });
    await rm(folder, { recursive: true });
    expect(device).toBe("webgpu");
    expect(message).toContain("no Vulkan loader (libvulkan.so.1)");
    expect(hint).toContain("apt-get install libvulkan1");
  });

  test.skipIf(webgpuMissing !== undefined)("without the driver that the environment names", async () => {
    const { message, hint } = await refusal({ VK_ICD_FILENAMES: "/nowhere/driver.json" });
    expect(message).toContain("names /nowhere/driver.json, which is not there");
    expect(hint).toContain("Unset it");
  });

  test.skipIf(webgpuMissing !== undefined)("without any driver names the packages", async () => {
    const folder = await mkdtemp(join(tmpdir(), "driver-"));
    const manifest = join(folder, "driver.json");
    await writeFile(
      manifest,
      JSON.stringify({
        file_format_version: "1.0.0",
        ICD: { library_path: "./gone.so", api_version: "1.1.0" },
      }),
    );
    const { message, hint } = await refusal({ VK_ICD_FILENAMES: manifest });
    await rm(folder, { recursive: true });
    expect(message).toContain("no Vulkan driver offers a suitable adapter");
    expect(hint).toContain("apt-get install mesa-vulkan-drivers");
  });
});

describe("cuda", () => {
  test("is refused, or runs, never replaced by another device", async () => {
    const opening = createRuntime({ device: "cuda", threads: 1 });
    const outcome = await opening.catch((error: unknown) => error);
    if (outcome instanceof DeviceError) {
      expect(outcome.device).toBe("cuda");
      expect(outcome.message).toMatch(/CUDA provider/);
      expect(outcome.hint).toMatch(/cuda12|cuDNN|--device webgpu/);
    } else {
      const runtime = await opening;
      expect(runtime.device).toBe("cuda");
      await runtime.close();
    }
  });
});
