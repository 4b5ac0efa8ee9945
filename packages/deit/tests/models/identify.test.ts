/** Weights find their model. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { architectureOf } from "../../src/formats/architecture.ts";
import type { Architecture } from "../../src/formats/architecture.ts";
import { openSafetensors } from "../../src/formats/safetensors-file.ts";
import { assumptionsOf, identifyConvnets, identifyModel } from "../../src/models/identify.ts";
import type { Model } from "../../src/models/registry.ts";
import { createDeit, createModel, listModels, modelOf } from "../../src/models/registry.ts";

const identifyConvnet = (
  tensors: Parameters<typeof identifyConvnets>[0],
): ReturnType<typeof identifyConvnets>[number] | undefined => identifyConvnets(tensors)[0];

const shapesOf = ({ parameters }: Model): Map<string, { shape: readonly number[] }> =>
  new Map(parameters.map(({ name, shape }) => [name, { shape }]));
function dimsOf(model: Model): Architecture {
  const found = architectureOf(shapesOf(model));
  if (found === undefined) throw new Error(`${model.name} was not recognised`);
  return found;
}
const names = listModels().map(({ name }) => name);
const isTransformer = (name: string): boolean => createModel(name).transformer !== undefined;

// DeiT-Ti and -S for 384 pixels are registered too, so a size tells the two apart
test.each(names.filter(isTransformer))("%s", (name) => {
  const model = createModel(name);
  const found = identifyModel(dimsOf(model), { name });
  expect([found.name, found.config]).toEqual([name, model.config]);
  // AugReg's with patches of 16 pixels have DeiT's tensors
  const unnamed =
    /^vit_\w+?_patch16_\d+$/.test(name) && !name.includes("_avg_") ? name.replace("vit", "deit") : name;
  expect(identifyModel(dimsOf(model)).name).toBe(unnamed);
});

test.each(names.filter((name) => !isTransformer(name)))("%s", (name) => {
  const found = identifyConvnet(shapesOf(createModel(name, { numClasses: 7 })));
  const expected = name === "regnety_002_32" ? "regnety_002" : name; // they differ in their strides alone
  expect([found?.name, found?.config.numClasses]).toEqual([expected, 7]);
});

test("a registered model with other classes and another size", () => {
  const model = createDeit("deit_small_distilled_patch16_224", { numClasses: 37, inputSize: 160 });
  const found = identifyModel(dimsOf(model));
  expect([found.name, found.config]).toEqual([model.name, model.config]);
  const wide = createDeit("deit_tiny_patch16_224", { inputSize: [160, 256] });
  expect(identifyModel(dimsOf(wide), { inputSize: [160, 256] }).config).toEqual(wide.config);
  expect(identifyModel({ ...dimsOf(model), numClasses: 0 }).config.numClasses).toBe(1000);
  expect(identifyModel({ ...dimsOf(model), numClasses: 0 }, { numClasses: 3 }).config.numClasses).toBe(3);
});

test("dimensions that no registered model has", () => {
  const dims = { embedDim: 128, depth: 3, patchSize: 8, mlpRatio: 3, distilled: true } as const;
  const model = modelOf("x", { ...dims, numHeads: 2, numClasses: 5, inputSize: [64, 32] });
  const found = identifyModel(dimsOf(model), { inputSize: [64, 32] });
  expect([found.name, found.config]).toEqual(["vit_w128d3h2r3_distilled_patch8_64x32", model.config]);
  // by another number of heads, a registered model's dimensions are no longer its own
  const eight = identifyModel(dimsOf(createDeit("deit_w128d6_patch4_32")), { numHeads: 8 });
  expect([eight.name, eight.config.numHeads]).toEqual(["vit_w128d6h8_patch4_32", 8]);
});

test.each([
  [{ embedDim: 128, depth: 3, patchSize: 8, mlpRatio: 3, distilled: true }, [64, 32]],
  [{ embedDim: 64, depth: 2, patchSize: 8, mlpRatio: 4, distilled: false }, [32, 32]],
  [{ embedDim: 192, depth: 12, patchSize: 16, mlpRatio: 8 / 3, distilled: false }, [224, 224]],
  [{ embedDim: 1408, depth: 40, patchSize: 14, mlpRatio: 48 / 11, distilled: false }, [224, 224]],
] as const)("the name of a model that is not registered makes it again: %j", (dims, inputSize) => {
  const model = modelOf("x", { ...dims, numHeads: dims.embedDim / 64, numClasses: 5, inputSize });
  const found = identifyModel(dimsOf(model), { inputSize });
  expect(createModel(found.name, { numClasses: 5 }).config).toEqual(model.config);
  const other = createModel(found.name, { inputSize: [2 * inputSize[0], inputSize[1]] });
  expect(other.config).toMatchObject({ numClasses: 1000, inputSize: [2 * inputSize[0], inputSize[1]] });
});

test.each(["vit_w0d2h1_patch8_32", "vit_w64d2_patch8_32", "vit_w64d2h1_patch8", "vit_w64d99999h1_patch8_32"])(
  "%s is the name of no model",
  (name) => {
    expect(() => createModel(name)).toThrow(expect.objectContaining({ code: "model/unknown-name" }));
  },
);

describe("what cannot be determined", () => {
  const dims = dimsOf(
    modelOf("x", { ...createDeit("deit_tiny_patch16_224").config, embedDim: 96, numHeads: 2 }),
  );
  test.each<[string, () => unknown, string, RegExp]>([
    ["heads", () => identifyModel(dims), "numHeads", /width 96 do not determine the number of heads/],
    [
      "the size",
      () => identifyModel({ ...dims, inputSize: undefined, numPatches: 6 }),
      "inputSize",
      /6 patches of 16 pixels, which make no square/,
    ],
    [
      "another size",
      () => identifyModel({ ...dims, inputSize: undefined, numPatches: 6 }, { inputSize: [16, 32] }),
      "inputSize",
      /nor 16×32 pixels/,
    ],
    [
      "no multiple of the patch",
      () => identifyModel({ ...dims, inputSize: undefined, numPatches: 6 }, { inputSize: [33, 50] }),
      "inputSize",
      /nor 33×50/,
    ],
  ])("%s", (_, identify, path, message) => {
    expect(identify).toThrow(ConfigError);
    expect(identify).toThrow(message);
    expect(identify).toThrow(expect.objectContaining({ path }));
  });
  test("a size that does not fit gives way to the weights' own", () => {
    expect(
      identifyModel(dimsOf(createDeit("deit_tiny_patch16_224")), { inputSize: [384, 384] }).config.inputSize,
    ).toEqual([224, 224]);
  });
  test("a convnet of no registered kind", () => {
    const shapes = shapesOf(createModel("resnet20_cifar"));
    expect(identifyConvnet(new Map([...shapes, ["more", { shape: [1] }]]))).toBeUndefined();
    expect(identifyConvnet(new Map([...shapes, ["bn1.num_batches_tracked", { shape: [] }]]))?.name).toBe(
      "resnet20_cifar",
    );
    expect(identifyConvnet(new Map())).toBeUndefined();
  });
});

const data = new URL("../../../../../shared/data/", import.meta.url);
test.skipIf(!existsSync(data))("real weights (skipped without ../shared/data)", async () => {
  await using deit = await openSafetensors(
    fileURLToPath(new URL("deit_tiny_patch16_224/model.safetensors", data)),
  );
  const dims = architectureOf(deit.tensors);
  expect(dims && identifyModel(dims).name).toBe("deit_tiny_patch16_224");
  await using resnet = await openSafetensors(
    fileURLToPath(new URL("resnet56_cifar10/model.safetensors", data)),
  );
  expect(architectureOf(resnet.tensors)).toBeUndefined();
  expect(identifyConvnet(resnet.tensors)?.name).toBe("resnet56_cifar");
});

describe("what shapes do not say is said to be assumed:", () => {
  test("heads, but for those of all published DeiTs; strides", () => {
    const deit = (name: string): string | undefined => {
      const { parameters } = createModel(name);
      const dims = architectureOf(new Map(parameters.map((parameter) => [parameter.name, parameter])));
      if (dims === undefined) throw new Error("no architecture");
      return assumptionsOf(identifyModel(dims));
    };
    expect(deit("deit_small_patch16_224")).toBeUndefined();
    expect(deit("deit_w64d4_patch4_32")).toMatch(
      /do not determine the number of attention heads.* assumed 2, 32 wide/,
    );
    const regnet = identifyConvnets(shapesOf(createModel("regnety_002_32")));
    expect(assumptionsOf(regnet)).toMatch(/assumed regnety_002 \(--model regnety_002_32 takes the other\)/);
    expect(assumptionsOf(identifyConvnets(shapesOf(createModel("resnet20_cifar"))))).toBeUndefined();
  });
});
