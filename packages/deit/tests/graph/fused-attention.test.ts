/** Attention as operations of our own: values and gradients beside those of the operations that they stand for. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, it } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import type { Target, Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import * as ops from "../../src/graph/ops.ts";
import { optimizeForward } from "../../src/graph/passes/forward.ts";
import type { Program } from "../../src/graph/program.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import type { Runtime, TensorData } from "../../src/runtime/runtime.ts";
import { seededTensor } from "../helpers/seeded.ts";
import { expectClose } from "./compare.ts";
import { graphOf, nodeTypes } from "./model-graph.ts";

const runtimes: Runtime[] = await Promise.all(
  [1, 2, 3].map(async (threads) => createRuntime({ device: "cpu", threads })),
);
const hasOwn = runtimes[0]?.target.endsWith("-chains") ?? false;
afterAll(async () => Promise.all(runtimes.map(async (runtime) => runtime.close())));

interface Sizes {
  readonly queries: number;
  readonly tokens: number;
  readonly batch: number;
  readonly heads: number;
  readonly size: number;
}

/** A qkv projection with biases, attention and a loss of weights for every attended number; gradients by all. */
function projected(target: Target, { queries, tokens, batch, heads, size }: Sizes): Program {
  const dim = heads * size;
  const x = input("x", "float32", [tokens, batch, dim]);
  const weight = input("weight", "float32", [3 * dim, dim]);
  const bias = input("bias", "float32", [3 * dim]);
  const [wq, wk, wv] = ops.split(weight, [dim, dim, dim], 0) as [Value, Value, Value];
  const [bq, , bv] = ops.split(bias, [dim, dim, dim], 0) as [Value, Value, Value];
  const asking = queries === tokens ? x : ops.slice(x, { axis: 0, end: queries });
  const { attended } = ops.attention(
    { q: ops.linear(asking, wq, bq), k: ops.linear(x, wk), v: ops.linear(x, wv, bv) },
    { numHeads: heads },
  );
  const loss = ops.sum(ops.mul(attended, input("by", "float32", [queries, batch, dim])));
  const [byX, byWeight, byBias] = gradient(loss, [x, weight, bias]) as [Value, Value, Value];
  return compile({ name: "attention", target, outputs: { attended, byX, byWeight, byBias } });
}

/** The program as a processor with narrower vectors computes it. */
function withLanes(program: Program, lanes: number): Program {
  const model = fromBinary(ModelProtoSchema, program.model);
  const own = model.graph?.node.filter(({ opType }) => opType.startsWith("Attention")) ?? [];
  const asked = own.map(({ attribute }) => attribute.find(({ name }) => name === "lanes"));
  for (const attribute of asked) if (attribute) attribute.i = BigInt(lanes);
  expect(asked).toHaveLength(2);
  return { ...program, model: toBinary(ModelProtoSchema, model) };
}

async function results(runtime: Runtime, program: Program): Promise<Readonly<Record<string, TensorData>>> {
  const feeds = Object.fromEntries(
    Object.entries(program.inputs).map(([name, { shape }]) => {
      const scale = name === "weight" ? 4 / Math.sqrt(shape[1] ?? 1) : 2;
      return [name, Float32Array.from(seededTensor(name, sizeOf(shape), { offset: 0, scale }))];
    }),
  );
  const executable = await runtime.load(program);
  const found = await executable.run(feeds);
  await executable.release();
  return found;
}

const cases: readonly (readonly [string, Sizes])[] = [
  ["DeiT-Ti's heads", { queries: 198, tokens: 198, batch: 2, heads: 3, size: 64 }],
  ["heads of 32", { queries: 65, tokens: 65, batch: 3, heads: 2, size: 32 }],
  ["heads of 16, several blocks of queries", { queries: 300, tokens: 300, batch: 1, heads: 2, size: 16 }],
  ["tokens that fill vectors", { queries: 128, tokens: 128, batch: 1, heads: 1, size: 64 }],
  ["heads of a size that fills no vector", { queries: 37, tokens: 37, batch: 2, heads: 3, size: 5 }],
  ["heads wider than tokens", { queries: 3, tokens: 3, batch: 2, heads: 2, size: 80 }],
  ["heads of 128 numbers", { queries: 20, tokens: 20, batch: 1, heads: 1, size: 128 }],
  ["one token", { queries: 1, tokens: 1, batch: 2, heads: 2, size: 16 }],
  ["one token of one number", { queries: 1, tokens: 1, batch: 1, heads: 1, size: 1 }],
  ["the queries of the last block", { queries: 2, tokens: 198, batch: 2, heads: 3, size: 64 }],
  ["one query", { queries: 1, tokens: 50, batch: 1, heads: 3, size: 32 }],
];

