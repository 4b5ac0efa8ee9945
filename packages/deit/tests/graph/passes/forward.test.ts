/** Each pass over a forward graph: it does what it is for, keeps values and gradients, and leaves alone what it must. */
import { describe, expect, test } from "vitest";
import type { Value } from "../../../src/graph/graph.ts";
import { at, input, topologicalOrder } from "../../../src/graph/graph.ts";
import * as ops from "../../../src/graph/ops.ts";
import { attentionBiases } from "../../../src/graph/passes/attention-biases.ts";
import { foldAffine } from "../../../src/graph/passes/fold-affine.ts";
import { optimizeForward, optimizeOutputs } from "../../../src/graph/passes/forward.ts";
import { fuseMlp } from "../../../src/graph/passes/fuse-mlp.ts";
import { pruneRows } from "../../../src/graph/passes/prune-rows.ts";
import { inOrder } from "../../../src/graph/passes/rewrite.ts";
import { splitLinear } from "../../../src/graph/passes/split-linear.ts";
import { createRandom } from "../../../src/random.ts";
import { evaluate } from "../../../src/graph/interpreter.ts";
import { expectClose } from "../compare.ts";
import { randomGraph } from "../random-graph.ts";
import { expectSame, operations } from "./expect-same.ts";

const [N, B, D, H] = [5, 2, 6, 8];
const tensor = (name: string, ...shape: number[]): Value => input(name, "float32", shape);
const x = tensor("x", N, B, D);
const layer = (name: string, value: Value, out: number): Value =>
  ops.linear(value, tensor(`${name}.w`, out, value.shape.at(-1) ?? 1), tensor(`${name}.b`, out));
const norm = (name: string, value: Value): Value =>
  ops.layerNorm(value, tensor(`${name}.w`, D), tensor(`${name}.b`, D));
const first = (value: Value, end: number, axis = 0): Value => ops.slice(value, { axis, end });

/** Shapes of every value that an operation makes. */
const shapesOf = (values: readonly Value[], op: string): string[] =>
  topologicalOrder(values)
    .filter((node) => node.op.name === op)
    .map(({ outputs }) => at(outputs, 0).shape.join("×"));

describe("foldAffine", () => {
  test("takes a normalisation's weight and bias into the linear layers that read it", () => {
    const normed = norm("n", x);
    const made = expectSame(foldAffine, [layer("a", normed, 3), layer("b", normed, 4)]);
    // Nothing of the size of x is multiplied or added any more: the weight [out, D] is, and the bias [out].
    expect(shapesOf(made, "mul")).toEqual([`3×${D}`, `4×${D}`]);
    expect(shapesOf(made, "add")).toEqual(["3", "4"]);
  });

  test("takes a vector that is only added, or only multiplied by", () => {
    const added = ops.add(ops.exp(x), tensor("v", D));
    const scaled = ops.mul(ops.exp(x), tensor("v", D));
    expect(operations(expectSame(foldAffine, [layer("a", added, 3)]))).not.toContain("mul");
    expect(shapesOf(expectSame(foldAffine, [layer("a", scaled, 3)]), "mul")).toEqual([`3×${D}`]);
  });

  test.each<[string, (normed: Value) => Value[]]>([
    ["is an output", (normed) => [normed, layer("a", normed, 3)]],
    ["is read by something else, too", (normed) => [ops.exp(normed), layer("a", normed, 3)]],
    ["is cut before", (normed) => [layer("a", first(normed, 1), 3)]],
    ["is read under other features", (normed) => [layer("a", ops.reshape(normed, [N, B * D]), 3)]],
  ])("leaves a normalisation alone that %s", (_, build) => {
    const outputs = build(norm("n", x));
    expect(expectSame(foldAffine, outputs)).toEqual(outputs);
  });

  test("leaves alone what is added along another axis", () => {
    const outputs = [layer("a", ops.add(x, tensor("v", N, 1, 1)), 3)];
    expect(expectSame(foldAffine, outputs)).toEqual(outputs);
  });
});

describe("splitLinear", () => {
  const parts = (value: Value): readonly Value[] => ops.split(value, [2, 3, 3], 2);

  test("makes a product for each part of a linear layer's result", () => {
    const made = expectSame(splitLinear, parts(layer("a", x, H)));
    expect(operations(made)).toEqual(["add", "add", "add", "linearParts", "split"]);
    expect(shapesOf(made, "split")).toEqual(["2"]); // of the bias
  });

  test("leaves alone a result that is also read whole", () => {
    const whole = layer("a", x, H);
    const outputs = [...parts(whole), whole];
    expect(expectSame(splitLinear, outputs)).toEqual(outputs);
  });

  test("leaves alone what is cut along another axis", () => {
    const outputs = ops.split(layer("a", x, H), [1, N - 1], 0);
    expect(expectSame(splitLinear, outputs)).toEqual(outputs);
  });
});

