/**
 * Vision transformers with the parts of DeiT III, DINOv2 and AugReg against timm's, computed in float64: logits, what the
 * head reads, every gradient; weights under their authors' names; sizes of all registered ones. Recorded by
 * tests/golden/vits/record.py.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { traceIntermediates, FEATURES } from "../../src/evaluation/intermediates.ts";
import { architectureOf } from "../../src/formats/architecture.ts";
import { readHuggingFaceConfig } from "../../src/formats/huggingface.ts";
import { timmView } from "../../src/formats/key-maps.ts";
import { toFloat32 } from "../../src/formats/safetensors.ts";
import { gradient } from "../../src/graph/gradient.ts";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { optimizeOutputs } from "../../src/graph/passes/forward.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { dimensionName } from "../../src/models/dimension-names.ts";
import { identifyModel } from "../../src/models/identify.ts";
import { countParameters, createDeit, createModel, modelOf } from "../../src/models/registry.ts";
import type { VisionTransformer } from "../../src/models/registry.ts";
import { softTargetCrossEntropy } from "../../src/nn/losses.ts";
import { createScope, initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";
import { memoryFile, outputs, readAll, storedTensors } from "../formats/huggingface-models.ts";
import { expectClose, feedsFor } from "../graph/compare.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededImages, seededParameter, seededTensor, unpack } from "../helpers/seeded.ts";

interface Recording {
  readonly args: { readonly img_size: number; readonly patch_size: number };
  readonly labels: readonly number[];
  readonly logits: PackedTensor;
  readonly features: PackedTensor;
  readonly loss: number;
  readonly gradients: Readonly<
    Record<
      string,
      { shape: readonly number[]; norm: number; at: readonly number[]; values: readonly number[] }
    >
  >;
}
interface Original {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly logits: PackedTensor;
}

const read = (name: string): string =>
  readFileSync(new URL(`../golden/vits/${name}`, import.meta.url), "utf8");
const golden: {
  dim: number;
  classes: number;
  batchSize: number;
  cases: Record<string, Recording>;
  original: Record<string, Original>;
  transformers: Record<string, Omit<Original, "logits"> & { config: object; token: PackedTensor }>;
} = JSON.parse(read("small.json"));
const { dim, classes, batchSize } = golden;
const counts: Record<string, { parameters: number; tensors: Record<string, readonly number[]> }> = JSON.parse(
  read("counts.json"),
);

/** The recorded model, found by the names and shapes of its tensors alone. */
function modelOfCase({ gradients }: Recording): VisionTransformer {
  const dims = architectureOf(new Map(Object.entries(gradients)));
  if (dims === undefined) throw new Error("not recognised");
  return identifyModel(dims, { numHeads: 2 });
}

/** Everything that was recorded of a model. */
function traced(model: VisionTransformer, { labels }: Recording): Record<string, Value> {
  const parameters = new Map(
    model.parameters.map(({ name, shape }) => [name, input(name, "float32", shape)]),
  );
  const images = input("images", "float32", [batchSize, 3, ...model.config.inputSize]);
  const scope = createScope(({ name }) => parameters.get(name) ?? images);
  const inside = traceIntermediates(model, images, scope);
  const targets = input("targets", "float32", [labels.length, classes]);
  const forward = optimizeOutputs({
    loss: softTargetCrossEntropy(inside.heads.class, targets),
    logits: inside.heads.class,
    ...FEATURES.outputs(inside),
  });
  const [loss] = Object.values(forward);
  if (loss === undefined) throw new Error("no loss");
  const grads = gradient(loss, [...parameters.values()]);
  const named = [...parameters.keys()].map((name, i) => [`gradient of ${name}`, grads[i] ?? loss] as const);
  return { ...forward, ...Object.fromEntries(named) };
}

function feedsOf(
  model: VisionTransformer,
  { labels }: Pick<Recording, "labels">,
): Record<string, Float32Array> {
  const size = batchSize * 3 * sizeOf(model.config.inputSize);
  return {
    images: seededTensor("images", size, seededImages),
    targets: smoothTargets(Int32Array.from(labels), classes, 0),
    ...Object.fromEntries(
      model.parameters.map(({ name, shape }) => [name, seededParameter(name, shape, dim)]),
    ),
  };
}

function expectRecorded(
  found: ReadonlyMap<string, ArrayLike<number | bigint>>,
  { logits, features, loss, gradients }: Recording,
  tolerance: number,
): void {
  const of = (name: string): ArrayLike<number | bigint> => found.get(name) ?? [];
  expectClose(of("loss"), [loss], { tolerance, name: "loss" });
  expectClose(of("logits"), unpack(logits), { tolerance, name: "logits" });
  expectClose(of("features"), unpack(features), { tolerance, name: "features" });
  for (const [name, { shape, norm, at, values }] of Object.entries(gradients)) {
    const grad = Array.from(of(`gradient of ${name}`), Number);
    expect(grad.length, name).toBe(sizeOf(shape));
    expectClose([Math.hypot(...grad)], [norm], { tolerance, name: `norm of the gradient of ${name}` });
    const scale = norm / Math.sqrt(grad.length);
    for (const [i, index] of at.entries())
      expect(
        Math.abs((grad[index] ?? Number.NaN) - (values[i] ?? 0)) / scale,
        `gradient of ${name} at ${index}`,
      ).toBeLessThan(10 * tolerance);
  }
}

