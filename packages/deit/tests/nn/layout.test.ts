/** Parameters in flat vectors and back. */
import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { at } from "../../src/graph/graph.ts";
import { mul } from "../../src/graph/ops.ts";
import { checkTensors } from "../../src/nn/check-tensors.ts";
import type { Layout, ParameterGroup, ParameterSpec } from "../../src/nn/parameters.ts";
import {
  bindParameters,
  createLayout,
  frozenVectors,
  initialVectors,
  nextVector,
  packTensors,
  trainedVectors,
  unpackTensors,
  zeroVectors,
} from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";

const specs: ParameterSpec[] = [
  { name: "a.weight", shape: [2, 3], initializer: { kind: "truncNormal", std: 1 } },
  { name: "a.bias", shape: [2], initializer: { kind: "zeros" } },
  { name: "b.weight", shape: [4], initializer: { kind: "ones" } },
  { name: "b.scale", shape: [], initializer: { kind: "uniform", bound: 3 } },
  { name: "c.weight", shape: [2, 2], initializer: { kind: "uniform", bound: 0.5 } },
];

function groupOf({ name }: ParameterSpec): ParameterGroup {
  const decay = name.endsWith("weight");
  return { name: decay ? "decay" : "noDecay", decay, lrScale: 1 };
}

/** Tensors whose elements tell their place. */
function tensors(): Map<string, { shape: readonly number[]; data: Float32Array }> {
  return new Map(
    specs.map(({ name, shape }, i) => [
      name,
      { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, j) => 100 * i + j) },
    ]),
  );
}

function describeVectors({ vectors }: Layout): [string, string[], number][] {
  return vectors.map(({ name, segments, length }) => [
    name,
    segments.map((segment) => `${segment.name}@${segment.offset}`),
    length,
  ]);
}

describe("createLayout", () => {
  test("puts the parameters of a group one after another, in their order", () => {
    const layout = createLayout(specs, { groupOf });
    expect(describeVectors(layout)).toEqual([
      ["decay", ["a.weight@0", "b.weight@6", "c.weight@10"], 14],
      ["noDecay", ["a.bias@0", "b.scale@2"], 3],
    ]);
    expect(layout.parameters).toBe(17);
    expect([...layout.segments.keys()].toSorted()).toEqual(specs.map(({ name }) => name).toSorted());
    expect(layout.vectors.map(({ group }) => group.decay)).toEqual([true, false]);
  });

  test("cuts a vector before it grows too long; a longer parameter stands alone", () => {
    const layout = createLayout(specs, { groupOf, maxLength: 5 });
    expect(describeVectors(layout)).toEqual([
      ["decay", ["a.weight@0"], 6],
      ["noDecay", ["a.bias@0", "b.scale@2"], 3],
      ["decay.1", ["b.weight@0"], 4],
      ["decay.2", ["c.weight@0"], 4],
    ]);
  });
});

describe.each([undefined, 5])("with vectors of at most %s", (maxLength) => {
  const layout = createLayout(specs, { groupOf, ...(maxLength !== undefined && { maxLength }) });

  test("packing and unpacking return the same tensors", () => {
    const vectors = packTensors(layout, tensors());
    expect(Object.values(vectors).map(({ length }) => length)).toEqual(
      layout.vectors.map(({ length }) => length),
    );
    expect(Object.fromEntries(unpackTensors(layout, vectors))).toEqual(Object.fromEntries(tensors()));
  });

  test("unpacked tensors are views", () => {
    const vectors = zeroVectors(layout);
    unpackTensors(layout, vectors).get("b.weight")?.data.fill(5);
    expect(
      Object.values(vectors)
        .flatMap((data) => [...data])
        .filter((value) => value === 5).length,
    ).toBe(4);
  });

  test("a graph reads the same parameters out of them", () => {
    const { weights, scope } = bindParameters(layout);
    expect(Object.keys(weights)).toEqual(layout.vectors.map(({ name }) => name));
    const values = specs.map(({ name, shape, initializer }) => scope.parameter(name, shape, initializer));
    expect(values.map(({ shape }) => shape)).toEqual(specs.map(({ shape }) => shape));
    const packed = packTensors(layout, tensors());
    const feeds = Object.fromEntries(Object.entries(packed).map(([name, data]) => [`W.${name}`, data]));
    expect(evaluate(values, feeds).map((data) => [...data])).toEqual(
      [...tensors().values()].map(({ data }) => [...data]),
    );
  });

  test("starting values do not depend on the layout", () => {
    const other = createLayout(specs.toReversed(), {
      groupOf: () => ({ name: "all", decay: true, lrScale: 1 }),
    });
    const [mine, theirs] = [layout, other].map((it) =>
      unpackTensors(it, initialVectors(it, createRandom(3))),
    );
    expect(Object.fromEntries(mine ?? [])).toEqual(Object.fromEntries(theirs ?? []));
    const reseeded = unpackTensors(layout, initialVectors(layout, createRandom(4)));
    expect(reseeded.get("a.weight")?.data).not.toEqual(mine?.get("a.weight")?.data);
    expect(reseeded.get("a.weight")?.data).not.toEqual(reseeded.get("c.weight")?.data.subarray(0, 6));
  });
});

