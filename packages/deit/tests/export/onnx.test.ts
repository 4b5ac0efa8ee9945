/** The deployed file: any batch size, the same answers, images prepared inside. */
import { beforeAll, describe, expect, test } from "vitest";
import * as ort from "onnxruntime-node";
import { createTransform } from "../../src/augmentation/transform.ts";
import type { RgbImage } from "../../src/augmentation/rgb-image.ts";
import { writePlanar } from "../../src/augmentation/rgb-image.ts";
import { IMAGENET_NORMALISATION } from "../../src/augmentation/normalisation.ts";
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import { deployedModel, OPSETS } from "../../src/export/onnx.ts";
import { deployedProgram } from "../../src/models/deploy.ts";
import type { Model } from "../../src/models/registry.ts";
import { createModel, modelOf } from "../../src/models/registry.ts";
import type { Tensors } from "../../src/nn/parameters.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";

function weightsOf(model: Model): Tensors {
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(7)));
  // heads start at zero or near it: answers that differ are wanted
  const random = createRandom(8);
  for (const [name, { data }] of tensors)
    if (name.startsWith("head") || name === "dist_token")
      for (let i = 0; i < data.length; i++) data[i] = random.normal(0, 0.5);
  return tensors;
}

const loadedOf = (model: Model): Parameters<typeof deployedModel>[0] => ({
  model,
  tensors: weightsOf(model),
  preprocessing: completePreprocessing(model.config.inputSize),
  metadata: { classes: ["a", "b", "c"] },
});

async function run(model: Uint8Array, feeds: Record<string, ort.Tensor>): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const { logits } = await session.run(feeds);
  await session.release();
  return logits?.data as Float32Array;
}

const pixels = (batch: number, [height, width]: readonly [number, number]): ort.Tensor =>
  new ort.Tensor(
    "float32",
    Float32Array.from({ length: batch * 3 * height * width }, (_, i) => Math.sin(i * 0.7)),
    [batch, 3, height, width],
  );

const SMALL = { embedDim: 32, numHeads: 2, depth: 2, patchSize: 8, mlpRatio: 4, numClasses: 3 } as const;
const MODELS: readonly (readonly [string, () => Model])[] = [
  ["plain", () => modelOf("small", { ...SMALL, distilled: false, inputSize: [32, 32] })],
  ["distilled, not square", () => modelOf("small", { ...SMALL, distilled: true, inputSize: [32, 48] })],
  ["RegNetY", () => createModel("regnety_w32d9_32", { numClasses: 3 })],
  ["ResNet", () => createModel("resnet20_cifar", { numClasses: 3 })],
];

describe.each(MODELS)("%s", (_, create) => {
  const model = create();
  const loaded = loadedOf(model);
  const size = model.config.inputSize;
  let bytes: Uint8Array = new Uint8Array();
  beforeAll(() => {
    bytes = deployedModel(loaded);
  });

  test.each([1, 2, 5])("answers a batch of %i as the program for that batch does", async (batch) => {
    const feeds = { pixel_values: pixels(batch, size) };
    const fixed = deployedProgram(model, loaded.tensors, { batchSize: batch, target: "portable" }).model;
    const [found, expected] = [await run(bytes, feeds), await run(fixed, feeds)];
    expect(found).toHaveLength(batch * 3);
    expect(new Set(expected).size).toBe(expected.length);
    for (const [i, logit] of found.entries()) expect(logit).toBeCloseTo(expected[i] ?? NaN, 5);
  });

  test("says what it is", async () => {
    const session = await ort.InferenceSession.create(bytes);
    expect(session.inputNames).toEqual(["pixel_values"]);
    expect(session.outputNames).toEqual(["logits"]);
    expect(session.inputMetadata).toMatchObject([{ type: "float32", shape: ["batch", 3, ...size] }]);
    expect(session.outputMetadata).toMatchObject([{ type: "float32", shape: ["batch", 3] }]);
  });
});

const plain = MODELS[0]?.[1]() ?? createModel("resnet20_cifar");

test.each(OPSETS)("opset %i gives the same answers", async (opset) => {
  const loaded = loadedOf(plain);
  const feeds = { pixel_values: pixels(2, [32, 32]) };
  expect(await run(deployedModel(loaded, { opset }), feeds)).toEqual(await run(deployedModel(loaded), feeds));
});

test("other opsets are refused", () => {
  expect(() => deployedModel(loadedOf(plain), { opset: 17 })).toThrow(
    /opset 17: one of 20, 21, 22, 23 was expected/,
  );
});

describe.each([{ size: [64, 96] }, { size: [32, 24] }] as const)(
  "with the preparation of images inside, for $size pixels",
  ({ size }) => {
    const model = modelOf("small", { ...SMALL, distilled: false, inputSize: size });
    const loaded = loadedOf(model);
    const bytes = deployedModel(loaded, { preprocessing: true });

    test.each([
      [100, 140],
      [70, 300],
      [201, 99],
      [64, 96],
      [32, 24],
    ])("an image of %i × %i pixels is answered as after evaluation's own", async (height, width) => {
      const random = createRandom(height);
      const wave = [random.uniform(0, 0.2), random.uniform(0, 0.2), random.uniform(0, 6)] as const;
      const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => {
        const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
        return 127.5 + 120 * Math.sin(wave[0] * x + wave[1] * y + wave[2] * (i % 3));
      });
      const image: RgbImage = { width, height, data };
      const transform = createTransform({ mode: "evaluation", size, cropRatio: 0.875 });
      const planar = new Uint8Array(3 * size[0] * size[1]);
      writePlanar(transform.apply(image, transform.draw(createRandom(0), width, height)), planar);
      const { mean, std } = IMAGENET_NORMALISATION;
      const values = Float32Array.from(planar, (value, i) => {
        const channel = Math.floor(i / (size[0] * size[1]));
        return (value / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
      });
      const images = new ort.Tensor("uint8", Uint8Array.from([...data, ...data]), [2, height, width, 3]);
      const found = await run(bytes, { images });
      const expected = await run(deployedModel(loaded), {
        pixel_values: new ort.Tensor("float32", values, [1, 3, ...size]),
      });
      expect(found).toHaveLength(6);
      for (const [i, logit] of found.entries()) expect(logit).toBeCloseTo(expected[i % 3] ?? NaN, 1.5);
    });
  },
);
