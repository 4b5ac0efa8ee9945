/**
 * Where WebGPU tests find a Vulkan driver: the one of this machine, else the software driver (SwiftShader) that
 * comes with Chromium packages. Importing this file changes nothing; `useWebgpuDriver` sets the environment, which
 * must happen on the main thread before the first session.
 */

import { existsSync } from "node:fs";
import { probeDevice } from "../../src/runtime/probe.ts";

const manifests = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
  "/opt/google/chrome-unstable/vk_swiftshader_icd.json",
];

/** Environment variables that make WebGPU usable here (none, when it already is), or why it is not. */
export type WebgpuDriver = { readonly env: Readonly<Record<string, string>> } | { readonly reason: string };

/** Looks for a driver. */
export async function findWebgpuDriver(): Promise<WebgpuDriver> {
  const own = await probeDevice("webgpu");
  if (own.usable) return { env: {} };
  const manifest = manifests.find((path) => existsSync(path));
  if (manifest === undefined) {
    return { reason: `no usable WebGPU adapter (${own.message}) and no Chromium with its software driver` };
  }
  const before = process.env["VK_ICD_FILENAMES"];
  process.env["VK_ICD_FILENAMES"] = manifest;
  const software = await probeDevice("webgpu");
  if (before === undefined) delete process.env["VK_ICD_FILENAMES"];
  else process.env["VK_ICD_FILENAMES"] = before;
  // Mesa's device-select layer would look for a display and complain on stderr.
  if (software.usable) return { env: { VK_ICD_FILENAMES: manifest, NODEVICE_SELECT: "1" } };
  return { reason: `no usable WebGPU adapter (${own.message}; with ${manifest}: ${software.message})` };
}

/** Finds a driver and makes this process use it; returns why not, or undefined. */
export async function useWebgpuDriver(): Promise<string | undefined> {
  const driver = await findWebgpuDriver();
  if ("reason" in driver) return driver.reason;
  Object.assign(process.env, driver.env);
  return undefined;
}
