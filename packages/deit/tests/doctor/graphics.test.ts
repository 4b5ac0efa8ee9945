/** Cards and drivers as each system tells of them. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  describeDriver,
  parseNvidiaSmi,
  parseSystemProfiler,
  parseVideoControllers,
  vulkanDrivers,
} from "../../src/doctor/graphics.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deit-icd-"));
  const icd = join(folder, "vulkan", "icd.d");
  await mkdir(icd, { recursive: true });
  await writeFile(
    join(icd, "card.json"),
    JSON.stringify({ ICD: { library_path: "./libcard.so", api_version: "1.3.0" } }),
  );
  await writeFile(join(icd, "broken.json"), "{");
});
afterAll(() => rm(folder, { recursive: true }));

describe("cards", () => {
  it("of nvidia-smi", () => {
    expect(
      parseNvidiaSmi("NVIDIA H100 80GB HBM3, 550.54.15, 81559\nGeForce GTX 1080, 535.1, [N/A]\n"),
    ).toEqual([
      { name: "NVIDIA H100 80GB HBM3", driver: "550.54.15", memoryMiB: 81559, source: "nvidia-smi" },
      { name: "NVIDIA GeForce GTX 1080", driver: "535.1", source: "nvidia-smi" },
    ]);
    expect(
      parseNvidiaSmi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."),
    ).toEqual([]);
  });

  it("of macOS and Windows", () => {
    expect(parseSystemProfiler('{"SPDisplaysDataType":[{"_name":"x","sppci_model":"Apple M3"}]}')).toEqual([
      { name: "Apple M3", source: "system_profiler" },
    ]);
    const one = '{"Name":"Radeon","DriverVersion":"31.0"}';
    const card = { name: "Radeon", driver: "31.0", source: "Win32_VideoController" };
    expect(parseVideoControllers(one)).toEqual([card]);
    expect(parseVideoControllers(`[${one},${one}]`)).toEqual([card, card]);
  });

  it.each(["", "no JSON", "null", "[null]", "{}"])("of nonsense are none: %j", (text) => {
    expect(parseSystemProfiler(text)).toEqual([]);
    expect(parseVideoControllers(text)).toEqual([]);
  });
});

describe("Vulkan drivers", () => {
  it("are found where the loader looks", () => {
    const { files, namedBy } = vulkanDrivers({ XDG_DATA_DIRS: folder });
    expect(files).toContain(join(folder, "vulkan", "icd.d", "card.json"));
    expect(namedBy).toBeUndefined();
  });

  it("are those that the environment names, when it does", () => {
    expect(vulkanDrivers({ VK_ICD_FILENAMES: "/a.json:/b.json", XDG_DATA_DIRS: folder })).toEqual({
      files: ["/a.json", "/b.json"],
      namedBy: "VK_ICD_FILENAMES",
    });
  });

  it("say their library; broken and missing files say nothing", () => {
    const icd = join(folder, "vulkan", "icd.d");
    expect(describeDriver(join(icd, "card.json"))).toEqual({
      file: join(icd, "card.json"),
      library: join(icd, "libcard.so"),
      apiVersion: "1.3.0",
    });
    for (const name of ["broken.json", "none.json"])
      expect(describeDriver(join(icd, name))).toMatchObject({ library: undefined, apiVersion: undefined });
  });
});
