/** Profiles: what is read from ONNX Runtime's file, and where the time of a real program goes. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseProfile } from "../../src/bench/profile-events.ts";
import { breakdown, placeOf, profileModel } from "../../src/bench/profile.ts";
import type { ProfileReport } from "../../src/bench/profile.ts";
import { profileText } from "../../src/cli/profile-view.ts";
import { constant, inScope, input } from "../../../deit/src/graph/graph.ts";
import { gemm, relu } from "../../../deit/src/graph/ops.ts";
import { compile } from "../../../deit/src/graph/program.ts";
import { createModel } from "../../../deit/src/models/registry.ts";
import { createRuntime } from "../../../deit/src/runtime/node.ts";
import { devices } from "../../../deit/tests/helpers/devices.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deit-profile-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const run = (dur: number): object => ({ cat: "Session", name: "model_run", dur });
const node = (
  name: string,
  op: string,
  dur: number,
  shapes: readonly (readonly number[])[] = [],
): object => ({
  cat: "Node",
  name: `${name}_kernel_time`,
  dur,
  args: {
    op_name: op,
    input_type_shape: shapes.slice(0, -1).map((shape) => ({ float: shape })),
    output_type_shape: shapes.slice(-1).map((shape) => ({ float: shape })),
  },
});
const kernel = (name: string, dur: number): object => ({ cat: "Api", name, dur });
const parse = (events: readonly object[], warmUp = 1): ReturnType<typeof parseProfile> =>
  parseProfile(JSON.stringify(events), { warmUp });

describe("parseProfile", () => {
  it("leaves the first runs out and takes the mean of the others", () => {
    const events = [900, 100, 200].flatMap((dur) => [node("add_1", "Add", dur), run(2 * dur)]);
    expect(parse(events)).toEqual({
      runs: 2,
      secondsPerRun: 300e-6,
      nodes: [{ name: "add_1", type: "Add", count: 1, seconds: 150e-6, flops: 0 }],
    });
  });

  it("takes the device's own clock where there is one: all kernels of a node", () => {
    const one = [
      node("softmax_1", "Softmax", 5),
      kernel("softmax_1&Softmax&Max", 30),
      kernel("softmax_1&Softmax&Sum", 20),
    ];
    expect(parse([...one, run(99), ...one, run(99)]).nodes).toMatchObject([{ seconds: 50e-6, count: 1 }]);
  });

  it.each([
    ["Gemm, second transposed", "Gemm", [[8, 64], [192, 64], [192], [8, 192]], 2 * 8 * 64 * 192],
    [
      "Gemm, first transposed",
      "Gemm",
      [
        [8, 64],
        [8, 192],
        [64, 192],
      ],
      2 * 8 * 64 * 192,
    ],
    [
      "MatMul in a batch",
      "MatMul",
      [
        [3, 5, 7],
        [3, 7, 11],
        [3, 5, 11],
      ],
      2 * 3 * 5 * 7 * 11,
    ],
    [
      "FusedMatMul, transposed",
      "FusedMatMul",
      [
        [3, 5, 7],
        [3, 11, 7],
        [3, 5, 11],
      ],
      2 * 3 * 5 * 7 * 11,
    ],
    [
      "Conv in groups",
      "Conv",
      [
        [2, 8, 9, 9],
        [16, 4, 3, 3],
        [2, 16, 9, 9],
      ],
      2 * 2 * 16 * 81 * 4 * 9,
    ],
    [
      "ConvTranspose",
      "ConvTranspose",
      [
        [2, 16, 5, 5],
        [16, 8, 3, 3],
        [2, 8, 10, 10],
      ],
      2 * 2 * 16 * 25 * 8 * 9,
    ],
    [
      "no product",
      "Add",
      [
        [8, 8],
        [8, 8],
        [8, 8],
      ],
      0,
    ],
  ] as const)("counts the work of %s", (_, type, shapes, flops) => {
    const once = [node("x_1", type, 10, shapes), run(20)];
    expect(parse([...once, ...once]).nodes[0]?.flops).toBe(flops);
  });

  it.each(["", "{}", "[1, 2"])("refuses %j", (text) => {
    expect(() => parseProfile(text, { warmUp: 0 })).toThrow("JSON list of events");
  });

  it("refuses a profile without runs that count", () => {
    expect(() => parse([run(1)])).toThrow("the profile has 1 runs");
  });
});

describe("breakdown", () => {
  it.each([
    ["blocks.3/attn/gemm_12", "forward", "blocks.3", "attn"],
    ["gradient/blocks.3/attn/gemm_12/MatmulTransposeFusion/", "backward", "blocks.3", "attn"],
    ["gradient/blocks.3/add_12", "backward", "blocks.3", "residual"],
    ["optimizer/mul_3", "optimizer", "optimizer", "optimizer"],
    ["gradient/concat_9", "backward", "rest", "rest"],
    ["SkipLayerNormalization", "forward", "rest", "rest"],
    ["fused blocks.0/conv_1", "forward", "blocks.0", "residual"],
    ["output_loss", "forward", "rest", "rest"],
  ])("%s is of %s, %s, %s", (name, phase, layer, part) => {
    expect(placeOf(name)).toEqual({ phase, layer, part });
  });

  it("adds up, with the rate of products alone", () => {
    const { phases, products, operations } = breakdown([
      { name: "blocks.0/mlp/gemm_1", type: "Gemm", count: 1, seconds: 1, flops: 4e9 },
      { name: "gradient/blocks.0/mlp/gemm_2", type: "Gemm", count: 2, seconds: 2, flops: 4e9 },
      { name: "gradient/blocks.0/mlp/mul_3", type: "Mul", count: 1, seconds: 1, flops: 0 },
    ]);
    expect(phases).toEqual([
      { name: "forward", count: 1, seconds: 1, share: 0.25, gflops: 4 },
      { name: "backward", count: 3, seconds: 3, share: 0.75, gflops: 2 },
    ]);
    expect(products).toMatchObject({ seconds: 3, share: 0.75, gflops: 8 / 3 });
    expect(operations.map(({ name, gflops }) => [name, gflops])).toEqual([
      ["Gemm", 8 / 3],
      ["Mul", null],
    ]);
  });
});

/** Operations of all products of a run. */
function work({ products: { gflops, seconds } }: ProfileReport): number {
  return (gflops ?? 0) * seconds * 1e9;
}

