/** Threads sleep where other programs need the cores, spin where none does, and the numbers are the same. */
import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { add, matmul, mean, mul } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import type { CpuMonitor, CpuTimes } from "../../src/runtime/contention.ts";
import { createContentionMeter } from "../../src/runtime/contention.ts";
import { createHostEngine } from "../../src/runtime/host-engine.ts";

/** A clock that goes on by `elapsed` ms in which others used `others` cores and this process `own`. */
function fakeCpu(): Omit<CpuMonitor, "cores"> & {
  pass: (elapsed: number, use: { others: number; own: number }) => void;
} {
  let time = 0;
  let times: CpuTimes = { all: 0, own: 0 };
  return {
    now: () => time,
    read: () => times,
    pass(elapsed, { others, own }) {
      time += elapsed;
      times = { all: times.all + elapsed * (others + own), own: times.own + elapsed * own };
    },
  };
}

test("two threads on two cores: one busy program beside them is contention, five quiet seconds end it", () => {
  const cpu = fakeCpu();
  const meter = createContentionMeter({ threads: 2, cores: 2, ...cpu });
  cpu.pass(100, { others: 0.1, own: 1 });
  expect(meter.isContended()).toBe(false);
  cpu.pass(500, { others: 1, own: 1 });
  expect(meter.isContended()).toBe(false); // too short a time to tell
  cpu.pass(600, { others: 1, own: 1 });
  expect(meter.isContended()).toBe(true);
  for (let second = 1; second <= 4; second++) {
    cpu.pass(1000, { others: 0, own: 2 });
    expect(meter.isContended()).toBe(true);
  }
  cpu.pass(1000, { others: 0, own: 2 });
  expect(meter.isContended()).toBe(false);
});

test("a busy machine is seen before the first program is loaded", () => {
  const cpu = fakeCpu();
  const meter = createContentionMeter({ threads: 2, cores: 2, ...cpu });
  cpu.pass(80, { others: 1, own: 1 });
  expect(meter.isContended()).toBe(true);
});

test("other programs on cores that the session does not need are not contention", () => {
  const cpu = fakeCpu();
  const meter = createContentionMeter({ threads: 4, cores: 16, ...cpu });
  cpu.pass(2000, { others: 11, own: 4 });
  expect(meter.isContended()).toBe(false);
});

test("a run between two looks asks for the time alone", () => {
  const cpu = fakeCpu();
  let reads = 0;
  const read = (): CpuTimes => {
    reads++;
    return cpu.read();
  };
  const meter = createContentionMeter({ threads: 2, cores: 2, ...cpu, read });
  for (let run = 0; run < 100; run++) {
    cpu.pass(30, { others: 0, own: 2 });
    meter.isContended();
  }
  expect(reads).toBeLessThanOrEqual(1 + 1 + 3); // at the start, the first look, and one a second
});

test("training gives the same bits, however often threads change from spinning to sleeping", async () => {
  const size = 96;
  const program = () => {
    const w = input("w", "float32", [size, size]);
    const x = input("x", "float32", [size, size]);
    const next = add(mul(w, 0.9), mul(matmul(matmul(x, w), w), 1e-3));
    return compile({
      name: "product",
      target: "cpu",
      outputs: { average: mean(mean(next, 0), 0) },
      state: { w: next },
    });
  };
  const feeds = { x: Float32Array.from({ length: size * size }, (_, i) => Math.sin(i)) };
  const train = async (others: (step: number) => number): Promise<[Float32Array, boolean[]]> => {
    const spinning: boolean[] = [];
    const create: typeof ort.InferenceSession.create = async (model: unknown, options?: unknown) => {
      const { extra } = options as { extra?: { session?: { intra_op?: object } } };
      spinning.push(extra?.session?.intra_op === undefined);
      return ort.InferenceSession.create(model as Uint8Array, options as ort.InferenceSession.SessionOptions);
    };
    const cpu = fakeCpu();
    const engine = await createHostEngine(
      { ort: { ...ort, InferenceSession: { create } }, cpu: { cores: 2, ...cpu } },
      { device: "cpu", threads: 2, profile: undefined },
    );
    spinning.length = 0; // those of the engine's own trials
    const loaded = await engine.load(program());
    await engine.setState(
      "w",
      Float32Array.from({ length: size * size }, (_, i) => Math.cos(i)),
    );
    for (let step = 0; step < 40; step++) {
      cpu.pass(1500, { others: others(step), own: 1 });
      await (
        await loaded.run(feeds)
      )();
    }
    await loaded.release();
    return [await engine.getState("w"), spinning];
  };
  const [quiet, alwaysSpinning] = await train(() => 0);
  const [busy, changing] = await train((step) => (step % 10 < 2 ? 1 : 0));
  expect(alwaysSpinning).toEqual([true]);
  expect(changing.slice(0, 5)).toEqual([true, false, true, false, true]);
  expect(busy).toEqual(quiet);
});
