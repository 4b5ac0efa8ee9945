/**
 * Dropout and attention dropout: a small vision transformer against timm's with the same masks (recorded by
 * tests/golden/dropout/record.py), and how masks are drawn.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { mul, sum } from "../../src/graph/ops.ts";
import { optimizeOutputs } from "../../src/graph/passes/forward.ts";
import type { Program } from "../../src/graph/program.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { modelOf } from "../../src/models/registry.ts";
import {
  DROP_PATH_INPUT,
  drawMasks,
  dropoutMask,
  isDropoutMask,
  trainingContext,
} from "../../src/nn/context.ts";
import { createScope } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { expectClose, feedsFor } from "../graph/compare.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededImages, seededParameter, seededTensor, unpack } from "../helpers/seeded.ts";

type Recording = Readonly<Record<string, PackedTensor>>;

const file = new URL("../golden/dropout/dropout.json", import.meta.url);
const golden: { drop: number; attnDrop: number } & Record<"both" | "elements" | "attention", Recording> =
  JSON.parse(readFileSync(file, "utf8"));

const batchSize = 2;
const model = modelOf("small", {
  inputSize: [8, 8],
  patchSize: 4,
  numClasses: 3,
  embedDim: 16,
  depth: 2,
  numHeads: 2,
  mlpRatio: 4,
  distilled: false,
});

interface Rates {
  readonly drop?: number;
  readonly attnDrop?: number;
  readonly dropPath?: number;
  readonly target?: "cpu" | "webgpu";
}

/** Logits and the gradient of every parameter, by name. */
function trace({ drop = 0, attnDrop = 0, dropPath = 0 }: Rates): Record<string, Value> {
  const parameters = new Map(
    model.parameters.map(({ name, shape }) => [name, input(name, "float32", shape)]),
  );
  const images = input("images", "float32", [batchSize, 3, 8, 8]);
  const dropPathRates = model.dropPathRates(dropPath);
  const context = trainingContext({ batchSize, dropPathRates, drop, attnDrop });
  const scope = createScope(({ name }) => parameters.get(name) ?? images);
  const traced = model.forward(images, scope, context).class;
  const { logits = traced } = optimizeOutputs({ logits: traced }, { mayShrink: isDropoutMask });
  const loss = sum(mul(logits, input("dy", "float32", [batchSize, 3])));
  const grads = gradient(loss, [...parameters.values()]);
  const byName = [...parameters.keys()].map((name, i) => [`d ${name}`, grads[i] ?? logits] as const);
  return { logits, ...Object.fromEntries(byName) };
}

const programOf = (rates: Rates): Program =>
  compile({ name: "dropout", target: rates.target ?? "cpu", outputs: trace(rates) });

function feeds(program: Program): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(program.inputs).map(([name, { shape }]) => {
      const length = sizeOf(shape);
      if (name === "images") return [name, seededTensor(name, length, seededImages)];
      if (name === "dy") return [name, seededTensor(name, length, { offset: 0, scale: 2 })];
      if (!name.startsWith("dropout.")) return [name, seededParameter(name, shape, 16)];
      const rate = name.endsWith(".attn") ? golden.attnDrop : golden.drop;
      return [name, seededTensor(name, length, { offset: 0.5, scale: 1 }).map((u) => Number(u >= rate))];
    }),
  );
}

const SITES = [
  "embeddings",
  ...[0, 1].flatMap((i) => ["proj", "fc1", "fc2"].map((at) => `blocks.${i}.${at}`)),
];
const ATTENTION_SITES = ["blocks.0.attn", "blocks.1.attn"];

describe.each([
  ["both", { drop: golden.drop, attnDrop: golden.attnDrop }, [...SITES, ...ATTENTION_SITES]],
  ["elements", { drop: golden.drop }, SITES],
  ["attention", { attnDrop: golden.attnDrop }, ATTENTION_SITES],
] as const)("a model with dropout equals timm's: %s", (name, rates, sites) => {
  const program = programOf(rates);
  const given = feeds(program);
  const expectRecorded = (actual: (key: string) => ArrayLike<number>, tolerance: number): void => {
    expect(Object.keys(golden[name]).length).toBe(model.parameters.length + 1);
    for (const [key, packed] of Object.entries(golden[name]))
      expectClose(actual(key === "logits" ? key : `d ${key}`), unpack(packed), { tolerance, name: key });
  };

  test("it has an input a site", () => {
    const masks = Object.keys(program.inputs).filter((key) => key.startsWith("dropout."));
    expect(masks.toSorted()).toEqual(sites.map((site) => `dropout.${site}`).toSorted());
  });

  test("in the interpreter", () => {
    const outputs = trace(rates);
    const results = evaluate(Object.values(outputs), given);
    const byName = new Map(Object.keys(outputs).map((key, i) => [key, results[i] ?? []]));
    expectRecorded((key) => byName.get(key) ?? [], 3e-7);
  });

  describe("on the CPU", () => {
    let runtime: Runtime;
    beforeAll(async () => {
      runtime = await sharedRuntime("cpu");
    });

    test("in float32", async () => {
      const executable = await runtime.load(program);
      const results = await executable.run(feedsFor(program, given));
      await executable.release();
      expectRecorded((key) => Array.from(results[key] ?? [], Number), 2e-5);
    });
  });
});

