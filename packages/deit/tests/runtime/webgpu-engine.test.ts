/** State on the device: it stays there over steps, and nothing falls back to the CPU in silence. */

import { describe, expect, test } from "vitest";
import { imagesInput } from "../../src/evaluation/evaluation-program.ts";
import { input } from "../../src/graph/graph.ts";
import { equal, mul } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import { createWebgpuEngine } from "../../src/runtime/webgpu-engine.ts";
import type { Results } from "../../src/runtime/engine.ts";
import { sharedRuntime, webgpuMissing } from "../helpers/devices.ts";
import { transformer } from "../training/steps.ts";
import { momentum } from "./programs.ts";
import { recordingRuntime } from "./recording.ts";
import type { RecordedRun } from "./recording.ts";

describe.skipIf(webgpuMissing !== undefined)("webgpu engine", () => {
  test("state stays on the device over steps; only the feeds and the loss cross", async () => {
    const runs: RecordedRun[] = [];
    const settings = { device: "webgpu", threads: 1, profile: undefined } as const;
    const engine = await createWebgpuEngine({ ort: recordingRuntime(runs) }, settings);
    const program = await engine.load(momentum("webgpu", 64));
    await engine.setState("w", new Float32Array(64).fill(1));
    await engine.setState("m", new Float32Array(64));
    runs.length = 0;
    const results: Results[] = [];
    for (let step = 0; step < 5; step++)
      results.push(await program.run({ x: new Float32Array(64).fill(1), rate: Float32Array.of(0.5) }));
    expect(runs).toHaveLength(5);
    for (const { fed, returned, bytes } of runs) {
      expect(bytes).toEqual({ x: 256, rate: 4 });
      expect(fed).toEqual({ w: "gpu-buffer", m: "gpu-buffer", x: "cpu", rate: "cpu" });
      // An output on the host would have made the run wait.
      expect(returned).toEqual({ "w.next": "gpu-buffer", "m.next": "gpu-buffer", average: "gpu-buffer" });
    }
    const averages: number[] = [];
    for (const read of results) averages.push(Number((await read())["average"]?.[0]));
    expect(averages).toEqual([0.5, -0.25, -1.125, -2.0625, -3.03125]);
    // m: 1, 1.5, 1.75, 1.875, 1.9375; w loses half of each.
    expect((await engine.getState("w"))[63]).toBe(1 - 8.0625 / 2);
    await program.release();
    expect((await engine.getState("m"))[0]).toBe(1.9375);
  });

  test("images cross as bytes and become numbers there", async () => {
    const runs: RecordedRun[] = [];
    const settings = { device: "webgpu", threads: 1, profile: undefined } as const;
    const engine = await createWebgpuEngine({ ort: recordingRuntime(runs) }, settings);
    const [batchSize, size] = [3, 16 * 16 * 3];
    const images = Uint8Array.from({ length: batchSize * size }, (_, i) => (i * 37) % 256);
    const outputs = { twice: mul(imagesInput({ model: transformer, batchSize }), 2) };
    const program = await engine.load(compile({ name: "twice", target: "webgpu", outputs }));
    const { twice } = await (await program.run({ images }))();
    expect(runs.at(-2)?.bytes).toEqual({ images: batchSize * size });
    expect(twice).toEqual(Float32Array.from(images, (byte) => 2 * byte));
    await program.release();
  });

  test("a program with a node that has no kernel is refused, and the node named", async () => {
    const runtime = await sharedRuntime("webgpu");
    const labels = input("labels", "int64", [4]);
    const other = input("other", "int64", [4]);
    const program = compile({ name: "hits", target: "portable", outputs: { hit: equal(labels, other) } });
    const loading = runtime.load(program);
    await expect(loading).rejects.toThrow(
      /program "hits" cannot be loaded on webgpu: no kernel there for Equal "/,
    );
    await expect(loading).rejects.toThrow('compiled for "portable"; compile it for "webgpu"');
  });

  test("gives the CPU's numbers", async () => {
    const results: Float32Array[] = [];
    for (const device of ["cpu", "webgpu"] as const) {
      const runtime = await createRuntime({ device, threads: 1 });
      const program = await runtime.load(momentum(runtime.target, 3));
      await runtime.setState("w", Float32Array.of(0.1, -2, 30));
      await runtime.setState("m", new Float32Array(3));
      for (let step = 0; step < 20; step++) {
        await program.run({ x: Float32Array.of(step, 0.3, -step), rate: Float32Array.of(0.01) });
      }
      results.push(await runtime.getState("w"));
      await runtime.close();
    }
    const [cpu = new Float32Array(0), webgpu = new Float32Array(0)] = results;
    for (const [i, value] of cpu.entries()) expect(webgpu[i]).toBeCloseTo(value, 4);
  });
});
