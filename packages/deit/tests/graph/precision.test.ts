/** Mixed precision: what is float16, where the casts are, and that devices compute what the interpreter does. */
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Attributes, OpDefinition, Value } from "../../src/graph/graph.ts";
import { constant, createNode, input, operands, topologicalOrder } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import * as ops from "../../src/graph/ops.ts";
import { lower } from "../../src/graph/passes/lower.ts";
import { simplify } from "../../src/graph/passes/simplify.ts";
import { inFloat32, toFloat16 } from "../../src/graph/precision.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { seededTensor } from "../helpers/seeded.ts";
import { titleOf } from "./cases/op-case.ts";
import { cases } from "./cases.ts";
import { expectClose, feedsFor } from "./compare.ts";

const x = input("x", "float32", [4, 3]);
const w = input("w", "float32", [3, 3]);
const b = input("b", "float32", [3]);
const scale = input("scale", "float32", []);
const options = { weights: new Set(["w", "b", "scale"]) };

/** Names of a graph's operations in float16 and in float32, leaves and casts apart. */
function split(values: readonly Value[]): { half: Set<string>; full: Set<string>; casts: number } {
  const nodes = topologicalOrder(values).filter(({ inputs }) => inputs.length > 0);
  const inner = nodes.filter(({ op }) => op.name !== "cast");
  const named = (dtype: string): Set<string> =>
    new Set(inner.filter(({ outputs }) => outputs[0]?.dtype === dtype).map(({ op }) => op.name));
  return { half: named("float16"), full: named("float32"), casts: nodes.length - inner.length };
}

function halved(values: readonly Value[]): readonly Value[] {
  return simplify(toFloat16(simplify(lower(values, "cpu")), options));
}

describe("what is computed in float16", () => {
  test("products and what follows them, biases included; softmax and sums are not", () => {
    const y = ops.softmax(ops.relu(ops.linear(x, w, b)));
    const { half, full, casts } = split(halved([ops.sum(y)]));
    expect(half).toEqual(new Set(["gemm", "add", "relu"]));
    expect(full).toEqual(new Set(["softmax", "sum"]));
    expect(casts).toBe(6); // x, w, b; into the softmax; out of it to float16, and from there to the sum
  });

  test("a weight is cast once, whoever reads it, forward and backward", () => {
    const y = ops.matmul(ops.matmul(x, w), w);
    const graph = halved(gradient(ops.sum(ops.mul(y, y)), [x, w]));
    const ofWeights = topologicalOrder(graph).filter(
      ({ op, inputs }) => op.name === "cast" && inputs[0]?.node === w.node,
    );
    expect(ofWeights).toHaveLength(1);
  });

  test("data of both kinds meet in float32; scalars of the state do not become float16", () => {
    const product = ops.matmul(x, w);
    expect(split(halved([ops.add(product, x)])).full).toEqual(new Set(["add"]));
    expect(split(halved([ops.mul(product, scale)])).full).toEqual(new Set(["mul"]));
    expect(split(halved([ops.mul(product, 0.5)])).half).toEqual(new Set(["matmul", "mul"]));
  });

  test("constants that float16 would lose keep their operation in float32", () => {
    const product = ops.matmul(x, w);
    for (const lost of [1e-6, 1e6])
      expect(split(halved([ops.mul(product, lost)])).full, String(lost)).toEqual(new Set(["mul"]));
  });

  test("a loss is float32 from the logits on", () => {
    const logits = inFloat32(ops.matmul(x, w));
    const { half, full } = split(halved([ops.sum(ops.mul(ops.softmax(logits), ops.logSoftmax(logits)))]));
    expect(half).toEqual(new Set(["matmul"]));
    expect(full).toEqual(new Set(["softmax", "logSoftmax", "mul", "sum"]));
  });

  test("a detour of float16 through float32 is left out", () => {
    const half = ops.cast(x, "float16");
    const [back] = simplify([ops.cast(ops.cast(half, "float32"), "float16")]);
    expect(back?.node).toBe(half.node);
    const rounded = ops.cast(half, "float32");
    expect(simplify([rounded])[0]?.node.op.name).toBe("cast");
    expect(simplify([ops.cast(rounded, "bool")])[0]?.node.op.name).toBe("cast");
  });

  test("outputs keep their types", () => {
    const [y, positive] = halved([ops.matmul(x, w), ops.greater(ops.matmul(x, w), 0)]);
    expect([y?.dtype, positive?.dtype]).toEqual(["float32", "bool"]);
  });
});

/** A graph whose products of float16 add their terms up in float16 as well, one after the other, as WebGPU's kernels do. */
function addedInHalves(values: readonly Value[]): Value[] {
  const rebuilt = new Map<Value, Value>();
  const find = (value: Value): Value => rebuilt.get(value) ?? value;
  for (const node of topologicalOrder(values)) {
    if (node.inputs.length === 0) continue;
    const inputs = node.inputs.map(find);
    const halved = node.op.name === "gemm" && inputs[0]?.dtype === "float16";
    const op = halved ? { ...node.op, evaluate: gemmInHalves } : node.op;
    const { outputs } = createNode(op, inputs, node.attributes);
    for (const [i, value] of node.outputs.entries()) rebuilt.set(value, outputs[i] ?? value);
  }
  return values.map(find);
}

const gemmInHalves: NonNullable<OpDefinition<Attributes>["evaluate"]> = ([a, b], attributes, types) => {
  const { transA, transB } = attributes;
  const [m = 1, n = 1] = types[0]?.shape ?? [];
  const terms = a.data.length / m;
  const sums = Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let total = 0;
    for (let k = 0; k < terms; k++) {
      const left = a.data[transA ? k * m + row : row * terms + k] ?? Number.NaN;
      const right = b.data[transB ? column * terms + k : k * n + column] ?? Number.NaN;
      total = Math.f16round(total + Math.f16round(left * right));
    }
    return total;
  });
  return [Float64Array.from(sums)];
};

