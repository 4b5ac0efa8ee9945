/** What is known of every registered model: tensors, parameters, multiply-accumulates, decay groups, first values. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { patchGrid } from "../../src/models/patch-embed.ts";
import { countParameters, createDeit, createModel, listModels, modelOf } from "../../src/models/registry.ts";
import { dropPathRates } from "../../src/models/vision-transformer.ts";
import { createLayout, decayGroups, initialVectors, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";

function golden(path: string): string {
  return readFileSync(new URL(`../golden/${path}`, import.meta.url), "utf8");
}

const shapes: Record<string, { tensors: Record<string, number[]> }> = JSON.parse(
  golden("models/shapes.json"),
);
const counts: Record<string, number> = JSON.parse(golden("training/parameter-counts.json"));

/**
 * Exact parameters of all registered models with their own number of classes, and GMACs (both attention products
 * counted) where they are published. A model that is not in this table fails the test below.
 */
const TABLE: Readonly<Record<string, readonly [parameters: number, gmacs?: string]>> = {
  deit_tiny_patch16_224: [5_717_416, "1.2537"],
  deit_tiny_distilled_patch16_224: [5_910_800, "1.2610"],
  deit_tiny_patch16_384: [5_790_376],
  deit_tiny_distilled_patch16_384: [5_983_760],
  deit_small_patch16_224: [22_050_664, "4.5989"],
  deit_small_distilled_patch16_224: [22_436_432, "4.6241"],
  deit_small_patch16_384: [22_196_584],
  deit_small_distilled_patch16_384: [22_582_352],
  deit_base_patch16_224: [86_567_656, "17.5638"],
  deit_base_distilled_patch16_224: [87_338_192, "17.6568"],
  deit_base_patch16_384: [86_859_496, "55.4844"],
  deit_base_distilled_patch16_384: [87_630_032, "55.5913"],
  deit_w64d4_patch4_32: [208_074],
  deit_w64d4_distilled_patch4_32: [208_852],
  deit_w96d6_patch4_32: [683_242],
  deit_w96d6_distilled_patch4_32: [684_404],
  deit_w128d6_patch4_32: [1_205_898],
  deit_w128d6_distilled_patch4_32: [1_207_444],
  deit_w192d6_patch4_32: [2_693_578],
  deit_w192d6_distilled_patch4_32: [2_695_892],
  // timm's counts, with 1000 classes (tests/golden/vits)
  deit3_small_patch16_224: [22_059_496],
  deit3_small_patch16_384: [22_205_416],
  deit3_medium_patch16_224: [38_849_512],
  deit3_medium_patch16_384: [39_044_072],
  deit3_base_patch16_224: [86_585_320],
  deit3_base_patch16_384: [86_877_160],
  deit3_large_patch16_224: [304_374_760],
  deit3_large_patch16_384: [304_763_880],
  deit3_huge_patch14_224: [632_126_440],
  vit_small_patch14_dinov2: [22_441_192],
  vit_base_patch14_dinov2: [87_348_712],
  vit_small_patch14_reg4_dinov2: [22_442_344],
  vit_base_patch14_reg4_dinov2: [87_351_016],
  vit_tiny_patch16_224: [5_717_416],
  vit_tiny_avg_patch16_224: [5_717_416],
  vit_tiny_patch16_384: [5_790_376],
  vit_tiny_avg_patch16_384: [5_790_376],
  vit_small_patch16_224: [22_050_664],
  vit_small_avg_patch16_224: [22_050_664],
  vit_small_patch16_384: [22_196_584],
  vit_small_avg_patch16_384: [22_196_584],
  vit_base_patch16_224: [86_567_656],
  vit_base_avg_patch16_224: [86_567_656],
  vit_base_patch16_384: [86_859_496],
  vit_base_avg_patch16_384: [86_859_496],
  vit_small_patch32_224: [22_878_952],
  vit_small_avg_patch32_224: [22_878_952],
  vit_small_patch32_384: [22_915_432],
  vit_small_avg_patch32_384: [22_915_432],
  vit_base_patch32_224: [88_224_232],
  vit_base_avg_patch32_224: [88_224_232],
  vit_base_patch32_384: [88_297_192],
  vit_base_avg_patch32_384: [88_297_192],
  // GMACs as timm counts them: three digits are published
  regnety_002: [3_162_996, "0.200"],
  regnety_004: [4_344_144, "0.402"],
  regnety_006: [6_055_160, "0.601"],
  regnety_008: [6_263_168, "0.797"],
  regnety_016: [11_202_430, "1.612"],
  regnety_032: [19_436_338, "3.176"],
  regnety_040: [20_646_656, "3.973"],
  regnety_064: [30_583_252, "6.355"],
  regnety_080: [39_180_068, "7.963"],
  regnety_120: [51_822_544, "12.092"],
  regnety_160: [83_590_140, "15.912"],
  regnety_320: [145_046_770, "32.280"],
  regnety_w32d9_32: [267_558],
  regnety_002_32: [2_797_686],
  resnet20_cifar: [269_722],
  resnet32_cifar: [464_154],
  resnet44_cifar: [658_586],
  resnet56_cifar: [853_018],
  resnet110_cifar: [1_727_962],
};

