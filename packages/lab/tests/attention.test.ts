/**
 * Attention, its rollout and the statistics of tokens against timm's, on every device (tests/golden/attention/record.py);
 * and that looking inside changes nothing of what is trained and evaluated.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { attentionReadout, HEAD_FUSIONS, rollout } from "deit-ts/models";
import { TOKEN_STATISTICS } from "../src/tokens/token-statistics.ts";
import { mapOutputs } from "../../deit/src/evaluation/attention-maps.ts";
import { loadModel } from "../../deit/src/evaluation/checkpoints/load-model.ts";
import { classifierOf } from "../../deit/src/evaluation/classifier.ts";
import type { Intermediates } from "../../deit/src/evaluation/intermediates.ts";
import { readoutProgram, traceIntermediates } from "../../deit/src/evaluation/intermediates.ts";
import { evaluationProgram, headOutputs } from "../../deit/src/evaluation/evaluation-program.ts";
import type { Value } from "../../deit/src/graph/graph.ts";
import { at, input } from "../../deit/src/graph/graph.ts";
import { evaluate } from "../../deit/src/graph/interpreter.ts";
import { compile } from "../../deit/src/graph/program.ts";
import { sizeOf } from "../../deit/src/graph/shape.ts";
import { modelOf } from "../../deit/src/models/registry.ts";
import { createScope, modelLayout } from "../../deit/src/nn/parameters.ts";
import { generate } from "../../deit/tests/augmentation/generated.ts";
import { expectClose, feedsFor } from "../../deit/tests/graph/compare.ts";
import { devices, sharedRuntime } from "../../deit/tests/helpers/devices.ts";
import type { PackedTensor } from "../../deit/tests/helpers/seeded.ts";
import { seededImages, seededParameter, seededTensor, unpack } from "../../deit/tests/helpers/seeded.ts";

interface Recording {
  readonly rows: PackedTensor;
  readonly rollouts: readonly { fusion: "mean" | "max" | "min"; discardRatio: number; rows: PackedTensor }[];
  readonly statistics: Readonly<Record<string, PackedTensor>>;
}
interface Golden {
  readonly size: readonly [number, number];
  readonly patchSize: number;
  readonly dim: number;
  readonly numHeads: number;
  readonly depth: number;
  readonly classes: number;
  readonly batchSize: number;
  readonly plain: Recording;
  readonly distilled: Recording;
}
const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./golden/attention/${name}.json`, import.meta.url), "utf8"));
const golden = read("small") as Golden;
const { size, patchSize, dim, numHeads, depth, classes, batchSize } = golden;

function smallModel(distilled: boolean): ReturnType<typeof modelOf> {
  return modelOf("small", {
    inputSize: size,
    patchSize,
    embedDim: dim,
    depth,
    numHeads,
    mlpRatio: 4,
    numClasses: classes,
    distilled,
  });
}

/** Everything that is recorded, as values with their feeds. */
function trace(distilled: boolean): { outputs: Record<string, Value>; feeds: Record<string, Float32Array> } {
  const model = smallModel(distilled);
  const images = input("images", "float32", [batchSize, 3, ...size]);
  const parameters = new Map(
    model.parameters.map(({ name, shape }) => [name, input(name, "float32", shape)]),
  );
  const scope = createScope(({ name }) => parameters.get(name) ?? images);
  const inside = traceIntermediates(model, images, scope);
  const fused = HEAD_FUSIONS.map((headFusion) => [
    `fused ${headFusion}`,
    mapOutputs(inside, headFusion).fused,
  ]);
  return {
    outputs: {
      rows: mapOutputs(inside, "mean").rows,
      ...Object.fromEntries(fused),
      ...TOKEN_STATISTICS.outputs(inside),
    },
    feeds: {
      images: seededTensor("images", batchSize * 3 * sizeOf(size), seededImages),
      ...Object.fromEntries(
        model.parameters.map(({ name, shape }) => [name, seededParameter(name, shape, dim)]),
      ),
    },
  };
}

