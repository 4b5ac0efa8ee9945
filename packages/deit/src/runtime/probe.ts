/**
 * What can only be found out by trying, or by reading what ONNX Runtime writes: whether a device works, which nodes
 * have no kernel there, where the profile went. The trying is done by `probe-child.ts`, in a process of its own.
 */

import { spawn } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What a trial session on a device told. */
export interface DeviceProbe {
  readonly usable: boolean;
  /** Whether a graphics card does the work; false for software drivers. */
  readonly hardware: boolean;
  /** Whether it computes in float16. */
  readonly float16: boolean;
  /** Whether the Vulkan loader could be loaded (Linux). */
  readonly loader: boolean;
  /** Why it is not usable, one line. */
  readonly message: string;
}

/** URL of a module of this folder: `.ts` in the sources, `.js` when compiled. */
export function besideThis(module: string): URL {
  return new URL(`./${module}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
}

const CHILD_TIMEOUT_MS = 60_000; // drivers may compile shaders at their first start

const probes = new Map<string, Promise<DeviceProbe>>();

/** Tries a device in a child process; asked once per process and Vulkan driver. */
export function probeDevice(device: "webgpu" | "cuda"): Promise<DeviceProbe> {
  const key = [device, process.env["VK_ICD_FILENAMES"], process.env["VK_DRIVER_FILES"]].join("|");
  const known = probes.get(key);
  if (known !== undefined) return known;
  const probe = runProbe(device);
  probes.set(key, probe);
  return probe;
}

async function runProbe(device: string): Promise<DeviceProbe> {
  const { stdout, stderr, ended } = await runChild([device]);
  const line = stdout.split("\n").find((text) => text.startsWith("{"));
  if (line !== undefined) {
    const result: Omit<DeviceProbe, "loader"> = JSON.parse(line);
    // Dawn's warnings tell more than ONNX Runtime's summary.
    const warning = /^Warning: (.*)$/m.exec(stderr)?.[1];
    const message = result.usable || warning === undefined ? result.message : warning;
    return { ...result, message, loader: !message.includes("Couldn't load Vulkan") };
  }
  return {
    usable: false,
    hardware: false,
    float16: false,
    loader: true,
    message: `a trial session ended with ${ended}`,
  };
}

/** The nodes of a model that would not run on a device, as `Op "name"`; undefined when ONNX Runtime does not say. */
export async function unsupportedNodes(
  model: Uint8Array,
  device: "webgpu" | "cuda",
): Promise<readonly string[] | undefined> {
  const { stderr } = await runChild(["nodes", device], model);
  return nodesInLog(stderr);
}

/** The nodes that a log of ONNX Runtime gives to the CPU: they have no kernel, or theirs cannot do it, or cost more in copies. */
export function nodesInLog(log: string): readonly string[] | undefined {
  const refused =
    /(?:kernel not found in registries|allback to CPU execution provider) for Op type: (\S+) node name: (.*)$/gm;
  const moved = /[Ff]orce fallback to CPU execution for node: (.*?)(?: because .*)?$/gm;
  const nodes = new Set<string>();
  for (const [, op, name = ""] of log.matchAll(refused)) nodes.add(`${op} "${name.trim()}"`);
  for (const [, name = ""] of log.matchAll(moved)) nodes.add(`"${name.trim()}"`);
  return nodes.size === 0 ? undefined : [...nodes];
}

/** The newest profile written with this file prefix. */
export function newestProfile(prefix: string): string | undefined {
  const files = globSync(`${prefix.replaceAll(/[[\]{}*?!()\\]/g, "\\$&")}_*.json`);
  return files.map((file) => ({ file, time: statSync(file).mtimeMs })).toSorted((a, b) => b.time - a.time)[0]
    ?.file;
}

interface ChildResult {
  readonly stdout: string;
  readonly stderr: string;
  /** `exit code 1` or `SIGABRT`. */
  readonly ended: string;
}

function runChild(args: readonly string[], input?: Uint8Array): Promise<ChildResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [fileURLToPath(besideThis("probe-child")), ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: CHILD_TIMEOUT_MS,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", (error) => resolve({ stdout, stderr, ended: error.message }));
    child.on("close", (code, signal) => resolve({ stdout, stderr, ended: signal ?? `exit code ${code}` }));
    child.stdin.on("error", () => {}); // a child that crashed reads nothing; its end is reported
    child.stdin.end(input);
  });
}
