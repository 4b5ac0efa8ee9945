/** The worker thread: its end, in order or not, leaves no promise hanging and no process waiting. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { DeviceError } from "../../src/errors.ts";
import { connect } from "../../src/runtime/client.ts";
import { createRuntime, openPort } from "../../src/runtime/node.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { devices } from "../helpers/devices.ts";
import { runScript } from "./process.ts";
import { accumulate } from "./programs.ts";

const ones = new Float32Array(4).fill(1);

/** A runtime whose worker answers everything with undefined, except that it runs `onRun` at the first run. */
function fakeRuntime(onRun: string): Promise<Runtime> {
  const source = `
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", ({ id, request }) => {
      if (request.type === "run") { ${onRun} }
      else parentPort.postMessage({ id, value: undefined });
    });`;
  const facts = {
    device: "webgpu",
    target: "webgpu",
    threads: 1,
    reason: "fake",
    profile: undefined,
  } as const;
  return connect(openPort(new Worker(source, { eval: true })), facts);
}

describe("a worker that dies", () => {
  test.each([
    ["process.exit(3)", "its thread exited with code 3"],
    ['throw new Error("device lost")', "device lost"],
  ])("%s rejects what is pending, and everything after", async (onRun, reason) => {
    const runtime = await fakeRuntime(onRun);
    const program = await runtime.load(accumulate("webgpu", 4));
    const pending = [program.run({ x: ones }), program.run({ x: ones }), runtime.getState("w")];
    const results = await Promise.allSettled(pending);
    for (const result of results) {
      if (result.status === "fulfilled") throw new Error("a dead worker answered");
      expect(result.reason).toBeInstanceOf(DeviceError);
      expect(String(result.reason)).toContain(`the webgpu worker ended with work pending: ${reason}`);
    }
    await expect(program.run({ x: ones })).rejects.toThrow("the webgpu runtime can no longer be used");
    expect(await runtime.close()).toEqual([]);
  });

  test("at its start is an error, too", async () => {
    const worker = new Worker('throw new Error("no such library")', { eval: true });
    const facts = { device: "cpu", target: "cpu", threads: 1, reason: "fake", profile: undefined } as const;
    await expect(connect(openPort(worker), facts)).rejects.toThrow(
      "the cpu worker ended with work pending: no such library",
    );
  });
});

describe("close", () => {
  test("rejects what waits and ends", async () => {
    const runtime = await createRuntime({ device: "cpu", threads: 1 });
    const program = await runtime.load(accumulate("cpu", 4));
    await runtime.setState("w", ones);
    const pending = Array.from({ length: 5 }, () => program.run({ x: ones }));
    const [settled] = await Promise.all([Promise.allSettled(pending), runtime.close()]);
    expect(settled.every(({ status }) => status === "rejected")).toBe(true);
    await expect(program.run({ x: ones })).rejects.toThrow(
      "the cpu runtime can no longer be used: it was closed",
    );
    await expect(runtime.load(accumulate("cpu", 4))).rejects.toThrow(DeviceError);
    expect(await runtime.close()).toEqual([]);
    expect(await program.release()).toBeUndefined();
  });
});

describe.each(devices)("a process that forgets its %s runtime", (device) => {
  test.each(["idle", "closed"])("exits by itself (%s)", async (how) => {
    const { code, stdout, stderr } = await runScript("forgetful.ts", [device, how]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(device);
  });

  test("does not exit before its runs are done", async () => {
    const { code, stdout } = await runScript("forgetful.ts", [device, "pending"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "w is 51\n" });
  });
});

describe.each(devices)("profile on %s", (device) => {
  test("release and close return the profiler's files", async () => {
    const folder = await mkdtemp(join(tmpdir(), "profile-"));
    try {
      const runtime = await createRuntime({ device, threads: 1, profile: join(folder, "run") });
      const first = await runtime.load(accumulate(runtime.target, 4));
      await runtime.load({ ...accumulate(runtime.target, 4), name: "second one" });
      await runtime.setState("w", ones);
      await first.run({ x: ones });
      const file = (await first.release()) ?? "";
      expect(file).toContain(join(folder, "run-accumulate_"));
      const events = JSON.parse(await readFile(file, "utf8")) as readonly { name: string }[];
      expect(events.map(({ name }) => name)).toContain("model_run");
      expect(await runtime.close()).toEqual([expect.stringContaining(join(folder, "run-second-one_"))]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