test("without dropout the program is the one that it was", () => {
  const program = programOf({ drop: 0, attnDrop: 0 });
  expect(Object.keys(program.inputs).toSorted()).toEqual(
    ["images", "dy", ...model.parameters.map(({ name }) => name)].toSorted(),
  );
  const context = trainingContext({ batchSize, dropPathRates: [0] });
  const x = input("x", "float32", [5, 2, 16]);
  expect(context.dropout(x, "here")).toBe(x);
  expect(context.attentionFactors([2, 2, 5, 5], "here")).toBeUndefined();
});

describe("masks", () => {
  const rates = { drop: 0.2, attnDrop: 0.3, dropPath: 0.5 };
  const draw = (step: number, change: Rates = {}): Record<string, Float32Array | Uint8Array> => {
    const { dropPath, ...options } = { ...rates, ...change };
    const random = createRandom(1, "masks", step);
    const dropPathRates = model.dropPathRates(dropPath);
    return drawMasks(programOf({ ...rates, ...change }).inputs, { random, dropPathRates, ...options });
  };

  test.each(["cpu", "webgpu"] as const)("are what the program for %s wants, in bytes", (target) => {
    const program = programOf({ ...rates, target });
    const masks = draw(1);
    expect(Object.keys(masks).toSorted()).toEqual(
      [DROP_PATH_INPUT, ...[...SITES, ...ATTENTION_SITES].map((site) => `dropout.${site}`)].toSorted(),
    );
    for (const [name, mask] of Object.entries(masks)) {
      const { dtype, shape } = program.inputs[name] ?? { dtype: "none", shape: [] };
      expect(mask.length).toBe(sizeOf(shape));
      expect(dtype).toBe(name === DROP_PATH_INPUT ? "float32" : "uint8");
    }
  });

  test("differ from step to step and from place to place, and are the same when drawn again", () => {
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    const { "dropout.blocks.0.proj": a, "dropout.blocks.0.fc2": b } = draw(1);
    expect(a).not.toEqual(b);
  });

  test("one kind switched off leaves the others as they were", () => {
    const [all, some] = [draw(1), draw(1, { attnDrop: 0, dropPath: 0 })];
    expect(Object.keys(some).toSorted()).toEqual(SITES.map((site) => `dropout.${site}`).toSorted());
    for (const [name, mask] of Object.entries(some)) expect(mask).toEqual(all[name]);
  });

  test.each([0.01, 0.1, 0.5, 0.9])("drop each element with probability %d, independently", (rate) => {
    const count = 200_000;
    const mask = dropoutMask(count, rate, createRandom(2, "mask"));
    const dropped = (test: (i: number) => boolean): number =>
      mask.reduce((n, _, i) => n + Number(test(i)), 0);
    const near = (actual: number, of: number, p: number): void =>
      expect(Math.abs(actual / of - p)).toBeLessThanOrEqual(4.5 * Math.sqrt((p * (1 - p)) / of));
    near(
      dropped((i) => mask[i] === 0),
      count,
      rate,
    );
    near(
      dropped((i) => i % 10 === 0 && mask[i] === 0),
      count / 10,
      rate,
    );
    for (const distance of [1, 2, 7]) {
      near(
        dropped((i) => i % 8 === 0 && mask[i] === 0 && mask[i + distance] === 0),
        count / 8,
        rate ** 2,
      );
    }
    expect(dropoutMask(3, rate, createRandom(1)).every((x) => x === 0 || x === 1)).toBe(true);
  });

  test("of rate 0 keep everything", () => {
    expect([...dropoutMask(4, 0, createRandom(1))]).toEqual([1, 1, 1, 1]);
  });

  test("the first element is dropped as often as any", () => {
    const first = Array.from({ length: 5000 }, (_, i) => dropoutMask(1, 0.3, createRandom(3, i))[0] ?? 1);
    const dropped = first.filter((x) => x === 0).length / first.length;
    expect(Math.abs(dropped - 0.3)).toBeLessThan(0.03);
  });
});
