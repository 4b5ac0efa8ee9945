/** Linear layers in integers: close to the float model, a quarter of its size, the same inputs and outputs. */
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import { CheckpointError, DeitError } from "../../src/errors.ts";
import { deployedModel } from "../../src/export/onnx.ts";
import { constant, input } from "../../src/graph/graph.ts";
import { add } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { calibrate } from "../../src/interop/calibrate.ts";
import { openOnnx } from "../../src/interop/onnx-edit.ts";
import { linearLayers, toInt8 } from "../../src/interop/quantize.ts";
import type { VisionTransformer } from "../../src/models/registry.ts";
import { modelOf } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";

const MODEL: VisionTransformer = modelOf("small", {
  embedDim: 64,
  numHeads: 2,
  depth: 3,
  patchSize: 8,
  mlpRatio: 4,
  numClasses: 7,
  distilled: true,
  inputSize: [32, 32],
});

function deployed(changed: (name: string, data: Float32Array) => void = () => {}): Uint8Array {
  const layout = modelLayout(MODEL);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(3)));
  for (const [name, { data }] of tensors) changed(name, data);
  return deployedModel({
    model: MODEL,
    tensors,
    preprocessing: completePreprocessing(MODEL.config.inputSize),
    metadata: {},
  });
}

const random = createRandom(1);
const images = (count: number): ort.Tensor =>
  new ort.Tensor(
    "float32",
    Float32Array.from({ length: count * 3 * 32 * 32 }, () => random.normal()),
    [count, 3, 32, 32],
  );

async function* batches(count: number): AsyncGenerator<Record<string, ort.Tensor>> {
  for (let i = 0; i < count; i++) yield { pixel_values: images(4) };
}

async function answer(bytes: Uint8Array, pixels: ort.Tensor): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const { logits } = await session.run({ pixel_values: pixels });
  await session.release();
  return logits?.data as Float32Array;
}

/** Root mean square of the difference, by that of the answers. */
function error(found: Float32Array, expected: Float32Array): number {
  const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value ** 2, 0);
  return Math.sqrt(square(found.map((value, i) => value - (expected[i] ?? NaN))) / square(expected));
}

const whole = deployed();

describe("int8", () => {
  test("finds every linear layer: patches, four in a block, both heads", () => {
    expect(linearLayers(openOnnx(whole)).length).toBeGreaterThanOrEqual(1 + 4 * 3 + 2);
  });

  test("answers nearly as in float32, with ranges and without, for any batch", async () => {
    const ranges = await calibrate(whole, batches(4));
    const names = new Set(linearLayers(openOnnx(whole)).map(({ activation }) => activation));
    expect(new Set(Object.keys(ranges))).toEqual(names);
    for (const { min, max } of Object.values(ranges)) expect(max).toBeGreaterThan(min);
    const pixels = images(5);
    const expected = await answer(whole, pixels);
    for (const small of [toInt8(whole, { ranges }), toInt8(whole)]) {
      expect(small.byteLength).toBeLessThan(0.45 * whole.byteLength); // much of so small a model is not a weight
      expect(error(await answer(small, pixels), expected)).toBeLessThan(0.06);
    }
  });

  test("keeps neighbouring weights within 16 bits: their sum times 255 does not overflow", async () => {
    const small = openOnnx(
      toInt8(deployed((name, data) => void (name.endsWith("weight") && data.fill(0.5)))),
    );
    const weights = [...small.constants.values()].filter(
      ({ dataType, dims }) => dataType === 3 && dims.length === 2,
    );
    expect(weights.length).toBeGreaterThan(10);
    for (const { rawData, dims } of weights) {
      const values = new Int8Array(Uint8Array.from(rawData).buffer);
      const [inputs = 0, outputs = 0] = dims.map(Number);
      for (let input = 0; input + 1 < inputs; input += 2)
        for (let output = 0; output < outputs; output++)
          expect(
            Math.abs(
              (values[input * outputs + output] ?? 0) + (values[(input + 1) * outputs + output] ?? 0),
            ) * 255,
          ).toBeLessThan(2 ** 15);
    }
  });

  test("layers of zeros stay zeros", async () => {
    const silent = deployed((name, data) => void (name.startsWith("head") && data.fill(0)));
    expect([...(await answer(toInt8(silent), images(1)))]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });
});

describe("refused:", () => {
  test("weights that are not finite, models without linear layers, no images to calibrate with", async () => {
    const broken = deployed((name, data) => void (name === "head.weight" && data.fill(NaN, 0, 1)));
    expect(() => toInt8(broken)).toThrow(CheckpointError);
    const sum = add(input("pixel_values", "float32", [1, 4]), constant(Float32Array.of(1, 2, 3, 4), [4]));
    const nothing = compile({ name: "sum", target: "portable", outputs: { logits: sum } }).model;
    expect(() => toInt8(nothing)).toThrow(/no linear layers/);
    await expect(calibrate(whole, batches(0))).rejects.toThrow(/no images to calibrate with/);
  });

  test("activations that are not finite", async () => {
    async function* hot(): AsyncGenerator<Record<string, ort.Tensor>> {
      const data = Float32Array.from({ length: 3 * 32 * 32 }, () => Infinity);
      yield { pixel_values: new ort.Tensor("float32", data, [1, 3, 32, 32]) };
    }
    await expect(calibrate(whole, hot())).rejects.toThrow(DeitError);
  });
});