describe("registered models", () => {
  const summaries = listModels();

  test("are all in the table", () => {
    expect(summaries.map(({ name }) => name).toSorted()).toEqual(Object.keys(TABLE).toSorted());
  });

  test.each(Object.entries(TABLE))("%s", (name, [parameters, gmacs]) => {
    const summary = summaries.find((it) => it.name === name);
    expect(summary?.parameters).toBe(parameters);
    if (gmacs !== undefined) expect(summary?.gmacs.toFixed(gmacs.split(".")[1]?.length)).toBe(gmacs);
    expect(summary?.distilled).toBe(name.includes("distilled"));
    if (/^(?:deit|vit.*_\d+$)/.test(name)) expect(summary?.inputSize[0]).toBe(Number(name.split("_").at(-1)));
  });

  test.each(Object.entries(shapes))(
    "%s has timm's tensors, in timm's order and shapes",
    (name, { tensors }) => {
      const ours = createModel(name).parameters.map((it) => [it.name, it.shape]);
      // The reference makes dist_token after pos_embed; nothing depends on the order.
      expect(Object.fromEntries(ours)).toEqual(tensors);
      expect(ours.length).toBe(name.includes("distilled") ? 155 : 152);
    },
  );

  test.each(Object.entries(counts))("%s", (key, count) => {
    const [, dim = "", depth = "", classes = "", form = ""] =
      /^(\d+)x(\d+) (\d+) classes (\w+)$/.exec(key) ?? [];
    const name = `deit_w${dim}d${depth}${form === "distilled" ? "_distilled" : ""}_patch4_32`;
    expect(countParameters(createModel(name, { numClasses: Number(classes) }))).toBe(count);
  });

  test("counting only convolution and linear layers gives the other published figure", () => {
    const { embedDim, depth } = createDeit("deit_tiny_patch16_224").config;
    const attentionProducts = depth * 2 * 197 * 197 * embedDim;
    expect(((createModel("deit_tiny_patch16_224").macs - attentionProducts) / 1e9).toFixed(3)).toBe("1.075");
  });
});

describe("weight decay leaves alone", () => {
  test.each([
    ["deit_tiny_patch16_224", 69_544, 5_647_872],
    ["deit_small_patch16_224", 138_088, 21_912_576],
    ["deit_base_patch16_224", 275_176, 86_292_480],
    ["deit_tiny_distilled_patch16_224", 70_736, 5_840_064],
    ["deit_small_distilled_patch16_224", 139_472, 22_296_960],
    ["deit_base_distilled_patch16_224", 276_944, 87_061_248],
  ])("%s: %d of its parameters", (name, noDecay, decay) => {
    const model = createModel(name);
    const { vectors } = createLayout(model.parameters, { groupOf: decayGroups(model.noWeightDecay) });
    expect(Object.fromEntries(vectors.map(({ group, length }) => [String(group.decay), length]))).toEqual({
      false: noDecay,
      true: decay,
    });
  });
});

