/** Fetching the CUDA provider, with stand-ins for onnxruntime-node's install script: no network is used. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeviceError } from "../../src/errors.ts";
import { cudaRefusal, installCuda, scriptEnvironment } from "../../src/runtime/install-cuda.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "deit-install-"));
});
afterAll(() => rm(root, { recursive: true }));

let count = 0;

/** An onnxruntime-node package whose install script is this text. */
async function packageWith(script: string): Promise<string> {
  const folder = join(root, `package-${count++}`);
  await mkdir(join(folder, "script"), { recursive: true });
  await writeFile(
    join(folder, "package.json"),
    '{"name":"onnxruntime-node","version":"1.30.0","type":"commonjs"}',
  );
  await writeFile(join(folder, "script", "install.js"), script);
  return folder;
}

const libraries = `const fs = require("fs"), path = require("path");
const bin = path.join(__dirname, "..", "bin", "napi-v6", process.platform, process.arch);
fs.mkdirSync(bin, { recursive: true });`;

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("installCuda", () => {
  it("runs the package's script with its switch, tells what it says, and leaves no rests", async () => {
    const folder = await packageWith(`${libraries}
      if (process.env.ONNXRUNTIME_NODE_INSTALL !== "true") throw new Error("no switch");
      console.log("Downloading https://example.org/provider\\nExtracting it");
      fs.writeFileSync(path.join(process.env.TMPDIR, "rest"), "rest");
      fs.writeFileSync(path.join(bin, "temporary-folder"), process.env.TMPDIR);
      for (const name of ["cuda", "shared"]) fs.writeFileSync(path.join(bin, "libonnxruntime_providers_" + name + ".so"), "");`);
    const lines: string[] = [];
    const path = await installCuda({ folder, onLine: (line) => lines.push(line) });
    expect(path).toBe(join(folder, "bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so"));
    expect(lines).toEqual(["Downloading https://example.org/provider", "Extracting it"]);
    const { readFile } = await import("node:fs/promises");
    expect(existsSync(await readFile(join(folder, "bin/napi-v6/linux/x64/temporary-folder"), "utf8"))).toBe(
      false,
    );
  });

  it.each([
    [
      "Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND api.nuget.org'), {code: 'ENOTFOUND'}))",
      /no way to api\.nuget\.org \(getaddrinfo ENOTFOUND/,
      /HTTPS_PROXY/,
    ],
    [
      "throw new Error('Failed to download from x. HTTP status code = 503')",
      /could not be fetched: Failed to download.*503/,
      /same command again/,
    ],
    ["process.exit(3)", /exit code 3/, /same command/],
    ["process.kill(process.pid, 'SIGTERM')", /SIGTERM/, /same command/],
  ])("a script that fails is a plain error: %s", async (script, message, hint) => {
    const error = await installCuda({ folder: await packageWith(script) }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DeviceError);
    expect((error as DeviceError).message).toMatch(message);
    expect((error as DeviceError).hint).toMatch(hint);
  });

  it("fetches nothing that is there, and keeps no half of it", async () => {
    const name = "libonnxruntime_providers_cuda.so";
    const half = await packageWith(
      `${libraries} fs.writeFileSync(path.join(bin, "${name}"), ""); process.exit(1);`,
    );
    await expect(installCuda({ folder: half })).rejects.toThrow("exit code 1");
    expect(existsSync(join(half, "bin/napi-v6/linux/x64", name))).toBe(false);
    const whole = await packageWith("throw new Error('it ran')");
    const folder = join(whole, "bin/napi-v6/linux/x64");
    await mkdir(folder, { recursive: true });
    for (const part of ["cuda", "shared"])
      await writeFile(join(folder, `libonnxruntime_providers_${part}.so`), "");
    expect(await installCuda({ folder: whole })).toBe(join(folder, name));
  });

  it("a script that leaves no provider is an error", async () => {
    await expect(installCuda({ folder: await packageWith("") })).rejects.toThrow("left no CUDA provider");
  });

  it("a download that stands still is given up", async () => {
    const folder = await packageWith("setTimeout(() => {}, 60_000)");
    await expect(installCuda({ folder, stallMs: 100 })).rejects.toThrow("nothing came for");
  });

  it("can be interrupted", async () => {
    const controller = new AbortController();
    const folder = await packageWith("console.log('on'); setTimeout(() => {}, 60_000)");
    const installing = installCuda({ folder, signal: controller.signal, onLine: () => controller.abort() });
    await expect(installing).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
  });
});

describe("what surrounds the script", () => {
  it("proxies go under the names that it takes, npm's own switches do not reach it", () => {
    const env = scriptEnvironment({
      https_proxy: "http://p",
      NO_PROXY: "a",
      npm_config_onnxruntime_node_install: "skip",
      npm_config_local_prefix: "/here",
    });
    expect(env).toMatchObject({
      GLOBAL_AGENT_HTTPS_PROXY: "http://p",
      GLOBAL_AGENT_NO_PROXY: "a",
      ONNXRUNTIME_NODE_INSTALL: "true",
    });
    expect(Object.keys(env).filter((name) => name.startsWith("npm_"))).toEqual([]);
  });

  it("other platforms are refused, with what to take instead", () => {
    expect(cudaRefusal("linux", "x64")).toBeUndefined();
    expect(cudaRefusal("darwin", "arm64")?.message).toContain("no CUDA provider for darwin on arm64");
    expect(cudaRefusal("win32", "x64")?.hint).toContain("D3D12");
  });
});