describe("attentionBiases", () => {
  const [q, k, v] = [tensor("q", N, B, D), tensor("k", N, B, D), tensor("v", N, B, D)];
  const [onKeys, onValues] = [tensor("bk", D), tensor("bv", D)];
  const given = { q, k: ops.add(k, onKeys), v: ops.add(v, onValues) };

  test("drops one on the keys, and adds one on the values afterwards", () => {
    const { attended } = ops.attention(given, { numHeads: 2 });
    const made = expectSame(attentionBiases, [attended]);
    const inputs = topologicalOrder(made).map(({ attributes }) => attributes["name"]);
    expect(inputs).not.toContain("bk");
    expect(at(made, 0).node.op.name).toBe("add");
    expect(at(made, 0).node.inputs[1]).toBe(onValues);
  });

  test("keeps the values' bias where probabilities are multiplied by factors: they no longer sum to 1", () => {
    const factors = tensor("factors", B, 2, N, N);
    const { attended } = ops.attention(given, { numHeads: 2, factors });
    const [made] = attentionBiases([attended]).outputs;
    expect(made?.node.op.name).toBe("attention");
    expect(made?.node.inputs.slice(1, 3)).toEqual([k, given.v]);
  });

  test("leaves alone what is added token by token", () => {
    const positions = ops.add(k, tensor("positions", N, 1, D));
    const outputs = [ops.attention({ q, k: positions, v }, { numHeads: 2 }).attended];
    expect(expectSame(attentionBiases, outputs)).toEqual(outputs);
  });
});

describe("fuseMlp", () => {
  test("makes Linear, GELU, Linear one operation", () => {
    const made = expectSame(fuseMlp, [layer("b", ops.gelu(layer("a", x, H)), D)]);
    expect(operations(made)).toEqual(["geluMlp"]);
  });

  test.each<[string, (activated: Value) => Value[]]>([
    ["read elsewhere", (activated) => [layer("b", activated, D), ops.exp(activated)]],
    ["multiplied by dropout's factors", (a) => [layer("b", ops.mul(a, tensor("m", N, B, H)), D)]],
    ["an output", (activated) => [layer("b", activated, D), activated]],
  ])("leaves alone activations that are %s", (_, build) => {
    const outputs = build(ops.gelu(layer("a", x, H)));
    expect(expectSame(fuseMlp, outputs)).toEqual(outputs);
  });
});