describe("starting values", () => {
  const model = createModel("deit_tiny_distilled_patch16_224");
  const layout = createLayout(model.parameters, { groupOf: decayGroups(model.noWeightDecay) });
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0)));

  test.each([...tensors.keys()])("%s", (name) => {
    const data = tensors.get(name)?.data ?? new Float32Array();
    const mean = data.reduce((total, x) => total + x, 0) / data.length;
    const std = Math.sqrt(data.reduce((total, x) => total + (x - mean) ** 2, 0) / data.length);
    const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const within = (expected: number): number => (5 * expected) / Math.sqrt(2 * data.length);
    if (name.startsWith("patch_embed")) {
      const bound = 768 ** -0.5; // 0.036084: PyTorch's Conv2d
      expect(largest).toBeLessThanOrEqual(Math.fround(bound));
      expect(Math.abs(std - bound / Math.sqrt(3))).toBeLessThan(within(bound));
    } else if (/norm\d?\.weight$/.test(name)) {
      expect([mean, std]).toEqual([1, 0]);
    } else if (name.endsWith("bias")) {
      expect(largest).toBe(0);
    } else {
      expect(Math.abs(std - 0.02)).toBeLessThan(within(0.02));
      expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(data.length));
      expect(largest).toBeLessThan(0.13); // six and a half σ: not cut, and no outlier
    }
  });
});

describe("createModel", () => {
  test("suggests the nearest name", () => {
    const error = thrownBy(() => createModel("deit_tiny_destilled_patch16_224"));
    expect(error.path).toBe("model");
    expect(error.message).toContain('unknown model "deit_tiny_destilled_patch16_224"');
    expect(error.message).toContain("deit_tiny_distilled_patch16_224");
    expect(error.message).toContain("deit models");
    expect(thrownBy(() => createModel("deit_tiny")).message).toContain("Did you mean deit_tiny_patch16_224?");
  });

  test.each([
    "",
    "deit_tiny*_patch16_224",
    "constructor",
    "__proto__",
    "deit_tiny_distilled_distilled_patch16_224",
    "deit_tiny_patch16_224_distilled",
  ])("refuses %j", (name) => {
    expect(() => createModel(name)).toThrow(/unknown model/);
  });

  test.each([
    [225, "225×225", /Use --input-size 224\.$/],
    [[224, 250] as const, "224×250", /Use --input-size 224 or 256\.$/],
    [5, "5×5", /Use --input-size 16\.$/],
  ])("refuses an input size of %j", (inputSize, given, hint) => {
    const error = thrownBy(() => createModel("deit_tiny_patch16_224", { inputSize }));
    expect(error.path).toBe("inputSize");
    expect(error.message).toContain(`input size ${given} is not a multiple of the patch size 16`);
    expect(error.message).toMatch(hint);
  });

  test("refuses classes and heads that make no model", () => {
    expect(() => createModel("deit_tiny_patch16_224", { numClasses: 0 })).toThrow(
      /at least one class, not 0/,
    );
    expect(() => createModel("deit_tiny_patch16_224", { numClasses: 2.5 })).toThrow(
      /at least one class, not 2.5/,
    );
    const { config } = createDeit("deit_w64d4_patch4_32");
    expect(() => modelOf("m", { ...config, numHeads: 5 })).toThrow(/5 heads do not divide the width 64/);
  });

  test("takes another number of classes, and images that are not square", () => {
    const model = createModel("deit_w64d4_distilled_patch4_32", { numClasses: 3, inputSize: [16, 24] });
    const shapes = new Map(model.parameters.map(({ name, shape }) => [name, shape]));
    expect(shapes.get("pos_embed")).toEqual([1, 4 * 6 + 2, 64]);
    expect(shapes.get("head_dist.weight")).toEqual([3, 64]);
    expect(patchGrid([16, 24], 4)).toEqual([4, 6]);
  });
});

describe("listModels", () => {
  test.each([
    ["deit_tiny*384", ["deit_tiny_patch16_384", "deit_tiny_distilled_patch16_384"]],
    ["W96", ["deit_w96d6_patch4_32", "deit_w96d6_distilled_patch4_32"]],
    ["deit.tiny", []],
    ["base*distilled*224", ["deit_base_distilled_patch16_224"]],
  ])("%s", (pattern, expected) => {
    expect(listModels(pattern).map(({ name }) => name)).toEqual(expected);
  });
});

describe("stochastic depth's rates", () => {
  test("grow linearly over the blocks, alike for both branches", () => {
    const published = [
      0, 0.00909, 0.01818, 0.02727, 0.03636, 0.04545, 0.05455, 0.06364, 0.07273, 0.08182, 0.09091, 0.1,
    ];
    const rates = createModel("deit_tiny_patch16_224").dropPathRates(0.1);
    expect(rates.map((rate) => Math.round(rate * 1e5) / 1e5)).toEqual(
      published.flatMap((rate) => [rate, rate]),
    );
  });

  test("are 0 for one block", () => {
    expect(dropPathRates(1, 0.1)).toEqual([0, 0]);
  });
});

function thrownBy(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
