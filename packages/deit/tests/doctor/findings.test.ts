/** What the doctor makes of odd machines. */
import { describe, expect, it } from "vitest";
import { absent, notFound } from "../../src/doctor/cuda.ts";
import { cpuChecks, cudaCheck, imagesCheck, vulkanChecks, webgpuCheck } from "../../src/doctor/findings.ts";
import type { Machine } from "../../src/doctor/machine.ts";
import { darwinFlags, namedFeatures } from "../../src/doctor/machine.ts";
import type { Trial } from "../../src/doctor/trial.ts";

const machine: Machine = {
  platform: "linux",
  arch: "x64",
  cpu: "Old Processor",
  features: ["AVX2"],
  cores: { machine: 8, usable: 8 },
  memory: { totalMiB: 16_384, availableMiB: 9000 },
  disks: [{ use: "runs", folder: "/runs", freeMiB: 50_000 }],
  musl: false,
};
const works: Trial = { works: true, milliseconds: 12 };
const broken = (message: string, hint?: string): Trial => ({ works: false, message, ...(hint && { hint }) });
const nvidia = { name: "NVIDIA H100", source: "nvidia-smi" };

function byName(checks: readonly { name: string }[], name: string): unknown {
  return checks.find((check) => check.name === name);
}

describe("the processor's part", () => {
  it("is all well on a good machine", () => {
    expect(cpuChecks(machine, works).map(({ status }) => status)).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  });

  it("says whether operations are fused", () => {
    for (const [chains, words] of [
      [true, /; with fused operations$/],
      [false, /; without fused operations/],
    ] as const)
      expect(byName(cpuChecks(machine, { ...works, chains }), "cpu")).toMatchObject({
        found: expect.stringMatching(words),
      });
  });

  it("warns of a processor without AVX2, little memory and a full disk, each with a remedy", () => {
    const checks = cpuChecks(
      {
        ...machine,
        features: ["SSE4.1"],
        memory: { totalMiB: 16_384, availableMiB: 9000, limitMiB: 1000 },
        disks: [{ use: "data sets", folder: "/cache", freeMiB: 10 }],
      },
      works,
    );
    expect(byName(checks, "processor")).toMatchObject({
      status: "warn",
      fix: expect.stringContaining("AVX2"),
    });
    expect(byName(checks, "memory")).toMatchObject({
      status: "warn",
      found: "16.0 GiB, this process may use 1000 MiB, 8.8 GiB free",
    });
    expect(byName(checks, "disk for data sets")).toMatchObject({
      status: "warn",
      fix: expect.stringContaining("DEIT_CACHE"),
    });
  });

  it("tells of cores that a container keeps back, without a warning", () => {
    const checks = cpuChecks({ ...machine, cores: { machine: 64, usable: 4 } }, works);
    expect(byName(checks, "cores")).toMatchObject({
      status: "info",
      found: expect.stringMatching(/^4 of 64/),
    });
  });

  it("does not judge features that the system does not tell", () => {
    expect(byName(cpuChecks({ ...machine, features: undefined }, works), "processor")).toMatchObject({
      status: "ok",
      found: "Old Processor (linux x64)",
    });
  });

  it("fails where no program runs, and knows musl", () => {
    const trial = broken("no such library");
    expect(byName(cpuChecks(machine, trial), "cpu")).toEqual({
      name: "cpu",
      status: "fail",
      found: "no such library",
      fix: expect.stringContaining("npm ci"),
    });
    expect(byName(cpuChecks({ ...machine, musl: true }, trial), "cpu")).toMatchObject({
      fix: expect.stringContaining("musl"),
    });
    expect(imagesCheck({ works: false, message: "gone" })).toMatchObject({ status: "fail" });
  });
});

