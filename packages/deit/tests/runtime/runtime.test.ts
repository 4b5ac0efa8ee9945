/** What every device must do: run programs in order, keep state, and name what is wrong. */

import { describe, expect, test } from "vitest";
import { DeviceError } from "../../src/errors.ts";
import { input } from "../../src/graph/graph.ts";
import { cast } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { accumulate, double, momentum, scale } from "./programs.ts";

const filled = (length: number, value: number): Float32Array => new Float32Array(length).fill(value);

describe.each(devices)("runtime on %s", (device) => {
  test("names its device and why", async () => {
    const runtime = await sharedRuntime(device);
    expect(runtime.device).toBe(device);
    // On the CPU with the block of its convolutions, where it has any.
    expect(runtime.target).toMatch(device === "cpu" ? /^cpu((8|16)(-chains)?)?$/ : device);
    expect(runtime.reason).toMatch(new RegExp(`^${device}, .*\\(as requested\\)$`));
  });

  test("runs a program without state and leaves its feeds alone", async () => {
    const runtime = await sharedRuntime(device);
    const program = await runtime.load(double(runtime.target, [2, 3]));
    const x = Float32Array.of(1, 2, 3, 4, 5, 6);
    expect(await program.run({ x })).toEqual({ y: Float32Array.of(2, 4, 6, 8, 10, 12) });
    expect(x[5]).toBe(6);
    const view = new Float32Array(new SharedArrayBuffer(32), 4, 6);
    view.set(x);
    expect(await program.run({ x: view })).toEqual({ y: Float32Array.of(2, 4, 6, 8, 10, 12) });
    await program.release();
  });

  test("feeds are those of the moment of the call", async () => {
    const runtime = await sharedRuntime(device);
    const program = await runtime.load(double(runtime.target, [1]));
    const x = Float32Array.of(1);
    const run = program.run({ x });
    x[0] = 100;
    expect(await run).toEqual({ y: Float32Array.of(2) });
    await program.release();
  });

  test("bytes are fed as bytes, whatever their number", async () => {
    const runtime = await sharedRuntime(device);
    for (const length of [1, 4, 5, 8, 1021]) {
      const x = Uint8Array.from({ length }, (_, i) => 255 - (i % 256));
      const y = cast(input("x", "uint8", [length]), "float32");
      const program = await runtime.load(compile({ name: "bytes", target: runtime.target, outputs: { y } }));
      expect(await program.run({ x })).toEqual({ y: Float32Array.from(x) });
      await program.release();
    }
  });

  test("state is updated by each run and can be read, set and deleted", async () => {
    const runtime = await sharedRuntime(device);
    const length = 1000;
    const program = await runtime.load(momentum(runtime.target, length));
    const initial = filled(length, 1);
    await runtime.setState("w", initial);
    await runtime.setState("m", filled(length, 0));
    let w = 1;
    let m = 0;
    for (let step = 0; step < 100; step++) {
      m = Math.fround(m * 0.5 + (step % 3));
      w = Math.fround(w - Math.fround(m * 0.125));
      const { average } = await program.run({ x: filled(length, step % 3), rate: Float32Array.of(0.125) });
      expect(average?.[0]).toBeCloseTo(w, 3);
    }
    expect((await runtime.getState("w"))[length - 1]).toBeCloseTo(w, 3);
    expect((await runtime.getState("m"))[0]).toBeCloseTo(m, 3);
    expect(initial[0]).toBe(1);

    const copy = await runtime.getState("m");
    copy.fill(-1);
    expect((await runtime.getState("m"))[0]).toBeCloseTo(m, 3);

    await runtime.setState("w", filled(length, 5));
    expect((await runtime.getState("w"))[7]).toBe(5);
    await runtime.deleteState("m");
    await expect(runtime.getState("m")).rejects.toThrow('there is no state vector "m"');
    await program.release();
  });

  test("programs share state, read-only ones leave it as it is, releasing one does not lose it", async () => {
    const runtime = await sharedRuntime(device);
    const writer = await runtime.load(accumulate(runtime.target, 4));
    const reader = await runtime.load(scale(runtime.target, 4));
    await runtime.setState("w", Float32Array.of(1, 2, 3, 4));
    await writer.run({ x: filled(4, 1) });
    expect(await reader.run({ x: filled(4, 2) })).toEqual({ product: Float32Array.of(4, 6, 8, 10) });
    await writer.release();
    expect(await runtime.getState("w")).toEqual(Float32Array.of(2, 3, 4, 5));
    expect(await reader.run({ x: filled(4, 3) })).toEqual({ product: Float32Array.of(6, 9, 12, 15) });
    await reader.release();
  });

  test("queued calls run in the order of the calls", async () => {
    const runtime = await sharedRuntime(device);
    const program = await runtime.load(accumulate(runtime.target, 2));
    const order: number[] = [];
    const done: Promise<unknown>[] = [runtime.setState("w", filled(2, 0))];
    for (let i = 1; i <= 5; i++) {
      done.push(
        program.run({ x: filled(2, 10 ** i) }).then(({ average }) => {
          order.push(Number(average?.[0]));
        }),
      );
    }
    const between = runtime.getState("w");
    done.push(runtime.setState("w", filled(2, 7)));
    expect(await between).toEqual(filled(2, 111_110));
    await Promise.all(done);
    expect(order).toEqual([10, 110, 1110, 11_110, 111_110]);
    expect(await runtime.getState("w")).toEqual(filled(2, 7));
    await program.release();
  });

  test("a vector of no elements can be kept", async () => {
    const runtime = await sharedRuntime(device);
    await runtime.setState("empty", new Float32Array(0));
    expect(await runtime.getState("empty")).toEqual(new Float32Array(0));
    await runtime.deleteState("empty");
  });

  test("feeds that do not fit are named", async () => {
    const runtime = await sharedRuntime(device);
    const program = await runtime.load(momentum(runtime.target, 4));
    const x = filled(4, 1);
    const rate = Float32Array.of(1);
    await expect(program.run({ x })).rejects.toThrow(
      'program "momentum": input "rate" is missing; expected float32 []',
    );
    await expect(program.run({ x: filled(3, 1), rate })).rejects.toThrow(
      'input "x" is float32 [4], 4 elements; got 3',
    );
    await expect(program.run({ x: new Int32Array(4), rate })).rejects.toThrow(
      "takes a Float32Array; got a Int32Array",
    );
    await expect(program.run({ x, rate, y: x })).rejects.toThrow('has no input "y"; its inputs are x, rate');
    await expect(program.run({ x, rate, w: x })).rejects.toThrow(
      '"w" is state of the runtime and cannot be fed',
    );
    for (const feeds of [{ x }, { x: filled(3, 1), rate }, { x, rate, y: x }, { x, rate, toString: x }])
      await expect(program.run(feeds)).rejects.toMatchObject({ code: "program/feeds" });
    await expect(program.run({ x, rate, w: x })).rejects.toMatchObject({ code: "program/state" });
    await program.release();
  });

  test("missing state and state of another length are named, and state survives them", async () => {
    const runtime = await sharedRuntime(device);
    const program = await runtime.load(momentum(runtime.target, 4));
    const feeds = { x: filled(4, 1), rate: Float32Array.of(1) };
    await runtime.setState("w", filled(4, 1));
    await expect(program.run(feeds)).rejects.toThrow(
      'needs the state vector "m" (float32 [4]), which is not set',
    );
    await runtime.setState("m", filled(5, 1));
    await expect(program.run(feeds)).rejects.toThrow(
      'state "m" has 5 elements; the program expects float32 [4]',
    );
    await expect(program.run(feeds)).rejects.toMatchObject({ code: "program/state" });
    expect(await runtime.getState("w")).toEqual(filled(4, 1));
    await expect(runtime.deleteState("nothing")).rejects.toThrow(
      'there is no state vector "nothing"; set are: ',
    );
    await program.release();
  });

  test("broken models and impossible state are errors that name the program", async () => {
    const runtime = await sharedRuntime(device);
    const program = accumulate(runtime.target, 4);
    const broken = runtime.load({ ...program, name: "cut", model: program.model.subarray(0, 20) });
    await expect(broken).rejects.toThrow(DeviceError);
    await expect(broken).rejects.toMatchObject({ code: "device/program-failed" });
    await expect(broken).rejects.toThrow(`program "cut" cannot be loaded on ${device}`);
    await expect(runtime.load({ ...program, state: { w: "average" } })).rejects.toThrow(
      'output "average" is float32 []',
    );
    await expect(runtime.load({ ...program, state: { v: null } })).rejects.toThrow(
      'state "v" is not among its inputs',
    );
    expect(program.model.length).toBeGreaterThan(20);
  });

  test("a released program cannot run", async () => {
    const runtime = await sharedRuntime(device);
    const program = await runtime.load(double(runtime.target, [1]));
    await program.release();
    await expect(program.run({ x: Float32Array.of(1) })).rejects.toMatchObject({
      code: "program/released",
      message: expect.stringContaining('program "double" was released'),
    });
    await program.release();
  });
});
