/** Proves that a device works, in a process of its own: drivers may bring their process down, or never answer. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { DeviceName } from "../runtime/runtime.ts";

/** How a tiny training step went. */
export type Trial =
  | {
      readonly works: true;
      readonly milliseconds: number;
      /** Whether a card did it (webgpu); false for software drivers. */
      readonly hardware?: boolean;
      /** Whether elementwise operations are one operation of our own (cpu). */
      readonly chains?: boolean;
    }
  | {
      readonly works: false;
      readonly message: string;
      readonly hint?: string;
      /** It ran, and its answer was not the right one. */
      readonly wrong?: true;
      /** It was not waited for any longer, which says little. */
      readonly timedOut?: true;
    };

const TIMEOUT_MS = 30_000; // drivers may compile shaders at their first start

/** Runs a tiny training step on a device. Never rejects. */
export function tryDevice(device: DeviceName): Promise<Trial> {
  const child = new URL(`./trial-child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
  return new Promise((resolve) => {
    const fail = (message: string): void => resolve({ works: false, message });
    try {
      const trial = spawn(process.execPath, [fileURLToPath(child), device], {
        stdio: ["ignore", "pipe", "ignore"],
        timeout: TIMEOUT_MS,
        killSignal: "SIGKILL",
      });
      let said = "";
      trial.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
      trial.on("error", (error) => fail(error.message));
      trial.on("close", (code, signal) => {
        const line = said.split("\n").find((text) => text.startsWith("{"));
        if (line !== undefined) resolve(JSON.parse(line) as Trial);
        else if (trial.killed) {
          const message = `a tiny program did not end within ${TIMEOUT_MS / 1000} seconds`;
          resolve({ works: false, message, timedOut: true });
        } else fail(`a tiny program brought its process down (${signal ?? `exit code ${code}`})`);
      });
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
  });
}
