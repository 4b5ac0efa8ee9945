/** What shapes say of a model; the shapes of timm's DeiTs were recorded by tests/golden/models/record.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { architectureOf, describeForeign } from "../../src/formats/architecture.ts";
import type { Shapes } from "../../src/formats/architecture.ts";

const recorded: Record<string, { tensors: Record<string, readonly number[]> }> = JSON.parse(
  readFileSync(new URL("../golden/models/shapes.json", import.meta.url), "utf8"),
);
const shapes = (tensors: Record<string, readonly number[]>): Shapes =>
  new Map(Object.entries(tensors).map(([name, shape]) => [name, { shape }]));
const tiny = recorded["deit_tiny_patch16_224"]?.tensors ?? {};
const without = (...names: string[]): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(tiny).filter(([name]) => !names.includes(name)));

test.each(Object.entries(recorded))("%s", (name, { tensors }) => {
  const size = Number(name.slice(-3));
  const embedDim = { tiny: 192, small: 384, base: 768 }[name.split("_")[1] ?? ""];
  const distilled = name.includes("_distilled");
  expect(architectureOf(shapes(tensors))).toEqual({
    embedDim,
    depth: 12,
    patchSize: 16,
    mlpRatio: 4,
    distilled,
    heads: distilled ? ["head", "head_dist"] : ["head"],
    numClasses: 1000,
    numPatches: (size / 16) ** 2,
    inputSize: [size, size],
  });
});

test("a grid that is not a square leaves the size open; no head means no classes", () => {
  const changed = { ...without("head.weight", "head.bias"), pos_embed: [1, 14 * 20 + 1, 192] };
  const found = architectureOf(shapes(changed));
  expect(found).toMatchObject({ numPatches: 280, numClasses: 0, heads: [] });
  expect(found?.inputSize).toBeUndefined();
});

test("parts of later models", () => {
  const found = (changes: Record<string, readonly number[]>, from = tiny): unknown =>
    architectureOf(shapes({ ...from, ...changes }));
  const scaled = { "blocks.0.ls1.gamma": [192] };
  const square = { numPatches: 196, inputSize: [224, 224] };
  expect(found(scaled)).toMatchObject({ layerScale: true, ...square });
  expect(found(scaled)).not.toHaveProperty("patchPositions");
  expect(found({ ...scaled, pos_embed: [1, 196, 192] })).toMatchObject({ patchPositions: true, ...square });
  const registers = { reg_token: [1, 4, 192] };
  expect(found({ ...registers, pos_embed: [1, 196, 192] })).toMatchObject({
    registers: 4,
    patchPositions: true,
  });
  expect(found({ ...registers, pos_embed: [1, 201, 192] })).toMatchObject({ registers: 4, ...square });
  const averaged = found({ "fc_norm.weight": [192] }, without("norm.weight", "norm.bias"));
  expect(averaged).toMatchObject({ pooling: "average", ...square });
});

describe("no DeiT", () => {
  test.each<[string, Record<string, readonly number[]>, RegExp]>([
    ["CaiT", { ...tiny, "blocks_token_only.0.norm1.weight": [192] }, /class attention \(CaiT\)/],
    ["BEiT", { ...tiny, "blocks.0.gamma_1": [192] }, /factors that are not as LayerScale's/],
    ["a representation layer", { ...tiny, "pre_logits.fc.weight": [192, 192] }, /representation layer/],
    ["two last norms", { ...tiny, "fc_norm.weight": [192] }, /do not fit each other/],
    [
      "BEiT",
      { ...tiny, "blocks.0.attn.relative_position_bias_table": [732, 12] },
      /relative position biases/,
    ],
    ["no class token", without("cls_token"), /vision transformer without cls_token$/],
    ["two cut off", without("cls_token", "norm.weight"), /without cls_token and norm.weight$/],
    [
      "another width",
      { ...tiny, pos_embed: [1, 197, 384] },
      /shapes .* do not fit each other: .*pos_embed \[1, 197, 384\]/,
    ],
    ["one channel", { ...tiny, "patch_embed.proj.weight": [192, 1, 16, 16] }, /do not fit/],
    ["flat patches", { ...tiny, "patch_embed.proj.weight": [192, 3, 16, 8] }, /do not fit/],
    ["a rank too few", { ...tiny, "patch_embed.proj.weight": [192, 768] }, /do not fit/],
    ["nothing", {}, /no tensors/],
    [
      "Swin",
      { "layers.0.blocks.0.attn.relative_position_bias_table": [169, 3] },
      /looks like a Swin Transformer/,
    ],
    [
      "Hugging Face's Swin",
      { "swin.encoder.layers.0.blocks.0.attention.self.relative_position_bias_table": [169, 3] },
      /looks like a Swin Transformer/,
    ],
    ["ConvNeXt", { "stages.0.blocks.0.gamma": [96] }, /looks like a ConvNeXt \(stages.0.blocks.0.gamma\)/],
    ["ResNet", { "layer1.0.conv1.weight": [64, 64, 3, 3] }, /looks like a ResNet/],
    ["RegNet", { "s1.b1.conv1.conv.weight": [24, 32, 1, 1] }, /looks like a RegNet/],
    ["MobileNet", { "blocks.0.0.conv_dw.weight": [16, 1, 3, 3] }, /EfficientNet or MobileNet/],
    ["CLIP", { "visual.conv1.weight": [768, 3, 16, 16] }, /looks like a CLIP/],
    ["BERT", { "bert.embeddings.word_embeddings.weight": [30522, 768] }, /looks like a language model/],
    ["anything", { a: [1], b: [2], c: [3], d: [4] }, /none of its 4 tensors .* the first are a, b, c$/],
  ])("%s", (_, tensors, description) => {
    expect(architectureOf(shapes(tensors))).toBeUndefined();
    expect(describeForeign(shapes(tensors))).toMatch(description);
  });
});