function expectRecorded(
  results: Readonly<Record<string, ArrayLike<number>>>,
  recording: Recording,
  tolerance: number,
): void {
  const [, , , rows = 1, tokens = 1] = recording.rows.shape;
  const attention = Array.from(results["rows"] ?? []);
  expectClose(attention, unpack(recording.rows), { tolerance, name: "rows" });
  for (let row = 0; row < attention.length / tokens; row++) {
    const total = attention.slice(row * tokens, (row + 1) * tokens).reduce((sum, p) => sum + p, 0);
    expect(Math.abs(total - 1)).toBeLessThan(1e-5);
  }
  for (const { fusion, discardRatio, rows: expected } of recording.rollouts) {
    const fused = Float32Array.from(results[`fused ${fusion}`] ?? []);
    const length = tokens * tokens;
    const rolled = Array.from({ length: batchSize }, (_, pixels) => {
      const layers = Array.from({ length: depth }, (_, layer) => {
        const start = (pixels * depth + layer) * length;
        return fused.subarray(start, start + length);
      });
      return [...rollout(layers, { rows, tokens, discardRatio })];
    });
    const name = `rollout of ${fusion} without ${discardRatio}`;
    expectClose(rolled.flat(), unpack(expected), { tolerance: Math.max(tolerance, 2e-7), name });
    for (const row of [0, rows - 1])
      expect(rolled[0]?.slice(row * tokens, (row + 1) * tokens).reduce((sum, p) => sum + p, 0)).toBeCloseTo(
        1,
        6,
      );
  }
  for (const [name, expected] of Object.entries(recording.statistics))
    expectClose(results[name] ?? [], unpack(expected), { tolerance, name });
}

describe.each(["plain", "distilled"] as const)("a small %s transformer, not square, is timm's", (form) => {
  const recording = golden[form];
  const { outputs, feeds } = trace(form === "distilled");

  test("on the interpreter", () => {
    expect(Object.keys(recording.statistics).length).toBe(form === "distilled" ? 6 : 4);
    const results = evaluate(Object.values(outputs), feeds);
    const byName = Object.fromEntries(Object.keys(outputs).map((name, i) => [name, results[i] ?? []]));
    expectRecorded(byName, recording, 3e-7);
  });

  // the distilled one has all that the plain one has, and a software WebGPU compiles shaders for half a minute
  const own = devices.filter((device) => device === "cpu" || form === "distilled");
  test.each(own)("on %s", { timeout: 240_000 }, async (device) => {
    const runtime = await sharedRuntime(device);
    const program = compile({ name: "inside", target: runtime.target, outputs });
    const executable = await runtime.load(program);
    const results = await executable.run(feedsFor(program, feeds));
    await executable.release();
    const numbers = Object.entries(results).map(([name, data]) => [name, Array.from(data, Number)]);
    expectRecorded(Object.fromEntries(numbers), recording, 2e-5);
  });
});

test("looking inside leaves the program of evaluation byte for byte as it was", () => {
  const model = smallModel(true);
  const options = {
    model,
    layout: modelLayout(model),
    batchSize,
    target: "cpu",
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  } as const;
  const before = evaluationProgram(options);
  const inside = trace(true);
  compile({ name: "inside", target: "cpu", outputs: inside.outputs });
  const after = evaluationProgram(options);
  expect(after.model).toEqual(before.model);
});

test("what is recorded but not read is not computed: heads alone are the program of evaluation", () => {
  const model = smallModel(false);
  const options = {
    model,
    layout: modelLayout(model),
    batchSize,
    target: "cpu",
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  } as const;
  const { model: evaluated } = evaluationProgram(options);
  const heads = (inside: Intermediates): Record<string, Value> => headOutputs(inside.heads);
  expect(readoutProgram(options, { name: "evaluate", outputs: heads }).model).toEqual(evaluated);
  const last = (inside: Intermediates): Record<string, Value> => ({
    ...heads(inside),
    last: at(inside.states, depth),
  });
  expect(readoutProgram(options, { name: "evaluate", outputs: last }).model).not.toEqual(evaluated);
});

const data = new URL("../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(data))("the real DeiT-Ti (needs ../shared/data)", () => {
  test("attends as in PyTorch, and so does its rollout", async () => {
    const real = read("real") as {
      side: number;
      rows: readonly { layer: number; head: number; values: PackedTensor }[];
      rollout: PackedTensor;
    };
    const path = fileURLToPath(new URL("deit_tiny_patch16_224/model.safetensors", data));
    const loaded = await loadModel(path, { model: "deit_tiny_patch16_224" });
    const runtime = await sharedRuntime("cpu");
    await using classifier = classifierOf(loaded, { runtime, evalCropRatio: 1 });
    const readout = attentionReadout("mean");
    const image = generate(real.side, real.side, "gradient");
    const [outputs] = await Array.fromAsync(
      classifier.intermediates([image], readout),
      (batch) => batch.outputs,
    );
    const { rows, fused } = outputs ?? {};
    const tokens = 197;
    for (const { layer, head, values } of real.rows) {
      const start = (layer * 3 + head) * tokens;
      const own = Array.from(rows ?? [], Number).slice(start, start + tokens);
      expectClose(own, unpack(values), { tolerance: 1e-4, name: `layer ${layer}, head ${head}` });
    }
    const layers = Array.from({ length: 12 }, (_, layer) =>
      Float32Array.from((fused as Float32Array).subarray(layer * tokens ** 2, (layer + 1) * tokens ** 2)),
    );
    expectClose(rollout(layers, { rows: 1, tokens }), unpack(real.rollout), { tolerance: 1e-5 });
  });
});