describe("webgpu", () => {
  const none = { gpus: [], vulkanDrivers: [], deviceFiles: false };
  it("without a card is not a fault", () => {
    expect(webgpuCheck(none, broken("no adapter"))).toEqual({
      name: "webgpu",
      status: "info",
      found: "no graphics card found",
    });
    expect(webgpuCheck(none, works)).toMatchObject({
      status: "info",
      found: expect.stringContaining("software"),
    });
  });

  it("that fails beside a card is one, with the runtime's own remedy", () => {
    const check = webgpuCheck(
      { ...none, gpus: [nvidia] },
      broken("there is no Vulkan loader", "apt-get install x"),
    );
    expect(check).toEqual({
      name: "webgpu",
      status: "warn",
      found: "NVIDIA H100 is there, and there is no Vulkan loader",
      fix: "apt-get install x",
    });
    expect(webgpuCheck({ ...none, gpus: [nvidia] }, works)).toMatchObject({ status: "ok" });
  });

  it("done by a software driver beside a card is a warning", () => {
    const software: Trial = { works: true, milliseconds: 12, hardware: false };
    const swiftshader = { file: "/x/vk_swiftshader_icd.json", library: "/x/lib.so", apiVersion: "1.0.5" };
    const cards = { ...none, gpus: [{ ...nvidia, driver: "570.1" }], vulkanDrivers: [swiftshader] };
    expect(webgpuCheck({ ...cards, driversNamedBy: "VK_ICD_FILENAMES" }, software)).toMatchObject({
      status: "warn",
      found: expect.stringMatching(/by a software driver, slower than the cpu; not by NVIDIA H100/),
      fix: "Unset VK_ICD_FILENAMES: it names other Vulkan drivers than NVIDIA's",
    });
    expect(webgpuCheck({ ...none, deviceFiles: true }, software)).toMatchObject({
      status: "warn",
      fix: expect.stringContaining("mesa-vulkan-drivers"),
    });
    expect(webgpuCheck(none, software)).toMatchObject({ status: "info" });
    expect(webgpuCheck(cards, { ...software, hardware: true })).toMatchObject({ status: "ok" });
  });

  it("in a container that was given a card's driver without Vulkan names the setting", () => {
    const card = { ...nvidia, driver: "570.1" };
    const trial = broken("no Vulkan driver offers a suitable adapter", "NVIDIA: the vendor's driver");
    const fix = (graphics: Partial<Parameters<typeof webgpuCheck>[0]>): string | undefined =>
      webgpuCheck({ ...none, gpus: [card], ...graphics }, trial).fix;
    expect(fix({ vulkanLoader: true })).toMatch(/NVIDIA_DRIVER_CAPABILITIES=all .*libnvidia-gl on Ubuntu\)$/);
    expect(fix({ vulkanLoader: false })).toMatch(/the loader is missing, too: apt-get install libvulkan1$/);
    const icd = {
      file: "/etc/vulkan/icd.d/nvidia_icd.json",
      library: "libGLX_nvidia.so.0",
      apiVersion: "1.4",
    };
    expect(fix({ vulkanLoader: true, vulkanDrivers: [icd] })).toBe(trial.works ? "" : trial.hint);
    expect(fix({ vulkanLoader: true, gpus: [nvidia] })).toBe(trial.works ? "" : trial.hint); // no driver seen
  });

  it("reaches cards by Vulkan on Linux, and by nothing to tell of elsewhere", () => {
    expect(vulkanChecks({ gpus: [], vulkanDrivers: [] })).toEqual([]);
    expect(vulkanChecks({ gpus: [], vulkanLoader: false, vulkanDrivers: [] })).toMatchObject([
      { status: "info", found: "no loader, no drivers" },
    ]);
  });
});

it("a time-out is a busy machine, not a broken one", () => {
  const slow: Trial = { works: false, message: "it did not end within 30 seconds", timedOut: true };
  const again = { status: "warn", fix: expect.stringMatching(/^Try again when the machine is less busy/) };
  expect(byName(cpuChecks(machine, slow), "cpu")).toMatchObject(again);
  const graphics = { gpus: [nvidia], vulkanDrivers: [], deviceFiles: true };
  expect(webgpuCheck(graphics, slow)).toMatchObject(again);
  const installed = { offered: true, provider: "/x/libonnxruntime_providers_cuda.so", missing: [] };
  expect(cudaCheck(installed, { gpus: [nvidia], trial: slow })).toMatchObject(again);
});