describe("long sums on WebGPU, whose kernels add up in the type of their operands", () => {
  const batch = 12672; // 64 images of 198 tokens
  const wide = { weights: new Set(["w"]), target: "webgpu" } as const;

  test("are those of float32: over more than 512 features, and over the tokens of a batch", () => {
    const product = (terms: number, target: "cpu" | "webgpu"): Value[] => {
      const weight = input("w", "float32", [2, terms]);
      return toFloat16([ops.linear(input("x", "float32", [4, terms]), weight)], { ...wide, target });
    };
    expect(split(product(512, "webgpu")).half).toContain("gemm");
    expect(split(product(513, "webgpu")).full).toContain("gemm");
    expect(split(product(513, "cpu")).half).toContain("gemm");
  });

  test("go on in float16 where a layer gives them, and stay float32 as gradients of weights", () => {
    const tokens = input("x", "float32", [4, 513]);
    const weight = input("w", "float32", [513, 513]);
    const y = ops.relu(ops.gemm(ops.relu(ops.gemm(tokens, weight)), weight));
    const [forward, byWeight] = toFloat16([y, ...gradient(ops.sum(y), [weight])], wide);
    expect(split([forward ?? y]).half).toEqual(new Set(["relu"]));
    expect(split([byWeight ?? y]).full).toContain("gemm");
  });

  test("gradients of weights are right, which they are not when added up in float16", () => {
    const weight = input("w", "float32", [1, 2]);
    const tokens = input("x", "float32", [batch, 2]);
    const y = ops.linear(tokens, weight);
    const values = lower(gradient(ops.sum(y), [weight]), "webgpu");
    const random = seededTensor("tokens", batch, { offset: 1, scale: 1 });
    const x = Float32Array.from({ length: 2 * batch }, (_, i) => (i % 2 === 0 ? 1 : (random[i >> 1] ?? 0)));
    const feeds = { x, w: Float32Array.of(1, 1) };
    const [exact = []] = evaluate(values, feeds);
    const [rounded = []] = evaluate(addedInHalves(toFloat16(values, { ...wide, target: "cpu" })), feeds);
    const [right = []] = evaluate(addedInHalves(toFloat16(values, wide)), feeds);
    expect([exact[0], rounded[0], right[0]]).toEqual([batch, 2048, batch]);
    expect(Math.abs((rounded[1] ?? 0) / (exact[1] ?? 1) - 1)).toBeGreaterThan(0.5);
    expect(Math.abs((right[1] ?? 0) / (exact[1] ?? 1) - 1)).toBeLessThan(1e-3);
  });
});

describe("the interpreter", () => {
  test("rounds what is float16: 11 bits, 65504 at most, 2^-24 at least", () => {
    const values = constant(
      Float64Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 2049, 65519, 65520, 2 ** -25, 1e-7),
    );
    const [rounded] = evaluate([ops.cast(ops.cast(values, "float16"), "float32")]);
    expect(Array.from(rounded ?? [])).toEqual([1, 1 + 2 ** -9, 2048, 65504, Infinity, 0, 2 ** -23]);
  });

  test("rounds after every operation", () => {
    const half = ops.cast(constant(Float64Array.of(1, 2048)), "float16");
    const sum = ops.add(half, ops.cast(constant(Float64Array.of(2 ** -12, 1)), "float16"));
    expect(Array.from(evaluate([sum])[0] ?? [])).toEqual([1, 2048]);
  });
});

describe("the CPU computes what the interpreter does, near what float32 gives", () => {
  const products = ["matmul", "gemm", "linear", "linearParts", "attention", "geluMlp", "conv2d", "layerNorm"];
  const some = products.flatMap((op) => cases.filter((it) => it.op === op).slice(0, 2));
  test("for every kind of product", async () => {
    const runtime = await sharedRuntime("cpu");
    expect(some.length).toBeGreaterThan(8);
    for (const it of some) {
      const inputs = it.inputs.map(({ dtype, shape }, i) => input(`x${i}`, dtype, shape));
      const feeds = Object.fromEntries(it.inputs.map(({ data }, i) => [`x${i}`, data]));
      const built = it.build(operands(inputs));
      const outputs = "node" in built ? [built] : [...built];
      const weighted = outputs.map((value, i) => {
        const data = seededTensor(`weight ${i}`, sizeOf(value.shape), { offset: 0, scale: 2 });
        return ops.sum(ops.mul(value, constant(data, value.shape)));
      });
      const loss = weighted.reduce((total, term) => ops.add(total, term));
      const values = [...outputs, ...gradient(loss, inputs)];
      const named = Object.fromEntries(values.map((value, i) => [`y${i}`, value]));
      const program = compile({ name: titleOf(it), target: "cpu", outputs: named, precision: "float16" });
      const executable = await runtime.load(program);
      const results = await executable.run(feedsFor(program, feeds));
      await executable.release();
      const oracle = evaluate(toFloat16(simplify(lower(values, "cpu"))), feeds);
      const exact = evaluate(values, feeds);
      for (const i of values.keys()) {
        const name = `${titleOf(it)}, value ${i}`;
        expectClose(results[`y${i}`], oracle[i], { tolerance: 2e-3, name });
        expectClose(oracle[i], exact[i], { tolerance: 1e-2, name: `${name}, beside float64` });
      }
    }
  });
});
