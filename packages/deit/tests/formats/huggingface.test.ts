/**
 * config.json and preprocessor_config.json, written and read. That transformers and timm read what we write was checked
 * while tests/golden/huggingface/ours.json was recorded; its preprocessing is compared here.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, FormatError } from "../../src/errors.ts";
import { huggingFaceConfig, readHuggingFaceConfig, timmConfig } from "../../src/formats/huggingface.ts";
import { OURS } from "../golden/huggingface/ours.ts";
import { createDeit } from "../../src/models/registry.ts";

/** timm's defaults, as its configs are read. */
const TIMM = { resize: "shorter-side", interpolation: "bicubic", smallWhole: false } as const;
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
    ["no JSON", "{", /config.json: is not JSON/],
    ["an array", [], /its content is \[\]/],
    ["a number", 7, /its content is 7/],
    ["null", null, /its content is null/],
    ["nothing in it", {}, /has no model_type; "vit", "deit", "dinov2"/],
    ["Swin", { model_type: "swin" }, /is of a "swin" model; "vit", "deit", "dinov2", .* were expected/],
    ["a type that is not text", { model_type: 3 }, /its model_type is 3/],
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
    ["patches that are not squares", { ...VIT, patch_size: [4, 8] }, /its patches are 4×8/],
    ["labels in an array", { ...VIT, id2label: ["a", "b"] }, /its id2label is/],
    ["a label that is not text", { ...VIT, id2label: { "0": "a", "1": 2 } }, /its id2label.1 is 2/],
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
    ["deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, /its content is|is not JSON/],
    ["too long", " ".repeat(9 * 1024 * 1024), /at most 8388608 are read/],
    [
      "timm's with grey images",
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
      preprocessing: { ...preprocessing, ...TIMM },
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
        preprocessing: { inputSize: [384, 384], cropRatio: 1, ...IMAGENET, ...TIMM },
      });
    }
    const bare = readHuggingFaceConfig('{"architecture": "deit_tiny_patch16_224"}');
    expect([bare.preprocessing, bare.classes, bare.inputSize]).toEqual([{}, undefined, undefined]);
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