describe("cuda", () => {
  const cuda = { offered: true, provider: undefined, missing: ["libcudnn.so.9"] };
  const trial = broken("it does not load");
  it("is offered beside an NVIDIA card alone", () => {
    expect(cudaCheck(cuda, { gpus: [], trial })).not.toHaveProperty("fix");
    expect(cudaCheck(cuda, { gpus: [nvidia], trial })).toMatchObject({
      status: "info",
      fix: "deit doctor --install-cuda",
    });
    expect(cudaCheck({ ...cuda, offered: false }, { gpus: [nvidia], trial })).not.toHaveProperty("fix");
  });

  it("names what an installed provider lacks, and the packages that have it", () => {
    const installed = { ...cuda, provider: "/x/libonnxruntime_providers_cuda.so" };
    expect(cudaCheck(installed, { gpus: [nvidia], trial })).toEqual({
      name: "cuda",
      status: "warn",
      found: "the provider is installed, and it does not load; not found: libcudnn.so.9",
      fix: expect.stringMatching(/^apt-get install libcudnn9-cuda-12 /),
    });
    expect(cudaCheck(installed, { gpus: [], trial })).toMatchObject({
      fix: expect.stringContaining("driver"),
    });
    expect(cudaCheck(installed, { gpus: [nvidia], trial: works })).toMatchObject({ status: "ok" });
  });

  it("that computes wrong values is not a matter of the driver's version", () => {
    const installed = { offered: true, provider: "/x/libonnxruntime_providers_cuda.so", missing: [] };
    const wrong = {
      ...broken("it computes wrong values (off by 0.5)", "Do not train on it"),
      wrong: true,
    } as const;
    expect(cudaCheck(installed, { gpus: [nvidia], trial: wrong })).toMatchObject({
      status: "warn",
      found: "the provider is installed, and it computes wrong values (off by 0.5)",
      fix: "Do not train on it",
    });
    expect(cudaCheck(installed, { gpus: [nvidia], trial })).toMatchObject({
      fix: expect.stringMatching(/^Update NVIDIA's driver/),
    });
  });

  it("reads what ldconfig lists and ldd misses", () => {
    const listed =
      "\tlibcuda.so.1 (libc6,x86-64) => /lib/libcuda.so.1\n\tlibcudnn.so.9 (libc6,x86-64) => /lib/x\n";
    expect(absent(listed, "")).not.toContain("libcuda.so.1");
    expect(absent(listed, "")).toContain("libcudart.so.12");
    expect(
      notFound(
        "\tlibcufft.so.11 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibonnxruntime.so.1 => not found\n",
      ),
    ).toEqual(["libcufft.so.11"]);
  });
});

describe("instruction sets", () => {
  it("are named as people do", () => {
    expect(namedFeatures(["fpu", "avx2", "amx_int8", "avx512f"])).toEqual(["AVX2", "AVX-512", "AMX int8"]);
    expect(namedFeatures(["asimd", "i8mm"])).toEqual(["NEON", "I8MM"]);
  });

  it("of macOS are read from sysctl", () => {
    const apple = "hw.optional.AdvSIMD: 1\nhw.optional.arm.FEAT_I8MM: 0\nhw.optional.arm.FEAT_DotProd: 1\n";
    expect(namedFeatures(darwinFlags(apple))).toEqual(["NEON", "dot product"]);
    const intel = "machdep.cpu.features: FPU SSE4.1 AVX1.0 FMA\nmachdep.cpu.leaf7_features: BMI1 AVX2\n";
    expect(namedFeatures(darwinFlags(intel))).toEqual(["SSE4.1", "AVX", "FMA", "AVX2"]);
  });
});
