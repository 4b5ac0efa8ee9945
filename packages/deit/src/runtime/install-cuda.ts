/**
 * Fetches ONNX Runtime's CUDA provider, some hundred MB that its npm package leaves to an install script. Nothing here
 * runs unless somebody asks for it: `npm install` never does. The package's own script does the fetching, since it
 * knows which build belongs to which version; what it lacks is added around it: proxies, a stall limit, plain errors.
 */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeviceError } from "../errors.ts";
import { cudaProvider, onnxRuntimePackage, removeCudaProvider } from "./onnxruntime-package.ts";

/** The command that fetches the provider, as errors name it. */
export const INSTALL_CUDA = "deit doctor --install-cuda";

export interface InstallCudaOptions {
  /** What the script says: what is downloaded, what is unpacked. */
  readonly onLine?: (line: string) => void;
  /** Bytes that have come so far. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** The onnxruntime-node package; default: the installed one. */
  readonly folder?: string;
  /** Milliseconds without a new byte after which the download counts as dead. */
  readonly stallMs?: number;
}

const STALL_MS = 90_000;
const POLL_MS = 500;

/** Why there is no CUDA provider for this platform; undefined on linux x64, where there is one. */
export function cudaRefusal(
  platform = process.platform,
  arch: string = process.arch,
): DeviceError | undefined {
  if (platform === "linux" && arch === "x64") return undefined;
  const instead =
    platform === "win32"
      ? "On Windows --device webgpu uses the card through D3D12; CUDA needs Linux on x64 (WSL 2 will do)."
      : "Take --device webgpu or --device cpu; CUDA needs Linux on x64.";
  return new DeviceError("cuda", `onnxruntime-node has no CUDA provider for ${platform} on ${arch}`, {
    code: "device/unusable",
    hint: instead,
  });
}

/** Downloads the provider for the installed version, unless it is there. Returns the library's path. @throws DeviceError */
export async function installCuda({
  onLine = () => {},
  onBytes = () => {},
  signal,
  folder,
  stallMs = STALL_MS,
}: InstallCudaOptions = {}): Promise<string> {
  const refusal = cudaRefusal();
  if (refusal !== undefined) throw refusal;
  const library = onnxRuntimePackage(folder);
  const there = cudaProvider(library);
  if (there !== undefined) return there;
  const script = join(library.folder, "script", "install.js");
  if (!existsSync(script)) {
    throw new DeviceError("cuda", `onnxruntime-node ${library.version} has no install script (${script})`, {
      code: "device/cuda-not-fetched",
      hint: "This version of deit-ts knows the script of onnxruntime-node 1.22 to 1.30: install one of these.",
    });
  }
  // The script downloads into the temporary folder: with one of its own, its progress can be seen and its rests go.
  const temporary = await mkdtemp(join(tmpdir(), "deit-cuda-"));
  try {
    const ended = await runScript(script, { temporary, onLine, onBytes, signal, stallMs });
    if (signal?.aborted) signal.throwIfAborted();
    if (ended !== undefined) throw failure(ended, library.version);
  } catch (error) {
    await removeCudaProvider(library); // half a library would count as there
    throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  const provider = cudaProvider(library);
  if (provider === undefined) {
    throw new DeviceError(
      "cuda",
      `the install script of onnxruntime-node ${library.version} ended well and left no CUDA provider in ${library.libraries}`,
      { code: "device/cuda-not-fetched" },
    );
  }
  return provider;
}

type ScriptOptions = Required<Pick<InstallCudaOptions, "onLine" | "onBytes" | "stallMs">> & {
  readonly temporary: string;
  readonly signal: AbortSignal | undefined;
};

/** Runs the script; returns why it failed, or undefined. */
function runScript(
  script: string,
  { temporary, onLine, onBytes, signal, stallMs }: ScriptOptions,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script], {
      env: { ...scriptEnvironment(process.env), TMPDIR: temporary },
      stdio: ["ignore", "pipe", "pipe"],
      signal,
    });
    let said = "";
    let stalled = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n")) if (line.trim() !== "") onLine(line.trim());
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    let [bytes, changed] = [0, performance.now()];
    const watch = setInterval(async () => {
      const now = await folderBytes(temporary);
      if (now !== bytes) [bytes, changed] = [now, performance.now()];
      if (bytes > 0) onBytes(bytes);
      if (performance.now() - changed > stallMs) {
        stalled = true;
        child.kill();
      }
    }, POLL_MS);
    child.on("error", (error) => (said += `Error: ${error.message}`));
    child.on("close", (code, ended) => {
      clearInterval(watch);
      if (code === 0) resolve(undefined);
      else if (stalled) resolve(`nothing came for ${Math.round(stallMs / 1000)} seconds`);
      else resolve(reasonIn(said) ?? (ended === null ? `exit code ${code}` : `it was ended by ${ended}`));
    });
  });
}

/**
 * The script's own switch, and proxies under the names by which it takes them. Whatever npm has set goes: started by
 * npx, the script would take itself for part of an `npm install` and end without a word. `true` stands for "what this
 * platform wants", which is CUDA 12 on linux x64; a name such as cuda12 is checked by 1.30 and then forgotten.
 */
export function scriptEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const rest = Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(?:npm_|ONNXRUNTIME_NODE_INSTALL)/i.test(name)),
  );
  const proxy = env["GLOBAL_AGENT_HTTPS_PROXY"] ?? env["HTTPS_PROXY"] ?? env["https_proxy"];
  const noProxy = env["GLOBAL_AGENT_NO_PROXY"] ?? env["NO_PROXY"] ?? env["no_proxy"];
  return {
    ...rest,
    ONNXRUNTIME_NODE_INSTALL: "true",
    ...(proxy && { GLOBAL_AGENT_HTTPS_PROXY: proxy, GLOBAL_AGENT_HTTP_PROXY: proxy }),
    ...(noProxy && { GLOBAL_AGENT_NO_PROXY: noProxy }),
  };
}

/** The message of the error that ended the script. */
function reasonIn(stderr: string): string | undefined {
  return /^(?:\w*Error|Uncaught \w*Error)(?: \[\w+\])?: (.*)$/m.exec(stderr)?.[1];
}

const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|socket hang up|nothing came/;

function failure(reason: string, version: string): DeviceError {
  if (NO_NETWORK.test(reason)) {
    return new DeviceError(
      "cuda",
      `the CUDA provider could not be fetched: no way to api.nuget.org (${reason})`,
      {
        code: "device/cuda-not-fetched",
        hint:
          "It comes from there and needs a network once (behind a proxy: HTTPS_PROXY). For a machine without one, run " +
          "the command in a copy of this folder on a machine with one, and carry the folder over.",
      },
    );
  }
  return new DeviceError(
    "cuda",
    `the CUDA provider of ONNX Runtime ${version} could not be fetched: ${reason}`,
    {
      code: "device/cuda-not-fetched",
      hint: "Check the disk (2 GB are needed) and the network, and start the same command again.",
    },
  );
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  try {
    for (const name of await readdir(folder, { recursive: true })) {
      const { size } = await stat(join(folder, name));
      bytes += size;
    }
  } catch {
    // a file that went away while it was looked at
  }
  return bytes;
}
