/** Layer-wise learning rates against timm's param_groups_layer_decay; recorded by tests/golden/layer-decay/record.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { constant, input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import type { Model } from "../../src/models/registry.ts";
import { createModel, modelOf } from "../../src/models/registry.ts";
import type { Layout, ParameterSpec } from "../../src/nn/parameters.ts";
import { modelLayout, packTensors, unpackTensors, zeroVectors } from "../../src/nn/parameters.ts";
import { adamW } from "../../src/optim/adamw.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededParameter, seededTensor, unpack } from "../helpers/seeded.ts";

/** Factor of the learning rate, and whether decayed, of each parameter. */
type Groups = Readonly<Record<string, readonly [number, boolean]>>;

const file = new URL("../golden/layer-decay/layer-decay.json", import.meta.url);
const golden: {
  readonly layerDecay: number;
  readonly weightDecay: number;
  readonly learningRates: readonly number[];
  readonly plain: Groups;
  readonly distilled: Groups;
  readonly parameters: Readonly<Record<string, PackedTensor>>;
} = JSON.parse(readFileSync(file, "utf8"));
const { layerDecay } = golden;

describe("groups", () => {
  test.each([
    ["deit_tiny_patch16_224", golden.plain],
    ["deit_tiny_distilled_patch16_224", golden.distilled],
  ])("of %s are timm's", (name, groups) => {
    const layout = modelLayout(createModel(name), { layerDecay });
    expect([...layout.segments.keys()].toSorted()).toEqual(Object.keys(groups).toSorted());
    for (const { group, segments } of layout.vectors) {
      for (const segment of segments) {
        const [scale = Number.NaN, decayed] = groups[segment.name] ?? [];
        expect(group.lrScale, segment.name).toBeCloseTo(scale, 15);
        expect(group.decay, segment.name).toBe(decayed);
      }
    }
    // Layer 0, twelve blocks, the heads: each decayed and not.
    expect(layout.vectors.map(({ name: vector }) => vector)).toHaveLength(28);
    expect(layout.vectors[0]?.name).toBe("noDecay.layer0");
  });

  test("are the two of always without layer decay", () => {
    const model = createModel("deit_w64d4_patch4_32");
    expect(
      modelLayout(model)
        .vectors.map(({ name }) => name)
        .toSorted(),
    ).toEqual(["decay", "noDecay"]);
    expect(modelLayout(model, { layerDecay: 1 })).toEqual(modelLayout(model));
  });
});

const small = modelOf("small", {
  inputSize: [8, 8],
  patchSize: 4,
  numClasses: 3,
  embedDim: 8,
  depth: 2,
  numHeads: 2,
  mlpRatio: 4,
  distilled: true,
});

function pack(
  model: Model,
  layout: Layout,
  draw: (spec: ParameterSpec) => Float32Array,
): Record<string, Float32Array> {
  return packTensors(
    layout,
    new Map(model.parameters.map((spec) => [spec.name, { shape: spec.shape, data: draw(spec) }])),
  );
}

test("ten steps of AdamW equal PyTorch's with timm's groups", () => {
  const layout = modelLayout(small, { layerDecay });
  const optimizer = adamW({ weightDecay: golden.weightDecay });
  let weights = pack(small, layout, ({ name, shape }) => seededParameter(name, shape, 8));
  let moments = optimizer.slots.map(() => zeroVectors(layout));
  for (const [step, lr] of golden.learningRates.entries()) {
    const grads = pack(small, layout, ({ name, shape }) =>
      seededTensor(`${name}.grad.${step}`, sizeOf(shape), { offset: 0, scale: 1 }),
    );
    const next = layout.vectors.map((parameters) => {
      const { name, length, group } = parameters;
      const vector = (kind: string): ReturnType<typeof input> => input(kind, "float32", [length]);
      const updated = optimizer.update({
        weight: vector("W"),
        grad: vector("grad"),
        slots: optimizer.slots.map(vector),
        hyper: optimizer.hyper(step + 1, lr, group).map((x) => constant(Float32Array.of(x), [])),
        vector: parameters,
      });
      const slots = optimizer.slots.map((slot, i) => [slot, moments[i]?.[name] ?? []]);
      const results = evaluate([updated.weight, ...updated.slots], {
        W: weights[name] ?? [],
        grad: grads[name] ?? [],
        ...Object.fromEntries(slots),
      });
      return [name, results.map((values) => Float32Array.from(values))] as const;
    });
    const kept = (i: number): Record<string, Float32Array> =>
      Object.fromEntries(next.map(([name, results]) => [name, results[i] ?? new Float32Array()]));
    weights = kept(0);
    moments = optimizer.slots.map((_, i) => kept(i + 1));
  }
  const tensors = unpackTensors(layout, weights);
  expect(tensors.size).toBe(Object.keys(golden.parameters).length);
  let largest = 0;
  for (const [name, { data }] of tensors) {
    for (const [i, x] of unpack(golden.parameters[name] ?? { shape: [], float32: "" }).entries())
      largest = Math.max(largest, Math.abs((data[i] ?? Number.NaN) - x) / Math.max(1, Math.abs(x)));
  }
  expect(largest).toBeLessThanOrEqual(3e-7); // float32 rounds to 6e-8 of itself, ten times
});