describe("pruneRows", () => {
  const prune = pruneRows();

  test("computes what works row by row for the rows that are read", () => {
    const y = ops.add(ops.mul(ops.gelu(layer("a", norm("n", x), D)), tensor("d", B, 1)), x);
    const made = expectSame(prune, [first(y, 2)]);
    expect(shapesOf(made, "normalize")).toEqual([`2×${B}×${D}`]);
    expect(shapesOf(made, "gemm")).toEqual([`${2 * B}×${D}`]);
    expect(shapesOf(made, "gelu")).toEqual([`2×${B}×${D}`]);
  });

  test("of attention cuts the queries, not what they meet", () => {
    const [q, k, v] = ops.linearParts(x, tensor("w", 3 * D, D), [D, D, D]);
    const { attended } = ops.attention({ q: q ?? x, k: k ?? x, v: v ?? x }, { numHeads: 2 });
    const made = expectSame(prune, [first(layer("p", attended, D), 1)]);
    expect(shapesOf(made, "attention")).toEqual([`1×${B}×${D}`]);
    expect(shapesOf(made, "linearParts")).toEqual([`${N * B}×${D}`]); // keys and values
    expect(shapesOf(made, "gemm")).toEqual([`${B}×${D}`, `${B}×${D}`]); // queries, projection
  });

  test("takes the most that anybody reads", () => {
    const y = ops.exp(x);
    const made = expectSame(prune, [first(ops.neg(y), 1), ops.slice(y, { axis: 0, start: 1, end: 3 })]);
    expect(shapesOf(made, "exp")).toEqual([`3×${B}×${D}`]);
    expect(shapesOf(made, "neg")).toEqual([`1×${B}×${D}`]);
  });

  test.each<[string, (y: Value) => Value[]]>([
    ["an output", (y) => [first(y, 1), y]],
    ["read whole by another", (y) => [first(y, 1), ops.sum(y)]],
    ["cut on two axes", (y) => [first(y, 1), first(y, 1, 2)]],
  ])("leaves alone what is %s", (_, build) => {
    const outputs = build(ops.exp(x));
    expect(expectSame(prune, outputs)).toEqual(outputs);
  });

  test("does not cut probabilities that are looked at", () => {
    const { attended, probabilities } = ops.attention({ q: x, k: x, v: x }, { numHeads: 2 });
    const made = prune([first(attended, 1), probabilities]).outputs;
    expect(made.map(({ shape }) => shape)).toEqual([
      [1, B, D],
      [B, 2, N, N],
    ]);
    expect(shapesOf(made, "attention")).toEqual([`${N}×${B}×${D}`]);
  });

  test("works on any axis, and through shapes that keep its rows whole", () => {
    const made = expectSame(prune, [
      first(ops.reshape(ops.exp(ops.transpose(x, [1, 0, 2])), [B, N, D]), 2, 1),
    ]);
    expect(shapesOf(made, "exp")).toEqual([`${B}×2×${D}`]);
    const split = expectSame(prune, [first(ops.reshape(ops.exp(x), [N * B * D]), 7)]); // in the midst of a row
    expect(shapesOf(split, "exp")).toEqual([`${N}×${B}×${D}`]);
  });

  test("asks for smaller inputs only where it may", () => {
    const y = first(ops.mul(ops.exp(x), tensor("mask", N, B, D)), 2);
    const shapeOf = (pass: typeof prune): readonly number[] | undefined =>
      topologicalOrder(pass([y]).outputs).find(({ attributes }) => attributes["name"] === "mask")?.outputs[0]
        ?.shape;
    expect(shapeOf(prune)).toEqual([N, B, D]);
    expect(shapeOf(pruneRows({ mayShrink: (name) => name === "mask" }))).toEqual([2, B, D]);
  });
});

describe("all passes", () => {
  const block = (value: Value, name: string): Value => {
    const qkv = layer(`${name}.qkv`, norm(`${name}.n1`, value), 3 * D);
    const [q, k, v] = ops.split(qkv, [D, D, D], 2);
    const { attended } = ops.attention({ q: q ?? x, k: k ?? x, v: v ?? x }, { numHeads: 3 });
    const y = ops.add(value, layer(`${name}.proj`, attended, D));
    const hidden = ops.gelu(layer(`${name}.fc1`, norm(`${name}.n2`, y), H));
    return ops.add(y, layer(`${name}.fc2`, hidden, D));
  };

  test("make two blocks and a head fast, and keep what they compute", () => {
    const states = [block(x, "0")];
    states.push(block(at(states, 0), "1"));
    const logits = layer("head", ops.reshape(first(norm("n", first(at(states, 1), 1)), 1), [B, D]), 4);
    const made = expectSame(optimizeForward, [logits]);
    expect(shapesOf(made, "geluMlp")).toEqual([`${N * B}×${D}`, `${B}×${D}`]);
    expect(shapesOf(made, "attention")).toEqual([`${N}×${B}×${D}`, `1×${B}×${D}`]);
    // With the last state among the outputs, every token is computed.
    const seen = expectSame(optimizeForward, [logits, at(states, 1)]);
    expect(shapesOf(seen, "attention")).toEqual([`${N}×${B}×${D}`, `${N}×${B}×${D}`]);
  });

  test("tell what inner values have become", () => {
    const inner = ops.exp(norm("n", x));
    const { outputs, find } = optimizeForward([first(inner, 2)]);
    expect(find(inner).shape).toEqual([2, B, D]);
    expect(topologicalOrder(outputs)).toContain(find(inner).node);
    expect(find(x)).toBe(x);
    expect(inOrder([])([x]).find(inner)).toBe(inner);
  });

  test("keep the values of random graphs", () => {
    for (let seed = 0; seed < 60; seed++) {
      const { outputs, feeds } = randomGraph(createRandom(seed, "forward"), 25);
      const named = Object.fromEntries(outputs.map((value, i) => [`y${i}`, value]));
      const made = evaluate(Object.values(optimizeOutputs(named)), feeds);
      for (const [i, expected] of evaluate(outputs, feeds).entries())
        expectClose(made[i], expected, { tolerance: 1e-12, name: `output ${i} of seed ${seed}` });
    }
  });
});
