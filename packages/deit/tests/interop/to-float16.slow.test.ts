/** Models in float16: the same answers to three digits, half the bytes, the same inputs and outputs. */
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import { CheckpointError, FormatError } from "../../src/errors.ts";
import { deployedModel } from "../../src/export/onnx.ts";
import { toFloat16 } from "../../src/interop/to-float16.ts";
import type { Model } from "../../src/models/registry.ts";
import { createModel, modelOf } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";

const SMALL = { embedDim: 64, numHeads: 2, depth: 3, patchSize: 8, mlpRatio: 4, numClasses: 7 } as const;

function deployed(
  model: Model,
  changed: (name: string, data: Float32Array) => void = () => {},
  preprocessing = false,
): Uint8Array {
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(3)));
  for (const [name, { data }] of tensors) changed(name, data);
  return deployedModel(
    { model, tensors, preprocessing: completePreprocessing(model.config.inputSize), metadata: {} },
    { preprocessing },
  );
}

async function answer(bytes: Uint8Array, feeds: Record<string, ort.Tensor>): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const { logits } = await session.run(feeds);
  await session.release();
  return logits?.data as Float32Array;
}

/** Heads with something to say. */
const loud = (name: string, data: Float32Array): void => {
  if (name.startsWith("head") || name.startsWith("fc"))
    for (const [i, value] of data.entries()) data[i] = 20 * value;
};

describe.each([
  ["plain", modelOf("small", { ...SMALL, distilled: false, inputSize: [32, 32] })],
  ["distilled", modelOf("small", { ...SMALL, distilled: true, inputSize: [32, 32] })],
  ["convnet", createModel("regnety_w32d9_32", { numClasses: 7 })],
] as const)("%s", (_, model) => {
  test("answers as in float32", async () => {
    const whole = deployed(model, loud);
    const half = toFloat16(whole);
    expect(half.byteLength).toBeLessThan(0.6 * whole.byteLength);
    const random = createRandom(1);
    const data = Float32Array.from({ length: 2 * 3 * 32 * 32 }, () => random.normal());
    const feeds = { pixel_values: new ort.Tensor("float32", data, [2, 3, 32, 32]) };
    const [expected, found] = [await answer(whole, feeds), await answer(half, feeds)];
    expect(found).toBeInstanceOf(Float32Array);
    const scale = Math.max(...expected.map(Math.abs));
    for (const [i, logit] of found.entries())
      expect(Math.abs(logit - (expected[i] ?? NaN))).toBeLessThan(0.01 * scale);
  });
});

test("the preparation of images stays what it is", async () => {
  const model = modelOf("small", { ...SMALL, distilled: false, inputSize: [32, 32] });
  const whole = deployed(model, loud, true);
  const pixels = Uint8Array.from({ length: 50 * 40 * 3 }, (_, i) => (i * 7919) % 256);
  const feeds = { images: new ort.Tensor("uint8", pixels, [1, 50, 40, 3]) };
  const [expected, found] = [await answer(whole, feeds), await answer(toFloat16(whole), feeds)];
  const scale = Math.max(...expected.map(Math.abs));
  for (const [i, logit] of found.entries())
    expect(Math.abs(logit - (expected[i] ?? NaN))).toBeLessThan(0.05 * scale);
});

test("weights beyond its range are refused, as are bytes that are not a model", () => {
  const model = modelOf("small", { ...SMALL, distilled: false, inputSize: [32, 32] });
  const huge = deployed(model, (name, data) => {
    if (name === "head.bias") data[0] = 1e6;
  });
  expect(() => toFloat16(huge)).toThrow(CheckpointError);
  expect(() => toFloat16(huge)).toThrow(/has a value of 1000000, beyond the 65504 of float16/);
  expect(() => toFloat16(Uint8Array.of(1, 2, 3))).toThrow(FormatError);
});
