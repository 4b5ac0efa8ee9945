/** State in host memory: two arrays a vector, and no others, however many steps. */

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { add, full, mean, reshape } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { createHostEngine } from "../../src/runtime/host-engine.ts";
import { accumulate } from "./programs.ts";

const settings = { device: "cpu", threads: 1, profile: undefined } as const;
const MIB = 2 ** 20;

describe("host engine", () => {
  test("100 steps allocate no memory of the state's size", async () => {
    const length = 2 ** 20; // 4 MiB
    const engine = await createHostEngine({ ort }, settings);
    const program = await engine.load(accumulate("cpu", length));
    await engine.setState("w", new Float32Array(length));
    const feeds = { x: new Float32Array(length).fill(1) };
    await program.run(feeds); // makes the second array
    const before = process.memoryUsage().arrayBuffers;
    let peak = before;
    for (let step = 1; step < 100; step++) {
      const { average } = await (await program.run(feeds))();
      expect(average?.[0]).toBe(step + 1);
      peak = Math.max(peak, process.memoryUsage().arrayBuffers);
    }
    expect((peak - before) / MIB).toBeLessThan(2);
    expect((await engine.getState("w"))[length - 1]).toBe(100);
    await program.release();
  });

  test("resident memory stays level", async () => {
    const length = 2 ** 20;
    const engine = await createHostEngine({ ort }, settings);
    const program = await engine.load(accumulate("cpu", length));
    await engine.setState("w", new Float32Array(length));
    const feeds = { x: new Float32Array(length) };
    for (let step = 0; step < 20; step++) await program.run(feeds);
    const before = process.memoryUsage().rss;
    for (let step = 0; step < 200; step++) await program.run(feeds); // 800 MiB of states
    expect((process.memoryUsage().rss - before) / MIB).toBeLessThan(64);
    await program.release();
  });

  test("state is right where ONNX Runtime does not leave outputs in our arrays", async () => {
    const create: typeof ort.InferenceSession.create = async (model: unknown, options?: unknown) => {
      const session = await ort.InferenceSession.create(
        model as Uint8Array,
        options as ort.InferenceSession.SessionOptions,
      );
      const run = session.run.bind(session);
      session.run = (feeds: ort.InferenceSession.FeedsType, ...fetches: unknown[]) => {
        if (fetches.length > 0) throw new Error("outputs are checked before any is written");
        return run(feeds);
      };
      return session;
    };
    const engine = await createHostEngine({ ort: { ...ort, InferenceSession: { create } } }, settings);
    const program = await engine.load(accumulate("cpu", 3));
    await engine.setState("w", new Float32Array(3));
    for (let step = 0; step < 3; step++) await program.run({ x: Float32Array.of(1, 2, 3) });
    expect(await engine.getState("w")).toEqual(Float32Array.of(3, 6, 9));
    await program.release();
  });

  test("what would not run on cuda alone is loaded with a warning that names it", async () => {
    const asked: unknown[] = [];
    // An ONNX Runtime with cuda, whose kernels are the CPU's and lack something.
    const create: typeof ort.InferenceSession.create = async (model: unknown, options?: unknown) => {
      const { extra, executionProviders } = options as ort.InferenceSession.SessionOptions;
      const session = extra?.["session"] as Record<string, string>;
      asked.push([executionProviders, session["disable_cpu_ep_fallback"]]);
      if (session["disable_cpu_ep_fallback"] === "1")
        throw new Error(
          "This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.",
        );
      return ort.InferenceSession.create(model as Uint8Array);
    };
    const warnings: string[] = [];
    const surroundings = {
      ort: { ...ort, InferenceSession: { create } },
      unsupportedNodes: async () => ['Pad "optimizer/pad_7"'],
      warn: (message: string) => void warnings.push(message),
    };
    const engine = await createHostEngine(surroundings, { ...settings, device: "cuda" });
    const program = await engine.load(accumulate("cpu", 3));
    expect(asked).toEqual([
      [["cuda"], "1"],
      [["cuda"], undefined],
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^program "\w+" does not run on cuda alone: Pad "optimizer\/pad_7" will run on the CPU, with copies at every run$/,
      ),
    ]);
    await engine.setState("w", new Float32Array(3));
    await program.run({ x: Float32Array.of(1, 2, 3) });
    expect(await engine.getState("w")).toEqual(Float32Array.of(1, 2, 3));
    await program.release();
  });

  test("other refusals of cuda are errors", async () => {
    const create = () => Promise.reject(new Error("CUDA failure 100: no CUDA-capable device is detected"));
    const engine = await createHostEngine(
      { ort: { ...ort, InferenceSession: { create } } },
      { ...settings, device: "cuda" },
    );
    await expect(engine.load(accumulate("cpu", 3))).rejects.toThrow("no CUDA-capable device is detected");
  });

  test("a next state that is a constant, or another input, is written as well", async () => {
    const engine = await createHostEngine({ ort }, settings);
    const a = input("a", "float32", [3]);
    const x = input("x", "float32", [3]);
    const b = input("b", "float32", [3]);
    const c = input("c", "float32", [1, 3]);
    const outputs = { total: mean(add(add(add(a, x), b), reshape(c, [3])), 0) };
    const state = { a: x, b: full([3], 7), c: reshape(add(a, x), [1, 3]) };
    const program = await engine.load(compile({ name: "passing", target: "cpu", outputs, state }));
    await engine.setState("a", Float32Array.of(9, 9, 9));
    await engine.setState("b", Float32Array.of(1, 1, 1));
    await engine.setState("c", Float32Array.of(0, 0, 0));
    expect(await (await program.run({ x: Float32Array.of(1, 2, 3) }))()).toEqual({
      total: Float32Array.of(12),
    });
    expect(await engine.getState("a")).toEqual(Float32Array.of(1, 2, 3));
    expect(await engine.getState("b")).toEqual(Float32Array.of(7, 7, 7));
    expect(await engine.getState("c")).toEqual(Float32Array.of(10, 11, 12));
    await program.run({ x: Float32Array.of(4, 5, 6) });
    expect(await engine.getState("a")).toEqual(Float32Array.of(4, 5, 6));
    expect(await engine.getState("c")).toEqual(Float32Array.of(5, 7, 9));
    await program.release();
  });

  test("the state of before stays when ONNX Runtime fails, and the program is named", async () => {
    const engine = await createHostEngine({ ort }, settings);
    const program = accumulate("cpu", 4);
    // The facts say 5 elements, the model 4.
    const wrong = { ...program, inputs: { ...program.inputs, x: { dtype: "float32", shape: [5] } as const } };
    const loaded = await engine.load(wrong);
    await engine.setState("w", Float32Array.of(1, 2, 3, 4));
    await expect(loaded.run({ x: new Float32Array(5) })).rejects.toThrow(
      'program "accumulate" failed on cpu: Got invalid dimensions',
    );
    expect(await engine.getState("w")).toEqual(Float32Array.of(1, 2, 3, 4));
    await loaded.release();
  });
});