describe("buffers", () => {
  const withBuffers: ParameterSpec[] = [
    ...specs,
    { name: "bn.running_mean", shape: [2], initializer: { kind: "zeros" }, buffer: true },
    { name: "bn.running_var", shape: [2], initializer: { kind: "ones" }, buffer: true },
  ];
  const layout = createLayout(withBuffers, { groupOf });
  const named = (name: string, data: number[]): [string, { shape: number[]; data: Float32Array }] => [
    name,
    { shape: [data.length], data: Float32Array.from(data) },
  ];
  const all = new Map([
    ...tensors(),
    named("bn.running_mean", [1, 2]),
    named("bn.running_var", [3, 4]),
    named("bn.num_batches_tracked", [7]),
  ]);

  test("lie in a vector of their own, which is not trained and does not count", () => {
    expect(describeVectors(layout).at(-1)).toEqual(["buffers", ["bn.running_mean@0", "bn.running_var@2"], 4]);
    expect(layout.parameters).toBe(17);
    expect(trainedVectors(layout).map(({ name }) => name)).toEqual(["decay", "noDecay"]);
    expect(frozenVectors(layout).map(({ group }) => group)).toEqual([
      { name: "buffers", decay: false, lrScale: 0, frozen: true },
    ]);
  });

  test("start, load and save as parameters do; PyTorch's counter of batches is left out", () => {
    expect([...(initialVectors(layout, createRandom(0))["buffers"] ?? [])]).toEqual([0, 0, 1, 1]);
    const packed = packTensors(layout, all);
    expect([...(packed["buffers"] ?? [])]).toEqual([1, 2, 3, 4]);
    const saved = unpackTensors(layout, packed);
    expect([...saved.keys()].toSorted()).toEqual(withBuffers.map(({ name }) => name).toSorted());
  });

  test("are required of a checkpoint", () => {
    const few = new Map(all);
    few.delete("bn.running_var");
    expect(thrownBy(() => checkTensors(layout, few)).missing).toEqual(["bn.running_var"]);
  });

  test("become what a pass made of them, or stay", () => {
    const { values, scope, weights } = bindParameters(layout);
    const mean = scope.buffer("bn.running_mean", [2], { kind: "zeros" });
    const vector = at(frozenVectors(layout), 0);
    const weight = weights[vector.name] ?? mean;
    const next = nextVector(vector, { weight, values, updates: new Map([[mean, mul(mean, 10)]]) });
    expect(nextVector(vector, { weight, values, updates: new Map() })).toBe(weight);
    const packed = Object.entries(packTensors(layout, all)).map(([name, data]) => [`W.${name}`, data]);
    expect([...(evaluate([next], Object.fromEntries(packed))[0] ?? [])]).toEqual([10, 20, 3, 4]);
    expect(
      thrownBy(() => nextVector(vector, { weight, values: new Map(), updates: new Map() })).missing,
    ).toEqual(["bn.running_mean"]);
  });
});

describe("a checkpoint that does not fit", () => {
  const layout = createLayout(specs, { groupOf });

  test("names what is missing, unexpected and of another shape", () => {
    const wrong = tensors();
    wrong.delete("a.bias");
    wrong.set("extra", { shape: [1], data: new Float32Array(1) });
    wrong.set("c.weight", { shape: [4], data: new Float32Array(4) });
    const error = thrownBy(() => checkTensors(layout, wrong));
    expect(error.missing).toEqual(["a.bias"]);
    expect(error.unexpected).toEqual(["extra"]);
    expect(error.message).toContain("missing: a.bias");
    expect(error.message).toContain("unexpected: extra");
    expect(error.message).toContain("c.weight: got [4], expected [2, 2]");
    expect(() => packTensors(layout, wrong)).toThrow(CheckpointError);
  });

  test("lists the first five of many", () => {
    const many = new Map(tensors());
    for (let i = 0; i < 8; i++) many.set(`extra.${i}`, { shape: [1], data: new Float32Array(1) });
    expect(thrownBy(() => checkTensors(layout, many)).message).toContain("extra.4; and 3 more");
  });

  test("a vector or a parameter that is not there", () => {
    expect(thrownBy(() => unpackTensors(layout, {})).missing).toEqual(["decay"]);
    const { scope } = bindParameters(layout);
    expect(() => scope.at("d").parameter("weight", [1], { kind: "zeros" })).toThrow(
      /the layout has no parameter d.weight/,
    );
  });
});

function thrownBy(call: () => unknown): CheckpointError {
  try {
    call();
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