describe.each(Object.entries(golden.cases))("%s", (_, recorded) => {
  const model = modelOfCase(recorded);

  test("has timm's tensors", () => {
    const ours = Object.fromEntries(model.parameters.map(({ name, shape }) => [name, shape]));
    const theirs = Object.entries(recorded.gradients).map(([name, { shape }]) => [name, shape]);
    expect(ours).toEqual(Object.fromEntries(theirs));
  });

  test("its name makes it again", () => {
    expect(model.name).toBe(dimensionName(model.config));
    expect(createModel(model.name, { numClasses: classes }).config).toEqual(model.config);
  });

  test("the interpreter's logits, features and gradients equal timm's", () => {
    const all = traced(model, recorded);
    const results = evaluate(Object.values(all), feedsOf(model, recorded));
    expectRecorded(new Map(Object.keys(all).map((name, i) => [name, results[i] ?? []])), recorded, 1e-6);
  });

  describe("on the CPU", () => {
    let runtime: Runtime;
    beforeAll(async () => {
      runtime = await sharedRuntime("cpu");
    });

    test("logits, features and gradients equal timm's to 1e-4", async () => {
      const program = compile({ name: model.name, target: runtime.target, outputs: traced(model, recorded) });
      const executable = await runtime.load(program);
      const results = await executable.run(feedsFor(program, feedsOf(model, recorded)));
      await executable.release();
      expectRecorded(new Map(Object.entries(results)), recorded, 1e-4);
    });
  });
});

/** A file with a recorded model's tensors under their own names, seeded by these. */
function seededFile(shapes: Original["shapes"]): ReturnType<typeof timmView> {
  const tensors = Object.entries(shapes).map(
    ([name, shape]) => [name, { shape, data: seededParameter(name, shape, dim) }] as const,
  );
  return timmView(memoryFile(storedTensors(new Map(tensors))));
}

test.each(Object.entries(golden.original))("%s in its authors' names", async (_, { shapes, logits }) => {
  const view = seededFile(shapes);
  expect(view.names).toBe("timm");
  expect(view.ignored).toEqual("mask_token" in shapes ? ["mask_token"] : []);
  const dims = architectureOf(view.tensors);
  if (dims === undefined) throw new Error("not recognised");
  const model = identifyModel(dims, { numHeads: 2 });
  const tensors = await readAll(view);
  expect([...tensors.keys()].toSorted()).toEqual(model.parameters.map(({ name }) => name).toSorted());
  expectClose(outputs(model, tensors).class, unpack(logits), { tolerance: 1e-6 });
});

test.each(Object.entries(golden.transformers))("transformers' %s", async (_, { config, shapes, token }) => {
  const { dims, inputSize } = readHuggingFaceConfig(JSON.stringify(config));
  const view = seededFile(shapes);
  expect(view.names).toBe("huggingface");
  const found = architectureOf(view.tensors);
  if (found === undefined || dims === undefined) throw new Error("not recognised");
  expect(found).toMatchObject({ embedDim: dims.embedDim, depth: dims.depth, patchSize: 14, numClasses: 0 });
  const model = identifyModel(found, { numHeads: dims.numHeads, inputSize, numClasses: 3 });
  const head = zeroHead(3);
  const tensors = new Map([...(await readAll(view)), ...head]);
  expectClose(outputs(model, tensors).token, unpack(token), { tolerance: 1e-6 });
});

function zeroHead(numClasses: number): [string, { shape: readonly number[]; data: Float32Array }][] {
  return [
    ["head.weight", { shape: [numClasses, dim], data: new Float32Array(numClasses * dim) }],
    ["head.bias", { shape: [numClasses], data: new Float32Array(numClasses) }],
  ];
}

test("raw tensors with a class token's position are the same numbers", async () => {
  const view = seededFile(golden.original["dinov2_reg4"]?.shapes ?? {});
  for (const name of ["cls_token", "pos_embed", "blocks.0.ls1.gamma"]) {
    const stored = await view.read(name);
    const { shape, data } = await view.readFloat32(name);
    expect([stored.dtype, stored.shape]).toEqual(["F32", shape]);
    expect(toFloat32(stored)).toEqual(data);
  }
});

test.each(Object.entries(counts))("%s has timm's tensors and parameters", (name, { parameters, tensors }) => {
  const model = createModel(name);
  expect(countParameters(model)).toBe(parameters);
  const outside = model.parameters.filter(({ name: own }) => !/^blocks\.(?!0\.)/.test(own));
  expect(Object.fromEntries(outside.map(({ name: own, shape }) => [own, shape]))).toEqual(tensors);
});

test("the class token's mean form has timm's names for global_pool avg", () => {
  const names = createModel("vit_small_avg_patch16_224").parameters.map(({ name }) => name);
  expect(names).toContain("fc_norm.weight");
  expect(names).not.toContain("norm.weight");
  expect(countParameters(createModel("vit_small_avg_patch16_224"))).toBe(22_050_664);
});

describe("training", () => {
  const model = createModel("deit3_small_patch16_224");

  test("factors start at 1e-4, and are not decayed", () => {
    const { vectors } = modelLayout(model);
    const group = vectors.find(({ segments }) =>
      segments.some(({ name }) => name === "blocks.0.ls1.gamma"),
    )?.group;
    expect(group?.decay).toBe(false);
    const layout = modelLayout(createModel("vit_w32d1h1_ls_pp_patch8_16", { numClasses: 2 }));
    const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0)));
    expect([...new Set(tensors.get("blocks.0.ls2.gamma")?.data)]).toEqual([Math.fround(1e-4)]);
  });

  test("all blocks drop at the same rate", () => {
    expect(new Set(model.dropPathRates(0.05))).toEqual(new Set([0.05]));
    expect(model.dropPathRates(0.05).length).toBe(24);
  });
});

test("no distillation token beside registers or a mean", () => {
  const { config } = createDeit("deit_w64d4_distilled_patch4_32");
  expect(() => modelOf("m", { ...config, registers: 4 })).toThrow(/neither registers/);
  expect(() => modelOf("m", { ...config, pooling: "average" })).toThrow(/neither registers/);
});
