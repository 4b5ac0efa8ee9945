/** Graphics cards, and the Vulkan drivers by which WebGPU reaches them on Linux. */

import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { attempt, entries, outputOf, readText } from "../runtime/guarded.ts";

export interface Gpu {
  readonly name: string;
  /** Of the vendor's driver, where it says. */
  readonly driver?: string;
  readonly memoryMiB?: number;
  /** Who told of it. */
  readonly source: string;
}

/** A Vulkan driver's description (ICD file). */
export interface VulkanDriver {
  readonly file: string;
  /** The library that it names; undefined where the file cannot be read. */
  readonly library: string | undefined;
  /** Vulkan version that it offers. */
  readonly apiVersion: string | undefined;
}

export interface Graphics {
  readonly gpus: readonly Gpu[];
  /** Whether the dynamic linker knows the Vulkan loader (Linux); undefined where it does not tell. */
  readonly vulkanLoader?: boolean;
  readonly vulkanDrivers: readonly VulkanDriver[];
  /** Set when the environment names the drivers instead of the system's folders. */
  readonly driversNamedBy?: string;
}

export async function lookAtGraphics(): Promise<Graphics> {
  const isLinux = process.platform === "linux";
  const drivers = isLinux ? vulkanDrivers() : { files: [] };
  const libraries = isLinux ? await outputOf("/sbin/ldconfig", ["-p"]) : undefined;
  return {
    gpus: await gpus(),
    ...(libraries !== undefined && { vulkanLoader: libraries.includes("libvulkan.so.1 ") }),
    vulkanDrivers: drivers.files.map(describeDriver),
    ...(drivers.namedBy !== undefined && { driversNamedBy: drivers.namedBy }),
  };
}

async function gpus(): Promise<Gpu[]> {
  const nvidia = parseNvidiaSmi(
    (await outputOf("nvidia-smi", [
      "--query-gpu=name,driver_version,memory.total",
      "--format=csv,noheader,nounits",
    ])) ?? "",
  );
  switch (process.platform) {
    case "linux": {
      const kernel = nvidia.length > 0 ? nvidia : nvidiaOfKernel();
      const others = drmGpus().filter(({ name }) => kernel.length === 0 || !name.startsWith("NVIDIA"));
      return [...kernel, ...others];
    }
    case "darwin":
      return parseSystemProfiler((await outputOf("system_profiler", ["SPDisplaysDataType", "-json"])) ?? "");
    case "win32": {
      const listed = await outputOf("powershell", [
        "-NoProfile",
        "-Command",
        "Get-CimInstance Win32_VideoController | Select-Object Name,DriverVersion | ConvertTo-Json",
      ]);
      return nvidia.length > 0 ? nvidia : parseVideoControllers(listed ?? "");
    }
    default:
      return nvidia;
  }
}

/** Rows of name, driver, memory in MiB. */
export function parseNvidiaSmi(text: string): Gpu[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", driver = "", memory = ""] = line.split(",").map((cell) => cell.trim());
    if (name === "" || driver === "") return [];
    const mebibytes = Number(memory);
    return [
      {
        name: name.startsWith("NVIDIA") ? name : `NVIDIA ${name}`,
        driver,
        ...(Number.isFinite(mebibytes) && mebibytes > 0 && { memoryMiB: mebibytes }),
        source: "nvidia-smi",
      },
    ];
  });
}

/** NVIDIA cards by the kernel's driver, where nvidia-smi is not installed. */
function nvidiaOfKernel(): Gpu[] {
  const version = /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(
    readText("/proc/driver/nvidia/version") ?? "",
  )?.[1];
  return entries("/proc/driver/nvidia/gpus").map((folder) => {
    const model = /^Model:\s*(.*)$/m.exec(readText(join(folder, "information")) ?? "")?.[1];
    return {
      name: model?.trim() || "NVIDIA card",
      ...(version !== undefined && { driver: version }),
      source: "/proc/driver/nvidia",
    };
  });
}

