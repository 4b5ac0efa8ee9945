/** Clipping by the global norm against torch.nn.utils.clip_grad_norm_: tests/golden/adamw/record.py. */
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { compile } from "../../src/graph/program.ts";
import { packTensors } from "../../src/nn/parameters.ts";
import { clipGlobalNorm, globalNorm } from "../../src/optim/clip.ts";
import { expectClose, feedsFor } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { unpack } from "../helpers/seeded.ts";
import { gradientsOf, layout, recorded } from "./steps.ts";

describe.each(devices)("on %s", (device) => {
  test.each(Object.entries(recorded.clipping))(
    "%s",
    async (_, { maxNorm, factor, norm, clipped: packed }) => {
      const runtime = await sharedRuntime(device);
      const grads = layout.vectors.map(({ name, length }) => input(name, "float32", [length]));
      const { clipped, norm: actualNorm } = clipGlobalNorm(grads, maxNorm);
      const outputs = Object.fromEntries([
        ["norm", actualNorm] as const,
        ...layout.vectors.map(({ name }, i) => [`clipped.${name}`, clipped[i] ?? actualNorm] as const),
      ]);
      const program = compile({ name: "clip", target: runtime.target, outputs });
      const executable = await runtime.load(program);
      const given = Object.entries(gradientsOf(0)).map(([name, data]) => [name, data.map((x) => x * factor)]);
      const results = await executable.run(feedsFor(program, Object.fromEntries(given)));
      await executable.release();
      expectClose(results["norm"], [norm], { tolerance: 1e-6, name: "norm" });
      const tensors = new Map(
        Object.entries(packed).map(([name, it]) => [name, { shape: it.shape, data: unpack(it) }]),
      );
      for (const [name, expected] of Object.entries(packTensors(layout, tensors))) {
        expectClose(results[`clipped.${name}`], expected, { tolerance: 1e-6, name });
      }
    },
  );
});

test("the norm is over all vectors together", () => {
  const [a, b] = [input("a", "float32", [2]), input("b", "float32", [1])];
  const feeds = { a: [1, 2], b: [-2] };
  expect([...(evaluate([globalNorm([a, b])], feeds)[0] ?? [])]).toEqual([3]);
  const { clipped } = clipGlobalNorm([a, b], 1.5);
  const [clippedNorm = Number.NaN] = evaluate([globalNorm(clipped)], feeds)[0] ?? [];
  expect(clippedNorm).toBeCloseTo(1.5, 6);
});

test("a tiny norm is enlarged by 1e-6 before it divides, as PyTorch does", () => {
  const grad = input("grad", "float32", [1]);
  const { clipped } = clipGlobalNorm([grad], 1e-6);
  const [[value = Number.NaN] = []] = evaluate(clipped, { grad: [1e-6] });
  expect(value / 1e-6).toBeCloseTo(0.5, 12);
});
