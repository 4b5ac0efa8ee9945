/** Preprocessing is read back as it was written, in every form. */
import { describe, expect, test } from "vitest";
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import type { PartialPreprocessing } from "../../src/augmentation/preprocessing.ts";
import { timmConfig } from "../../src/formats/huggingface.ts";
import { readHuggingFaceConfig } from "../../src/formats/huggingface.ts";
import { preprocessorConfig, readPreprocessorConfig } from "../../src/formats/preprocessor.ts";
import { decodePreprocessing, encodeGeometry } from "../../src/formats/preprocessing-metadata.ts";

describe("what is written is read", () => {
  const forms: Record<string, PartialPreprocessing> = {
    "DeiT's": { smallWhole: false },
    squashed: { resize: "squash", cropRatio: 1, interpolation: "bilinear", smallWhole: false },
    "squashed and cut": {
      resize: "squash",
      resizedSize: [256, 300],
      interpolation: "lanczos",
      smallWhole: false,
    },
    "not resized": { resize: "none", cropRatio: 1, smallWhole: false },
    "another mean": { mean: [0.5, 0.4, 0.3], std: [1, 1, 0.5], interpolation: "nearest", smallWhole: false },
    fitted: { resize: "longer-side", cropRatio: 1, interpolation: "hamming", smallWhole: false },
  };

  test.each(Object.entries(forms))("%s: preprocessor_config.json", (name, form) => {
    const preprocessing = completePreprocessing([224, 224], form);
    if (name === "fitted")
      return expect(() => preprocessorConfig(preprocessing)).toThrow(/no processor for that/);
    const { notes, ...read } = readPreprocessorConfig(JSON.stringify(preprocessorConfig(preprocessing)));
    const { interpolation: _, ...unresized } = completePreprocessing([224, 224], read);
    if (name === "not resized") expect(preprocessing).toMatchObject(unresized);
    else
      expect({ ...completePreprocessing([224, 224], read), cropRatio: 0 }).toEqual({
        ...preprocessing,
        cropRatio: 0,
      });
    expect(notes).toEqual([]);
  });

  test.each(Object.entries(forms))("%s: metadata of our own files", (_, form) => {
    const preprocessing = completePreprocessing([224, 192], form);
    const { mean, std } = preprocessing;
    const text = { ...encodeGeometry(preprocessing), mean: JSON.stringify(mean), std: JSON.stringify(std) };
    expect(completePreprocessing([224, 192], decodePreprocessing(text, { file: "x" }))).toEqual(
      preprocessing,
    );
  });

  test("our own metadata of a later version is refused", () => {
    expect(() => decodePreprocessing({ resize: "stretch" }, { file: "x.onnx" })).toThrow(
      /its metadata "resize" is "stretch"/,
    );
  });

  test.each(["not resized", "squashed and cut"])("%s: timm has nothing for that", (name) => {
    const model = {
      architecture: "resnet18",
      args: {},
      numFeatures: 512,
      firstConv: "conv1",
      classifier: "fc",
    };
    const preprocessing = completePreprocessing([224, 224], forms[name]);
    expect(() => timmConfig(model, { ...preprocessing, classes: ["a"] })).toThrow(
      /timm has no setting for that/,
    );
  });

  test.each(["squashed", "fitted", "another mean"])("%s: timm's config.json", (name) => {
    const preprocessing = completePreprocessing([224, 224], forms[name]);
    const model = {
      architecture: "resnet18",
      args: {},
      numFeatures: 512,
      firstConv: "conv1",
      classifier: "fc",
    };
    const text = JSON.stringify(timmConfig(model, { ...preprocessing, classes: ["a"] }));
    const read = readHuggingFaceConfig(text).preprocessing;
    expect(completePreprocessing([224, 224], read)).toEqual(preprocessing);
  });
});