const MODEL = "deit_w64d4_distilled_patch4_32";

it("a training step spends its time in its blocks, forward and backward", async () => {
  const out = join(folder, "profile.json");
  const options = { batchSize: 2, device: "cpu", threads: 1, rounds: 1, out } as const;
  const report = await profileModel({ model: MODEL, what: "train", ...options });
  expect(report).toMatchObject({ device: "cpu", what: "train", runs: 1, batchSize: 2, file: out });
  expect(report.phases.map(({ name }) => name)).toEqual(["forward", "backward", "optimizer"]);
  const layers = ["blocks.0", "blocks.1", "blocks.2", "blocks.3", "loss", "optimizer", "patch_embed"];
  expect(report.layers.map(({ name }) => name)).toEqual(expect.arrayContaining(layers));
  expect(report.parts.map(({ name }) => name)).toEqual(expect.arrayContaining(["attn", "mlp", "norm1"]));
  for (const entries of [report.phases, report.parts, report.layers, report.operations])
    expect(entries.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
  // Three forward passes' products, but for the tokens that the last block does not compute and the images' gradient.
  const ratio = work(report) / (2 * 2 * 3 * createModel(MODEL).macs);
  expect(ratio).toBeGreaterThan(0.7);
  expect(ratio).toBeLessThan(1.05);
  expect(profileText(report)).toContain("blocks.3");
  expect(JSON.parse(await readFile(out, "utf8"))).toBeInstanceOf(Array);
});

it.each(devices)("a product on %s has its time and its work", async (device) => {
  const product = inScope("head", () =>
    gemm(input("x", "float32", [8, 64]), constant(new Float32Array(64 * 32), [64, 32])),
  );
  const program = compile({ name: "product", target: device, outputs: { y: relu(product) } });
  const runtime = await createRuntime({ device, threads: 1, profile: join(folder, device) });
  const executable = await runtime.load(program);
  for (let run = 0; run < 3; run++) await executable.run({ x: new Float32Array(8 * 64) });
  const file = await executable.release();
  await runtime.close();
  const { runs, secondsPerRun, nodes } = parseProfile(await readFile(file ?? "", "utf8"), { warmUp: 1 });
  expect(runs).toBe(2);
  const found = nodes.find(({ flops }) => flops > 0);
  expect(found).toMatchObject({
    name: expect.stringMatching(/^(?:fused )?head\//),
    count: 1,
    flops: 2 * 8 * 64 * 32,
  });
  expect(found?.seconds).toBeGreaterThanOrEqual(0);
  expect(breakdown(nodes).operationSeconds).toBeGreaterThan(0);
  expect(secondsPerRun).toBeGreaterThan(0);
});

it("a convnet's products are its multiply-accumulates", async () => {
  const options = { batchSize: 2, device: "cpu", threads: 1, rounds: 1 } as const;
  const report = await profileModel({ model: "resnet20_cifar", what: "infer", ...options });
  // Shortcuts between widths are products with constants, which are not work of the model.
  const moved = 16 ** 2 * 32 * 16 + 8 ** 2 * 64 * 32;
  expect(work(report) / (2 * 2 * (createModel("resnet20_cifar").macs + moved))).toBeCloseTo(1, 2);
});
