/**
 * config.json and preprocessor_config.json, written and read. That transformers and timm read what we write was checked
 * while tests/golden/huggingface/ours.json was recorded; its preprocessing is compared here.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, FormatError } from "../../src/errors.ts";
import { huggingFaceConfig, readHuggingFaceConfig, timmConfig } from "../../src/formats/huggingface.ts";
import { preprocessorConfig, readPreprocessorConfig } from "../../src/formats/preprocessor.ts";
import { createDeit } from "../../src/models/registry.ts";
import { OURS } from "../golden/huggingface/ours.ts";

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

describe("config.json", () => {
  test("as the official repositories have it, but for the epsilon", () => {
    const { config } = createDeit("deit_tiny_distilled_patch16_224", { numClasses: 2 });
    expect(huggingFaceConfig(config, { classes: ["cat", "dog"] })).toEqual({
      architectures: ["DeiTForImageClassificationWithTeacher"],
      model_type: "deit",
      hidden_size: 192,
      num_hidden_layers: 12,
      num_attention_heads: 3,
      intermediate_size: 768,
      hidden_act: "gelu",
      hidden_dropout_prob: 0,
      attention_probs_dropout_prob: 0,
      initializer_range: 0.02,
      layer_norm_eps: 1e-6,
      image_size: 224,
      patch_size: 16,
      num_channels: 3,
      qkv_bias: true,
      encoder_stride: 16,
      problem_type: "single_label_classification",
      id2label: { "0": "cat", "1": "dog" },
      label2id: { cat: 0, dog: 1 },
      dtype: "float32",
    });
    const plain = createDeit("deit_base_patch16_384", { numClasses: 1, inputSize: [384, 512] });
    expect(huggingFaceConfig(plain.config, { classes: ["all"] })).toMatchObject({
      architectures: ["ViTForImageClassification"],
      model_type: "vit",
      image_size: [384, 512],
    });
    expect(() => huggingFaceConfig(plain.config, { classes: [] })).toThrow(ConfigError);
  });

  test.each(OURS)("what is written is read: $name", ({ model, classes }) => {
    const read = readHuggingFaceConfig(JSON.stringify(huggingFaceConfig(model.config, { classes })));
    const { inputSize, numClasses, ...dims } = model.config;
    expect(read).toEqual({ dims, inputSize, numClasses, classes, layerNormEps: 1e-6, warnings: [] });
  });

  test("transformers' own", () => {
    const recorded: Record<string, { config: { model_type: string } }> = JSON.parse(
      readFileSync(new URL("../golden/huggingface/theirs.json", import.meta.url), "utf8"),
    );
    for (const [name, { config }] of Object.entries(recorded)) {
      if (!name.startsWith("case ")) continue;
      const { dims, classes, warnings } = readHuggingFaceConfig(JSON.stringify(config));
      expect(dims).toMatchObject({ embedDim: 32, depth: 2, numHeads: 2, patchSize: 8, mlpRatio: 2.5 });
      expect(dims?.distilled).toBe(config.model_type === "deit");
      if (classes?.length === 5) expect(classes[4]).toBe("class 4");
      expect(warnings).toEqual([]);
    }
  });

  test("the official epsilon is a warning, and so is any other", () => {
    const eps = (layer_norm_eps?: number): readonly string[] =>
      readHuggingFaceConfig(JSON.stringify({ ...VIT, layer_norm_eps })).warnings;
    expect(eps(1e-12)).toEqual([expect.stringMatching(/1e-12; DeiTs were trained with 1e-6, which is used/)]);
    expect(eps()).toHaveLength(1); // transformers' default is 1e-12
    expect(eps(1e-5)).toEqual([expect.stringMatching(/layer_norm_eps 0.00001; 1e-6 is used/)]);
  });

  test("fields that transformers leaves out or sets to null", () => {
    const { id2label: _, ...rest } = VIT;
    const read = readHuggingFaceConfig(
      JSON.stringify({ ...rest, pooler_act: null, num_labels: 7, qkv_bias: null }),
    );
    expect(read).toMatchObject({ numClasses: 7, dims: { embedDim: 64 } });
    expect(read.classes).toBeUndefined();
  });
});

const VIT = {
  model_type: "vit",
  hidden_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  intermediate_size: 256,
  hidden_act: "gelu",
  layer_norm_eps: 1e-6,
  image_size: 32,
  patch_size: 4,
  id2label: { "0": "a", "1": "b" } as Record<string, unknown>,
};

describe("config.json of other models, or damaged", () => {
  const cases: [string, unknown, RegExp][] = [
    ["no JSON", "{", /config.json: is no JSON/],
    ["an array", [], /its content is \[\]/],
    ["a number", 7, /its content is 7/],
    ["null", null, /its content is null/],
    ["nothing in it", {}, /says no model_type; "vit" or "deit"/],
    ["Swin", { model_type: "swin" }, /is of a "swin" model; "vit" or "deit" was expected/],
    ["a type that is no text", { model_type: 3 }, /its model_type is 3/],
    ["a long type", { model_type: "x".repeat(1e6) }, /"x{40}" model/],
    ["no width", { ...VIT, hidden_size: undefined }, /its hidden_size is missing/],
    ["a width in words", { ...VIT, hidden_size: "64" }, /its hidden_size is "64"/],
    ["a huge width", { ...VIT, hidden_size: 1e15 }, /its hidden_size is 1000000000000000/],
    ["a negative depth", { ...VIT, num_hidden_layers: -1 }, /its num_hidden_layers is -1/],
    ["half a head", { ...VIT, num_attention_heads: 2.5 }, /its num_attention_heads is 2.5/],
    ["heads that do not divide", { ...VIT, num_attention_heads: 3 }, /3 heads do not divide the width 64/],
    [
      "another activation",
      { ...VIT, hidden_act: "gelu_new" },
      /hidden_act is "gelu_new"; "gelu" was expected/,
    ],
    ["one channel", { ...VIT, num_channels: 1 }, /its num_channels is 1/],
    ["three sides", { ...VIT, image_size: [32, 32, 32] }, /its image_size is \[32, 32, 32\]/],
    ["patches that are no squares", { ...VIT, patch_size: [4, 8] }, /its patches are 4×8/],
    ["labels in an array", { ...VIT, id2label: ["a", "b"] }, /its id2label is/],
    ["a label that is no text", { ...VIT, id2label: { "0": "a", "1": 2 } }, /its id2label.1 is 2/],
    ["no labels", { ...VIT, id2label: {} }, /id2label has 0 entries/],
    [
      "a huge id",
      { ...VIT, id2label: { "0": "a", "4294967295": "b" } },
      /the id "4294967295"; with 2 labels, ids from 0 to 1/,
    ],
    ["a gap", { ...VIT, id2label: { "0": "a", "2": "b" } }, /the id "2"/],
    ["ids twice", { ...VIT, id2label: { "0": "a", "00": "b" } }, /the id "00"/],
    ["a negative id", { ...VIT, id2label: { "-1": "a" } }, /the id "-1"/],
    ["an id in words", { ...VIT, id2label: JSON.parse('{"__proto__":"a"}') }, /id2label/],
    ["deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, /its content is|is no JSON/],
    ["too long", " ".repeat(33 * 1024 * 1024), /at most 33554432 are read/],
    [
      "timm's with grey pictures",
      { architecture: "deit", pretrained_cfg: { input_size: [1, 32, 32] } },
      /input_size/,
    ],
  ];
  test.each(cases)("%s", (_, content, message) => {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    expect(() => readHuggingFaceConfig(text)).toThrow(FormatError);
    expect(() => readHuggingFaceConfig(text)).toThrow(message);
  });

  test("cut off anywhere it is an error of ours, and never another", () => {
    const text = JSON.stringify(VIT);
    for (let length = 0; length < text.length; length++)
      expect(() => readHuggingFaceConfig(text.slice(0, length))).toThrow(FormatError);
  });
});

describe("timm's config.json", () => {
  const preprocessing = { inputSize: [224, 224], cropRatio: 0.875, ...IMAGENET } as const;
  const { config } = createDeit("deit_tiny_distilled_patch16_224", { numClasses: 2 });

  test("what is written is read", () => {
    const written = timmConfig(
      {
        architecture: "deit_tiny_distilled_patch16_224",
        args: { img_size: config.inputSize, num_heads: config.numHeads },
        numFeatures: config.embedDim,
        firstConv: "patch_embed.proj",
        classifier: ["head", "head_dist"],
      },
      { classes: ["a", "b"], ...preprocessing },
    );
    expect(readHuggingFaceConfig(JSON.stringify(written))).toEqual({
      architecture: "deit_tiny_distilled_patch16_224",
      numHeads: 3,
      inputSize: [224, 224],
      numClasses: 2,
      classes: ["a", "b"],
      layerNormEps: 1e-6,
      preprocessing,
      warnings: [],
    });
  });

  test("as their repositories have it, now and formerly", () => {
    const pretrained = { input_size: [3, 384, 384], crop_pct: 1, ...IMAGENET, num_classes: 1000 };
    const now = {
      architecture: "deit_base_patch16_384",
      num_classes: 1000,
      pretrained_cfg: { ...pretrained, label_names: null },
    };
    const formerly = { architecture: "deit_base_patch16_384", ...pretrained };
    for (const content of [now, formerly]) {
      expect(readHuggingFaceConfig(JSON.stringify(content))).toMatchObject({
        architecture: "deit_base_patch16_384",
        inputSize: [384, 384],
        numClasses: 1000,
        preprocessing: { inputSize: [384, 384], cropRatio: 1, ...IMAGENET },
      });
    }
    const bare = readHuggingFaceConfig('{"architecture": "deit_tiny_patch16_224"}');
    expect([bare.preprocessing, bare.classes, bare.inputSize]).toEqual([undefined, undefined, undefined]);
  });

  test("timm loads it and reads our preprocessing", () => {
    const recorded = JSON.parse(
      readFileSync(new URL("../golden/huggingface/ours.json", import.meta.url), "utf8"),
    )["case distilled tiny at 64"].timm.data;
    expect(recorded).toEqual({
      input_size: [3, 64, 64],
      interpolation: "bicubic",
      crop_pct: 0.875,
      ...IMAGENET,
    });
  });
});

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
    expect(readPreprocessorConfig(JSON.stringify(written))).toEqual({
      inputSize,
      cropRatio,
      ...IMAGENET,
      warnings: [],
    });
  });

  test("small pictures are taken whole, as in our evaluation", () => {
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
        expect(Math.floor(crop / readPreprocessorConfig(text).cropRatio)).toBe(edge);
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

  const mean = IMAGENET.mean;
  const std = IMAGENET.std;
  const norm = { image_mean: mean, image_std: std };
  const official = {
    do_resize: true,
    do_center_crop: true,
    crop_size: 224,
    resample: 3,
    do_normalize: true,
    ...norm,
  };
  test.each<[string, object, object, readonly RegExp[]]>([
    [
      "official, distilled",
      { ...official, size: 256 },
      { inputSize: [224, 224], cropRatio: 0.875, mean, std },
      [/squashes pictures to 256×256/],
    ],
    [
      "official, distilled, 384",
      { ...official, size: 438, crop_size: 384 },
      { inputSize: [384, 384], cropRatio: 0.875 },
      [/438×438/],
    ],
    [
      "official, plain",
      {
        do_normalize: true,
        do_resize: true,
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
        resample: 2,
        size: 224,
      },
      { inputSize: [224, 224], cropRatio: 1, mean: [0.5, 0.5, 0.5] },
      [/squashes/, /bilinear; here it is bicubic/, /trained with ImageNet's/],
    ],
    [
      "ViT's, not square",
      { image_processor_type: "ViTImageProcessor", size: { height: 160, width: 256 }, ...norm },
      { inputSize: [160, 256], cropRatio: 1 },
      [/squashes pictures to 160×256/, /bilinear/],
    ],
    [
      "CLIP's",
      { size: { shortest_edge: 224 }, crop_size: { height: 224, width: 224 }, ...norm },
      { inputSize: [224, 224], cropRatio: 1 },
      [],
    ],
    [
      "ConvNeXt's",
      { size: { shortest_edge: 224 }, crop_pct: 0.95, ...norm },
      { inputSize: [224, 224], cropRatio: 0.95 },
      [],
    ],
    [
      "no resizing",
      { do_resize: false, crop_size: 224, ...norm },
      { inputSize: [224, 224], cropRatio: 1 },
      [/does not resize/],
    ],
    [
      "−1 to 1 by rescaling",
      {
        size: { shortest_edge: 224 },
        crop_size: 224,
        rescale_factor: 1 / 127.5,
        image_mean: [1, 1, 1],
        image_std: [1, 1, 1],
      },
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      [],
    ],
    [
      "bytes",
      { size: { shortest_edge: 32 }, do_rescale: false, image_mean: [0, 0, 255], image_std: [255, 255, 51] },
      { mean: [0, 0, 1], std: [1, 1, 0.2] },
      [],
    ],
    [
      "no normalisation",
      { size: { shortest_edge: 32 }, do_normalize: false },
      { mean: [0, 0, 0], std: [1, 1, 1] },
      [],
    ],
  ])("%s", (_, content, expected, warnings) => {
    const read = readPreprocessorConfig(JSON.stringify(content));
    expect(read).toMatchObject(expected);
    expect(read.warnings).toEqual(warnings.map((warning) => expect.stringMatching(warning)));
  });

  test.each<[string, object, RegExp]>([
    ["no size", norm, /its size is missing/],
    ["no crop size", { size: 256, do_center_crop: true, ...norm }, /its crop_size is missing/],
    ["no mean", { size: 256, image_std: std }, /its image_mean is missing/],
    ["no std", { size: 256, image_mean: mean }, /its image_std is missing/],
    [
      "a std of 0",
      { size: 256, image_mean: mean, image_std: [1, 0, 1] },
      /image_std is \[1, 0, 1\]; numbers above 0/,
    ],
    ["one channel", { size: 256, image_mean: [0.5], image_std: std }, /its image_mean is \[0.5\]/],
    ["a huge size", { size: 1e9, ...norm }, /its size is 1000000000/],
    [
      "another kind of size",
      { size: { longest_edge: 9 }, ...norm },
      /its size is an object with longest_edge/,
    ],
    ["more cut than there is", { size: 192, crop_size: 224, ...norm }, /cuts 224 pixels out of 192/],
    ["nothing to go by", { do_resize: false, ...norm }, /neither resizes pictures nor cuts them/],
  ])("%s is refused", (_, content, message) => {
    const read = (): unknown => readPreprocessorConfig(JSON.stringify(content));
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
  });
});