describe.skipIf(!hasOwn)("attention of our own", () => {
  it.each(cases)("gives what its parts give: %s", async (_, sizes) => {
    const [runtime] = runtimes as [Runtime];
    const [written, own] = [projected("cpu16", sizes), projected("cpu16-chains", sizes)];
    expect(nodeTypes(written)).not.toContain("AttentionGradient");
    expect(nodeTypes(own)).toEqual(expect.arrayContaining(["Attention", "AttentionGradient"]));
    expect(nodeTypes(own)).not.toContain("Softmax");
    const expected = await results(runtime, written);
    const found = await results(runtime, own);
    for (const [name, values] of Object.entries(expected))
      expectClose(found[name], Float64Array.from(values as Float32Array), { tolerance: 3e-6, name });
  });

  it.each([8, 4])("gives the same on processors with vectors of %i numbers", async (lanes) => {
    const [runtime] = runtimes as [Runtime];
    for (const [name, sizes] of cases) {
      const expected = await results(runtime, projected("cpu16", sizes));
      const found = await results(runtime, withLanes(projected("cpu16-chains", sizes), lanes));
      for (const [key, values] of Object.entries(expected))
        expectClose(found[key], Float64Array.from(values as Float32Array), {
          tolerance: 3e-6,
          name: `${name}, ${key}`,
        });
    }
  });

  it("gives the same bits with any number of threads", async () => {
    const program = projected("cpu16-chains", { queries: 198, tokens: 198, batch: 3, heads: 3, size: 64 });
    const found = [];
    for (const runtime of runtimes) found.push(await results(runtime, program));
    for (const other of found) expect(other).toEqual(found[0]);
  });

  it("keeps scores that are far apart finite", async () => {
    const [runtime] = runtimes as [Runtime];
    const shape = [40, 1, 16];
    const [q, k, v] = ["q", "k", "v"].map((name) => ops.mul(input(name, "float32", shape), 40)) as [
      Value,
      Value,
      Value,
    ];
    const { attended } = ops.attention({ q, k, v }, { numHeads: 1 });
    const byAll = gradient(ops.sum(ops.mul(attended, attended)), [q, k, v]);
    const program = (target: Target): Program =>
      compile({
        name: "far",
        target,
        outputs: { attended, ...Object.fromEntries(byAll.map((by, i) => [`by${i}`, by])) },
      });
    const expected = await results(runtime, program("cpu16"));
    const found = await results(runtime, program("cpu16-chains"));
    // Gradients by queries and keys are what is left of differences here: not to be compared.
    for (const name of ["attended", "by2"])
      expectClose(found[name], Float64Array.from(expected[name] as Float32Array), { tolerance: 1e-5, name });
    for (const values of Object.values(found))
      expect((values as Float32Array).every(Number.isFinite)).toBe(true);
  });
});

it("the gradient of one projection reads that of queries, keys and values as one value", () => {
  const [x, weight, bias] = [
    input("x", "float32", [10, 2, 192]),
    input("weight", "float32", [576, 192]),
    input("bias", "float32", [576]),
  ];
  const [q, k, v] = ops.split(ops.linear(x, weight, bias), [192, 192, 192], 2) as [Value, Value, Value];
  const { attended } = ops.attention({ q, k, v }, { numHeads: 3 });
  const { outputs } = optimizeForward([ops.sum(ops.mul(attended, attended))]);
  const [byX, byWeight, byBias] = gradient(outputs[0] as Value, [x, weight, bias]) as [Value, Value, Value];
  const { node = [] } = graphOf(
    compile({ name: "joined", target: "cpu16-chains", outputs: { byX, byWeight, byBias } }),
  );
  const [joined] = node.find(({ opType }) => opType === "AttentionGradient")?.output ?? [];
  const readers = node.filter((reader) => joined !== undefined && reader.input.includes(joined));
  expect(readers.length).toBeGreaterThan(0);
  expect(readers.map(({ opType }) => opType)).not.toContain("Split");
  expect(node.filter(({ opType }) => opType === "Concat").length).toBeLessThan(2); // of the bias's parts
});

it("attention with dropout, in float16, or looked at is written out", () => {
  const shape = [40, 1, 16];
  const [q, k, v] = ["q", "k", "v"].map((name) => input(name, "float32", shape)) as [Value, Value, Value];
  const factors = input("kept", "float32", [1, 1, 40, 40]);
  const dropped = ops.attention({ q, k, v }, { numHeads: 1, factors }).attended;
  const plain = ops.attention({ q, k, v }, { numHeads: 1 });
  const types = (y: Value, precision: "float32" | "float16" = "float32"): string[] =>
    nodeTypes(compile({ name: "y", target: "cpu16-chains", outputs: { y }, precision }));
  expect(types(plain.attended)).toEqual(["Attention"]);
  expect(types(dropped)).not.toContain("Attention");
  expect(types(plain.attended, "float16")).not.toContain("Attention");
  expect(types(plain.probabilities)).toEqual(expect.arrayContaining(["Softmax"]));
  expect(types(plain.probabilities)).not.toContain("Attention");
});
