/** Signals, in this process and in one of its own that computes in native code. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { withInterrupt } from "../../src/cli/interrupt.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const listeners = (): number[] => SIGNALS.map((name) => process.listenerCount(name));

it.each(SIGNALS)(
  "the first %s aborts, its echo does nothing, and afterwards nothing listens",
  async (name) => {
    const before = listeners();
    const onFirst = vi.fn<() => void>();
    const result = await withInterrupt(async (signal) => {
      process.emit(name);
      expect(signal.aborted).toBe(true);
      process.emit(name);
      return "saved";
    }, onFirst);
    expect(result).toBe("saved");
    expect(onFirst).toHaveBeenCalledTimes(1);
    expect(listeners()).toEqual(before);
  },
);

it("a moment after the first, the system's own answer to Ctrl-C is back; SIGHUP is still held off", async () => {
  const before = listeners();
  await withInterrupt(async () => {
    process.emit("SIGINT");
    await sleep(400);
    const [int = 0, term = 0, hangUp = 0] = before;
    expect(listeners()).toEqual([int, term, hangUp + 1]);
  }, vi.fn());
  expect(listeners()).toEqual(before);
});

it("a process that goes on without its terminal does not hear SIGHUP", async () => {
  const ignore = (): void => {};
  process.on("SIGHUP", ignore);
  try {
    await withInterrupt(async (signal) => {
      process.emit("SIGHUP");
      expect(signal.aborted).toBe(false);
    }, vi.fn());
  } finally {
    process.removeListener("SIGHUP", ignore);
  }
});

it("listens no longer when the work fails", async () => {
  const before = listeners();
  await expect(withInterrupt(() => Promise.reject(new Error("no")), vi.fn())).rejects.toThrow("no");
  expect(listeners()).toEqual(before);
});

// process.exit waits for a worker in native code: it would not do.
it.skipIf(process.platform === "win32").each(["worker", "main"])(
  "a second Ctrl-C ends a process at once whose %s thread computes in native code",
  async (thread) => {
    const file = fileURLToPath(new URL("./native-child.ts", import.meta.url));
    const child = spawn(process.execPath, [file, thread], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit");
    await once(child.stdout, "data"); // it computes
    child.kill("SIGINT");
    await sleep(thread === "main" ? 1500 : 700);
    expect(child.exitCode ?? child.signalCode).toBeNull();
    const start = performance.now();
    child.kill("SIGINT");
    expect(await ended).toEqual([null, "SIGINT"]); // 130 in a shell
    expect(performance.now() - start).toBeLessThan(2000);
  },
  30_000,
);
