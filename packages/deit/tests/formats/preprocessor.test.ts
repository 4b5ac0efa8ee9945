/**
 * preprocessor_config.json, written and read: every class of transformers that classifies images, as its own code prepares
 * them. That transformers reads what we write was checked while tests/golden/huggingface/ours.json was recorded.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { PartialPreprocessing } from "../../src/augmentation/preprocessing.ts";
import type { ErrorCode } from "../../src/error-codes.ts";
import { ConfigError, DeitError, FormatError } from "../../src/errors.ts";
import { preprocessorConfig, readPreprocessorConfig } from "../../src/formats/preprocessor.ts";
import { OURS } from "../golden/huggingface/ours.ts";

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const KEPT = { resize: "shorter-side", interpolation: "bicubic", smallWhole: false } as const;

describe("preprocessor_config.json", () => {
  test("DeiT's evaluation", () => {
    expect(preprocessorConfig({ inputSize: [384, 384], cropRatio: 0.875, ...IMAGENET })).toEqual({
      image_processor_type: "BitImageProcessor",
      do_convert_rgb: true,
      do_resize: true,
      size: { shortest_edge: 438 },
      resample: 3,
      do_center_crop: true,
      crop_size: { height: 384, width: 384 },
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [0.485, 0.456, 0.406],
      image_std: [0.229, 0.224, 0.225],
    });
  });

  test.each([
    [[224, 224], 0.875, 256],
    [[384, 384], 0.875, 438],
    [[32, 32], 1, 32],
    [[160, 160], 0.9, 177],
    [[160, 256], 0.875, 292],
    [[448, 224], 0.95, 471],
  ] as const)("%j with crop ratio %d is resized to %d, and read back", (inputSize, cropRatio, edge) => {
    const written = preprocessorConfig({ inputSize, cropRatio, ...IMAGENET });
    expect(written["size"]).toEqual({ shortest_edge: edge });
    const square = inputSize[0] === inputSize[1];
    expect(readPreprocessorConfig(JSON.stringify(written))).toEqual({
      inputSize,
      cropRatio,
      ...(!square && { resizedSize: [edge, edge] }),
      ...IMAGENET,
      ...KEPT,
      notes: [],
    });
  });

  test("small images are taken whole, as in our evaluation", () => {
    const written = preprocessorConfig({ inputSize: [32, 32], cropRatio: 0.875, ...IMAGENET });
    expect(written["size"]).toEqual({ shortest_edge: 32 });
  });

  test("every pair of sizes comes back as itself", () => {
    for (let crop = 16; crop <= 448; crop += 16) {
      for (let edge = crop; edge <= 2 * crop; edge++) {
        const text = JSON.stringify({
          size: { shortest_edge: edge },
          crop_size: crop,
          image_mean: [0, 0, 0],
          image_std: [1, 1, 1],
        });
        const { cropRatio = 0, resizedSize } = readPreprocessorConfig(text);
        expect(resizedSize ?? [Math.floor(crop / cropRatio)]).toContain(edge);
      }
    }
  });

  test("transformers' pixels are torchvision's, but for rounding", () => {
    const recorded: Record<string, { preprocessing?: { class: string; largest: number; mean: number } }> =
      JSON.parse(readFileSync(new URL("../golden/huggingface/ours.json", import.meta.url), "utf8"));
    for (const { name } of OURS) {
      const { preprocessing } = recorded[`case ${name}`] ?? {};
      expect(preprocessing?.class).toBe("BitImageProcessor");
      expect(preprocessing?.largest).toBeLessThan(1.001); // 255ths: it rounds after each pass, PIL at the end
      expect(preprocessing?.mean).toBeLessThan(0.01);
    }
  });

  const { mean, std } = IMAGENET;
  const norm = { image_mean: mean, image_std: std };
  const squash = { resize: "squash" } as const;
  const official = { do_resize: true, do_center_crop: true, crop_size: 224, resample: 3, ...norm };
  test.each<[string, object, PartialPreprocessing, readonly RegExp[]]>([
    [
      "DeiT's, an integer for both sides: squashed, then cut",
      { ...official, size: 256 },
      { inputSize: [224, 224], cropRatio: 0.875, ...squash, interpolation: "bicubic", mean, std },
      [],
    ],
    [
      "DeiT's at 384",
      { ...official, size: 438, crop_size: 384 },
      { inputSize: [384, 384], cropRatio: 0.875, ...squash },
      [],
    ],
    [
      "ViT's, an integer",
      { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], resample: 2, size: 224 },
      { inputSize: [224, 224], cropRatio: 1, ...squash, interpolation: "bilinear", mean: [0.5, 0.5, 0.5] },
      [],
    ],
    [
      "an integer that is said to be the shorter side's",
      { default_to_square: false, size: 256, crop_size: 224, ...norm },
      { inputSize: [224, 224], cropRatio: 0.875, ...KEPT },
      [],
    ],
    [
      "an integer that is said to be both sides'",
      {
        image_processor_type: "CLIPImageProcessor",
        default_to_square: true,
        size: 256,
        crop_size: 224,
        ...norm,
      },
      { inputSize: [224, 224], cropRatio: 0.875, ...squash },
      [],
    ],
    [
      "ViT's, not square, its default filter",
      { image_processor_type: "ViTImageProcessor", size: { height: 160, width: 256 }, ...norm },
      { inputSize: [160, 256], cropRatio: 1, ...squash, interpolation: "bilinear" },
      [],
    ],
    [
      "ViT's newer, with null for what it does not do",
      {
        image_processor_type: "ViTImageProcessorFast",
        size: { height: 224, width: 224, shortest_edge: null },
        crop_size: null,
        do_center_crop: null,
        do_pad: null,
        resample: 0,
        ...norm,
      },
      { inputSize: [224, 224], cropRatio: 1, ...squash, interpolation: "nearest" },
      [],
    ],
    [
      "BEiT's, both sides and a cut that is not a square",
      {
        image_processor_type: "BeitImageProcessor",
        size: { height: 256, width: 256 },
        crop_size: { height: 192, width: 224 },
        resample: 1,
        ...norm,
      },
      { inputSize: [192, 224], resizedSize: [256, 256], ...squash, interpolation: "lanczos" },
      [],
    ],
    [
      "CLIP's",
      { size: { shortest_edge: 224 }, crop_size: { height: 224, width: 224 }, ...norm },
      { inputSize: [224, 224], cropRatio: 1, resize: "shorter-side" },
      [],
    ],
    [
      "CLIP's, an integer for the shorter side",
      { feature_extractor_type: "CLIPFeatureExtractor", size: 256, crop_size: 224, ...norm },
      { inputSize: [224, 224], cropRatio: 0.875, resize: "shorter-side", interpolation: "bicubic" },
      [],
    ],
    [
      "a cut without a crop: the file's own word",
      {
        image_processor_type: "CLIPImageProcessor",
        size: { shortest_edge: 224 },
        crop_size: 192,
        do_center_crop: false,
        ...norm,
      },
      { inputSize: [224, 224], cropRatio: 1, resize: "shorter-side" },
      [/does not crop: of images that are not square/u],
    ],
    [
      "more cut than there is: padded",
      { size: { shortest_edge: 192 }, crop_size: 224, ...norm },
      { inputSize: [224, 224], resize: "shorter-side", cropRatio: 224 / 192 },
      [],
    ],
    [
      "ConvNeXt's",
      {
        image_processor_type: "ConvNextImageProcessor",
        size: { shortest_edge: 224 },
        crop_pct: 0.95,
        ...norm,
      },
      { inputSize: [224, 224], cropRatio: 0.95, resize: "shorter-side", interpolation: "bilinear" },
      [],
    ],
    [
      "ConvNeXt's without a ratio",
      { image_processor_type: "ConvNextImageProcessor", size: { shortest_edge: 224 }, ...norm },
      { inputSize: [224, 224], cropRatio: 0.875 },
      [],
    ],
    [
      "ConvNeXt's from 384 on is squashed",
      { image_processor_type: "ConvNextImageProcessor", size: 384, crop_pct: 0.95, ...norm },
      { inputSize: [384, 384], cropRatio: 1, ...squash },
      [],
    ],
    [
      "crop_pct of no class",
      { size: { shortest_edge: 224 }, crop_pct: 0.95, ...norm },
      { inputSize: [224, 224], cropRatio: 0.95, resize: "shorter-side" },
      [],
    ],
    [
      "LeViT's: 256/224 of its size",
      { image_processor_type: "LevitImageProcessor", size: 224, crop_size: 224, ...norm },
      { inputSize: [224, 224], cropRatio: 0.875, resize: "shorter-side", interpolation: "bicubic" },
      [],
    ],
    [
      "PoolFormer's",
      { image_processor_type: "PoolFormerImageProcessor", size: 224, crop_size: 224, ...norm },
      { inputSize: [224, 224], cropRatio: 0.9, resize: "shorter-side" },
      [],
    ],
    [
      "EfficientNet's: nearest, and divided by std twice",
      {
        image_processor_type: "EfficientNetImageProcessor",
        size: { height: 260, width: 260 },
        include_top: true,
        image_mean: [0, 0, 0],
        image_std: [0.5, 0.5, 0.5],
      },
      {
        inputSize: [260, 260],
        ...squash,
        interpolation: "nearest",
        mean: [0, 0, 0],
        std: [0.25, 0.25, 0.25],
      },
      [],
    ],
    [
      "timm's wrapper",
      {
        image_processor_type: "TimmWrapperImageProcessor",
        pretrained_cfg: {
          input_size: [3, 256, 256],
          crop_pct: 1,
          crop_mode: "squash",
          interpolation: "bilinear",
        },
      },
      { inputSize: [256, 256], cropRatio: 1, ...squash, interpolation: "bilinear", mean, std },
      [],
    ],
    [
      "no resizing",
      { do_resize: false, crop_size: 224, ...norm },
      { inputSize: [224, 224], cropRatio: 1, resize: "none" },
      [],
    ],
    [
      "neither resized nor cut",
      { do_resize: false, do_center_crop: false, ...norm },
      { cropRatio: 1, resize: "shorter-side" },
      [/neither resizes images nor crops them/u],
    ],
    [
      "−1 to 1 by rescaling",
      { do_normalize: false, rescale_factor: 1 / 127.5, rescale_offset: true },
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      [],
    ],
    [
      "a factor beside a mean",
      { rescale_factor: 1 / 127.5, image_mean: [1, 1, 1], image_std: [1, 1, 1] },
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      [],
    ],
    ["a factor written rounded", { rescale_factor: 0.00392157, ...norm }, { mean, std }, []],
    [
      "bytes",
      { do_rescale: false, image_mean: [0, 0, 255], image_std: [255, 255, 51] },
      { mean: [0, 0, 1], std: [1, 1, 0.2] },
      [],
    ],
    ["one number for three", { image_mean: 0.5, image_std: 0.25 }, { mean: [0.5, 0.5, 0.5] }, []],
    ["no normalisation", { do_normalize: false }, { mean: [0, 0, 0], std: [1, 1, 1] }, []],
    ["nothing", {}, {}, []],
  ])("%s", (_, content, expected, notes) => {
    const { notes: said, ...read } = readPreprocessorConfig(JSON.stringify(content));
    for (const [field, value] of Object.entries(expected)) {
      const found = Reflect.get(read, field);
      if (typeof value === "number") expect(found, field).toBeCloseTo(value, 12);
      else if (field === "mean" || field === "std")
        for (const [i, x] of (value as readonly number[]).entries())
          expect(found[i], field).toBeCloseTo(x, 6);
      else expect(found, field).toEqual(value);
    }
    expect(said).toEqual(notes.map((note) => expect.stringMatching(note)));
    if (Object.keys(expected).length === 0) expect(read).toEqual({});
  });

  test.each<[string, object, ErrorCode, RegExp]>([
    [
      "no crop size",
      { size: 256, do_center_crop: true, ...norm },
      "checkpoint/damaged-settings",
      /its crop_size is missing/,
    ],
    ["no mean", { image_std: std }, "checkpoint/damaged-settings", /its image_mean is missing/],
    ["no std", { image_mean: mean }, "checkpoint/damaged-settings", /its image_std is missing/],
    [
      "bytes without a mean",
      { do_rescale: false },
      "checkpoint/damaged-settings",
      /its image_mean is missing/,
    ],
    [
      "a std of 0",
      { image_mean: mean, image_std: [1, 0, 1] },
      "checkpoint/damaged-settings",
      /image_std is \[1, 0, 1\]; numbers above 0/,
    ],
    [
      "no filter",
      { size: 9, resample: 7, ...norm },
      "checkpoint/damaged-settings",
      /its resample is 7\n.*nearest, lanczos/,
    ],
    [
      "one channel",
      { image_mean: [0.5], image_std: std },
      "checkpoint/damaged-settings",
      /its image_mean is \[0.5\]/,
    ],
    ["a huge size", { size: 1e9, ...norm }, "checkpoint/damaged-settings", /its size is 1000000000/],
    [
      "another kind of size",
      { size: { longest_edge: 9 }, ...norm },
      "checkpoint/damaged-settings",
      /its size is an object with longest_edge/,
    ],
    [
      "blue first",
      { image_processor_type: "MobileViTFeatureExtractor", size: 288, crop_size: 256 },
      "preprocessing/unsupported",
      /takes blue, green and red in this order \(do_flip_channel_order\), which is not supported/,
    ],
    ["padding", { size: 224, do_pad: true, ...norm }, "preprocessing/unsupported", /pads images \(do_pad\)/],
    ["grey", { do_convert_grayscale: true }, "preprocessing/unsupported", /makes images grey/],
    [
      "cut before resized",
      { image_processor_type: "PerceiverImageProcessor", size: 224, crop_size: 256, ...norm },
      "preprocessing/unsupported",
      /crops images before it resizes them \(Perceiver\)/,
    ],
    [
      "timm's unknown mode",
      { pretrained_cfg: { crop_mode: "constructor" } },
      "preprocessing/unsupported",
      /its crop_mode is "constructor".*\nSupported: center, squash, border/,
    ],
  ])("%s is refused", (_, content, code, message) => {
    const read = (): unknown => readPreprocessorConfig(JSON.stringify(content));
    expect(read).toThrow(message);
    try {
      read();
    } catch (error) {
      expect(error instanceof FormatError || error instanceof ConfigError).toBe(true);
      expect((error as DeitError).code).toBe(code);
    }
  });
});
