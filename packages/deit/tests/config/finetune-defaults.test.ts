import { describe, expect, test } from "vitest";
import type { FinetuneFacts } from "../../src/config/finetune-defaults.ts";
import { finetuneDefaults, fittingSize } from "../../src/config/finetune-defaults.ts";
import { parseTrainOptions } from "../../src/config/resolve.ts";

const FLOWERS: FinetuneFacts = {
  images: 800,
  medianSize: 500,
  imbalance: 1,
  model: "deit_tiny_patch16_224",
  inputSize: [224, 224],
  distilled: false,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  macs: 1.26e9,
  cores: 2,
};

describe("finetuneDefaults", () => {
  test("are options that training takes, with the checkpoint's model and normalisation", () => {
    const chosen = finetuneDefaults(FLOWERS);
    const options = parseTrainOptions({ ...chosen, dataPath: "photos" });
    expect(options).toMatchObject({
      model: "deit_tiny_patch16_224",
      inputSize: [224, 224],
      mean: [0.5, 0.5, 0.5],
      epochs: 10,
      batchSize: 32,
      classWeights: "none",
      evalCropRatio: 0.875,
      distillationType: "none",
    });
  });

  test("hold back a larger part of few images to measure with", () => {
    const part = (images: number): number | undefined => finetuneDefaults({ ...FLOWERS, images }).valSplit;
    expect([part(36), part(800)]).toEqual([0.2, undefined]);
  });

  test("take about ten minutes: fewer epochs of more images, 3 at least and 20 at most", () => {
    const epochs = (changes: Partial<FinetuneFacts>): number | undefined =>
      finetuneDefaults({ ...FLOWERS, ...changes }).epochs;
    expect(epochs({ images: 400 })).toBe(20);
    expect(epochs({ images: 1600 })).toBe(5);
    expect(epochs({ images: 50_000 })).toBe(3);
    expect(epochs({ cores: 4, images: 1600 })).toBe(10);
    expect(epochs({ macs: 4.6e9 })).toBe(3);
    expect(epochs({ macs: 0.31e9 })).toBe(20);
  });

  test("few images make small batches, unequal classes are weighed, a distilled model learns with both heads", () => {
    expect(finetuneDefaults({ ...FLOWERS, images: 5 }).batchSize).toBe(5);
    expect(finetuneDefaults({ ...FLOWERS, images: 130 }).batchSize).toBe(16);
    expect(finetuneDefaults({ ...FLOWERS, imbalance: 3 }).classWeights).toBe("balanced");
    expect(finetuneDefaults({ ...FLOWERS, distilled: true }).distillationType).toBe("labels");
  });

  test("small images keep their edges", () => {
    expect(finetuneDefaults({ ...FLOWERS, medianSize: 32, inputSize: [112, 112] }).evalCropRatio).toBe(1);
  });
});

test("images without detail are seen at half the size, in whole patches", () => {
  const size = (medianSize: number, own: readonly [number, number] = [224, 224]): readonly number[] =>
    fittingSize(own, { medianSize, patchSize: 16 });
  expect(size(500)).toEqual([224, 224]);
  expect(size(113)).toEqual([224, 224]);
  expect(size(112)).toEqual([112, 112]);
  expect(size(32)).toEqual([112, 112]);
  expect(size(32, [160, 96])).toEqual([80, 48]);
  expect(fittingSize([224, 224], { medianSize: 32, patchSize: 1 })).toEqual([112, 112]);
});