const VENDORS: Readonly<Record<string, string>> = {
  "0x10de": "NVIDIA",
  "0x1002": "AMD",
  "0x8086": "Intel",
  "0x1af4": "virtio (a virtual machine's display)",
  "0x1234": "QEMU (a virtual machine's display)",
  "0x15ad": "VMware (a virtual machine's display)",
};

/** Cards that the kernel drives, by their PCI numbers: Linux keeps no names. */
function drmGpus(): Gpu[] {
  return entries("/sys/class/drm")
    .filter((path) => /^card\d+$/.test(basename(path)))
    .flatMap((path) => {
      const vendor = readText(join(path, "device", "vendor"))?.trim();
      if (vendor === undefined) return [];
      const device = readText(join(path, "device", "device"))?.trim() ?? "";
      return [{ name: `${VENDORS[vendor] ?? `vendor ${vendor}`} ${device}`.trim(), source: path }];
    });
}

export function parseSystemProfiler(text: string): Gpu[] {
  const parsed = attempt(
    () => JSON.parse(text) as { SPDisplaysDataType?: { sppci_model?: string; _name?: string }[] },
  );
  return (parsed?.SPDisplaysDataType ?? []).map(({ sppci_model: model, _name: name }) => ({
    name: model ?? name ?? "graphics card",
    source: "system_profiler",
  }));
}

export function parseVideoControllers(text: string): Gpu[] {
  const parsed = attempt(() => JSON.parse(text) as unknown);
  const list = (Array.isArray(parsed) ? parsed : [parsed]) as (
    | { Name?: string; DriverVersion?: string }
    | undefined
  )[];
  return list.flatMap((entry) =>
    entry?.Name === undefined
      ? []
      : [
          {
            name: entry.Name,
            ...(entry.DriverVersion !== undefined && { driver: entry.DriverVersion }),
            source: "Win32_VideoController",
          },
        ],
  );
}

/** Files of the drivers that the Vulkan loader would look at. */
export function vulkanDrivers(env: NodeJS.ProcessEnv = process.env): { files: string[]; namedBy?: string } {
  for (const name of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) {
    const value = env[name];
    if (!value) continue;
    const files = value.split(":").filter((path) => path !== "");
    return {
      files: files.flatMap((path) => (path.endsWith(".json") ? [path] : jsonFiles(path))),
      namedBy: name,
    };
  }
  const home = attempt(homedir) ?? "/";
  const list = (value: string | undefined, fallback: string): string[] => (value || fallback).split(":");
  const roots = [
    env["XDG_CONFIG_HOME"] || join(home, ".config"),
    ...list(env["XDG_CONFIG_DIRS"], "/etc/xdg"),
    "/etc",
    env["XDG_DATA_HOME"] || join(home, ".local", "share"),
    ...list(env["XDG_DATA_DIRS"], "/usr/local/share:/usr/share"),
  ];
  const added = (env["VK_ADD_DRIVER_FILES"] ?? "").split(":").filter((path) => path !== "");
  return { files: [...added, ...new Set(roots)].flatMap((root) => icdFiles(root)) };
}

function icdFiles(root: string): string[] {
  return root.endsWith(".json") ? [root] : jsonFiles(join(root, "vulkan", "icd.d"));
}

function jsonFiles(folder: string): string[] {
  return entries(folder).filter((path) => path.endsWith(".json"));
}

/** What an ICD file says. */
export function describeDriver(file: string): VulkanDriver {
  const icd = attempt(
    () => (JSON.parse(readText(file) ?? "") as { ICD?: { library_path?: string; api_version?: string } }).ICD,
  );
  const library = icd?.library_path;
  return {
    file,
    // A path with a slash is meant from the file, a bare name is the dynamic linker's.
    library: library?.includes("/") ? resolve(dirname(file), library) : library,
    apiVersion: icd?.api_version,
  };
}
