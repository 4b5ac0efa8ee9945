/** ONNX files of any maker: what is found in them and beside them. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import type { OnnxClassifier } from "../../../src/evaluation/onnx/onnx-classifier.ts";
import { readOnnxClassifier } from "../../../src/evaluation/onnx/onnx-classifier.ts";
import { loadOnnxAnswers, loadOnnxModel } from "../../../src/evaluation/onnx/third-party-model.ts";
import { completePreprocessing } from "../../../src/augmentation/preprocessing.ts";
import { constant, input } from "../../../src/graph/graph.ts";
import { matmul, reshape } from "../../../src/graph/ops.ts";
import { compile } from "../../../src/graph/program.ts";
import { sharedRuntime } from "../../helpers/devices.ts";
import type { OnnxFile } from "../../helpers/onnx-file.ts";
import { graphFile } from "../../helpers/onnx-graph.ts";
import { FLOAT32, INT64 } from "../../helpers/onnx-file.ts";

import { failure, IMAGES, MATRIX, read, real, write } from "./onnx-models.ts";

describe("inputs and outputs", () => {
  test.each([
    ["one batch size, one resolution", [4, 3, 32, 24], { layout: "NCHW", size: [32, 24], batch: 4 }],
    ["any batch and resolution", ["b", 3, "h", "w"], { layout: "NCHW", size: undefined, batch: undefined }],
    ["nothing fixed", ["b", "c", "h", "w"], { layout: "NCHW", size: undefined, batch: undefined }],
    ["channels last", ["b", 32, 24, 3], { layout: "NHWC", size: [32, 24], batch: undefined }],
    ["channels last, any resolution", [1, "h", "w", 3], { layout: "NHWC", size: undefined, batch: 1 }],
    ["a length of 0 or −1 is none", [-1, 3, 0, 32], { layout: "NCHW", size: undefined, batch: undefined }],
  ] as const)("%s", async (_, dims, expected) => {
    const { input } = await read({ inputs: { "input.1": [FLOAT32, dims] } });
    expect(input).toEqual({ name: "input.1", ...expected });
  });

  test.each<[string, OnnxFile["outputs"], Partial<OnnxClassifier["output"]>]>([
    ["one of two axes", { out: [FLOAT32, ["b", 7]] }, { name: "out", columns: 7 }],
    ["unknown classes", { out: [FLOAT32, ["b", "k"]] }, { name: "out", columns: undefined }],
    ["not even axes", { out: [FLOAT32] }, { name: "out", columns: undefined }],
    [
      "the one that is called logits",
      { pooled: [FLOAT32, ["b", 64]], logits: [FLOAT32, ["b", 7]], tokens: [FLOAT32, ["b", 9, 64]] },
      { name: "logits", columns: 7 },
    ],
    [
      "the one of floats",
      { top: [INT64, ["b", 5]], scores: [FLOAT32, ["b", 7]] },
      { name: "scores", columns: 7 },
    ],
  ])("output: %s", async (_, outputs, expected) => {
    expect((await read({ outputs })).output).toEqual({ ...expected, scores: undefined });
  });

  test("weights that old files list among the inputs are none", async () => {
    const { input } = await read({ inputs: { w: [FLOAT32, [2]], ...IMAGES }, weights: { w: 0 } });
    expect(input.name).toBe("pixel_values");
  });

  test("nothing else is made up", async () => {
    const { preprocessing, classes, notes } = await read({});
    expect({ preprocessing, classes, notes }).toEqual({ preprocessing: {}, notes: [] });
  });

  test("what it found runs: channels last, two images at a time, classes counted by a run", async () => {
    const weight = Float32Array.from({ length: 12 * 4 }, (_, i) => Math.sin(i));
    const images = input("images", "float32", [2, 2, 2, 3]);
    const { model } = compile({
      name: "nhwc",
      target: "cpu",
      outputs: { scores: matmul(reshape(images, [2, 12]), constant(weight, [12, 4])) },
    });
    const source = await loadOnnxModel(await write(model));
    expect(source).toMatchObject({ numClasses: 4, inputSize: [2, 2] });
    const pixels = Float32Array.from({ length: 3 * 12 }, (_, i) => Math.cos(i)); // 3 images of channels first
    const answers = await loadOnnxAnswers(await sharedRuntime("cpu"), source, { batchSize: 3 });
    const logits = await answers(pixels);
    const expected = Array.from({ length: 3 * 4 }, (_, i) => {
      const [row, column] = [Math.floor(i / 4), i % 4];
      let total = 0;
      for (let position = 0; position < 4; position++) {
        for (let channel = 0; channel < 3; channel++) {
          const pixel = pixels[row * 12 + channel * 4 + position] ?? Number.NaN;
          total += pixel * (weight[(position * 3 + channel) * 4 + column] ?? Number.NaN);
        }
      }
      return total;
    });
    expect(logits).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) expect(logits[i]).toBeCloseTo(value, 5);
    await expect(answers(pixels.with(20, Number.NaN))).rejects.toThrow(/values that are not finite\n/);
  });
});

describe("preprocessing", () => {
  const [mean, std] = [
    [0.5, 0.4, 0.3],
    [0.2, 0.25, 0.5],
  ];
  const config = { image_mean: mean, image_std: std, size: { height: 32, width: 32 }, resample: 2 };

  test("one folder up from onnx/, and from nowhere else", async () => {
    const around = { "../preprocessor_config.json": config, "../config.json": { id2label: NAMED } };
    const found = await read({}, { folder: "onnx", beside: around });
    expect(found.preprocessing).toMatchObject({ mean, std, resize: "squash", interpolation: "bilinear" });
    expect(found.classes).toEqual(["cat", "dog", "it's"]);
    const other = await read({}, { folder: "other", beside: around });
    expect(other.preprocessing).toEqual({});
    expect(other.classes).toBeUndefined();
  });

  test("timm's config.json", async () => {
    const pretrained_cfg = { input_size: [3, 32, 32], crop_pct: 1, crop_mode: "border", mean, std };
    const label_names = ["cat", "dog", "it's"];
    const found = await read(
      {},
      { beside: { "config.json": { architecture: "resnet18", label_names, pretrained_cfg } } },
    );
    expect(found.preprocessing).toMatchObject({ mean, std, resize: "longer-side", interpolation: "bicubic" });
    expect(found.classes).toEqual(label_names);
  });

  test("a damaged file beside it is an error that names the file", async () => {
    const error = await failure(read({}, { beside: { "preprocessor_config.json": "{" } }));
    expect(error).toBeInstanceOf(FormatError);
    expect(String(error)).toMatch(/preprocessor_config\.json: is not JSON/u);
  });

  const ultralytics = {
    description: "Ultralytics YOLOv8n-cls model",
    author: "Ultralytics",
    stride: "1",
    task: "classify",
    imgsz: "[32, 32]",
    names: "{0: 'cat', 1: 'dog', 2: \"it's\"}",
  };
  test("Ultralytics' metadata", async () => {
    const { preprocessing, classes } = await read({ metadata: ultralytics });
    expect(preprocessing).toEqual({
      inputSize: [32, 32],
      resize: "shorter-side",
      interpolation: "bilinear",
      cropRatio: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
      smallWhole: false,
    });
    expect(classes).toEqual(["cat", "dog", "it's"]);
    const error = await failure(read({ metadata: { ...ultralytics, task: "detect" } }));
    expect(error).toMatchObject({ code: "onnx/no-classifier" });
  });

  test.each([
    ["NominalRange_0_255", [0, 0, 0], [1 / 255, 1 / 255, 1 / 255]],
    ["Normalized_0_1", [0, 0, 0], [1, 1, 1]],
    ["Normalized_1_1", [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]],
  ])("WinML's metadata: %s", async (range, expectedMean, expectedStd) => {
    const metadata = { "Image.NominalPixelRange": range };
    expect((await read({ metadata })).preprocessing).toEqual({ mean: expectedMean, std: expectedStd });
    const bgr = { ...metadata, "Image.BitmapPixelFormat": "Bgr8" };
    expect(await failure(read({ metadata: bgr }))).toMatchObject({ code: "preprocessing/unsupported" });
  });

  test("our own metadata; what lies beside the file goes before it", async () => {
    const metadata = {
      mean: JSON.stringify(mean),
      std: JSON.stringify(std),
      crop_ratio: "0.8",
      interpolation: "lanczos",
    };
    const own = { mean, std, cropRatio: 0.8, interpolation: "lanczos" };
    expect((await read({ metadata })).preprocessing).toEqual(own);
    const beside = { "preprocessor_config.json": config };
    expect((await read({ metadata }, { beside })).preprocessing).toMatchObject({
      cropRatio: 1,
      interpolation: "bilinear",
    });
  });

  test("what nobody says is assumed, and said", async () => {
    const bare = await loadOnnxModel(await write(real));
    expect(bare.preprocessing).toEqual(completePreprocessing([8, 8]));
    expect(bare.notes).toEqual([
      expect.stringMatching(
        /model\.onnx does not specify preprocessing: assumed shorter side to 9 \(bicubic\), 8×8 cut out of the middle, ImageNet's mean and std \(--mean, --std, --interpolation, --crop-ratio\)$/u,
      ),
    ]);
    const given = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
    const half = await loadOnnxModel(await write(real), { preprocessing: given });
    expect(half.preprocessing).toMatchObject(given);
    expect(half.notes).toEqual([
      expect.stringMatching(/does not specify how images are resized: assumed shorter side/u),
    ]);
    const all = await loadOnnxModel(await write(real), { preprocessing: { ...given, cropRatio: 1 } });
    expect(all.notes).toEqual([]);
    const told = await loadOnnxModel(await write(real, { beside: { "preprocessor_config.json": config } }));
    expect(told.notes).toEqual([
      expect.stringMatching(
        /model\.onnx should be 32×32 by its settings, but the model takes 8×8, which is used$/u,
      ),
    ]);
  });
});

const NAMED = { "0": "cat", "1": "dog", "2": "it's" };
describe("names of classes", () => {
  test.each([
    ["a JSON list", '["cat", "dog", "it\'s"]'],
    ["a JSON object", JSON.stringify(NAMED)],
    ["a Python dict", "{0: 'cat', 1: 'dog', 2: \"it's\"}"],
    ["a Python dict with escapes", "{0: 'cat', 1: 'dog', 2: 'it\\'s'}"],
    ["a line each", "cat\r\ndog\nit's\n"],
  ])("%s in the file", async (_, text) => {
    for (const key of ["classes", "labels", "names"])
      expect((await read({ metadata: { author: "x", [key]: text } })).classes).toEqual([
        "cat",
        "dog",
        "it's",
      ]);
  });

  test.each([
    ["another number of them", '["cat", "dog"]'],
    ["a gap", '{"0": "cat", "1": "dog", "3": "it\'s"}'],
    ["one word", "imagenet"],
    ["numbers", "[0, 1, 2]"],
    ["a damaged dict", "{0: 'cat', 1: 'dog"],
    ["nothing", ""],
  ])("%s in the file is none", async (_, text) => {
    const bytes = graphFile({ matrix: MATRIX, metadata: { names: text } });
    expect((await loadOnnxModel(await write(bytes))).classes).toBeUndefined();
  });

  test("config.json goes before the file; placeholders are none", async () => {
    const metadata = { names: '["a", "b", "c"]' };
    const config = (id2label: unknown): Parameters<typeof read>[1] => ({
      beside: { "config.json": { id2label } },
    });
    expect((await read({ metadata }, config(NAMED))).classes).toEqual(["cat", "dog", "it's"]);
    const placeholders = { "0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2" };
    expect((await read({}, config(placeholders))).classes).toBeUndefined();
    expect((await read({ metadata }, config(undefined))).classes).toEqual(["a", "b", "c"]);
  });
});

describe("weights in a file beside the model", () => {
  const file = fileURLToPath(
    new URL("../../golden/onnx-weights/timm-distilled.dynamo.onnx", import.meta.url),
  );

  test("answers are those of ONNX Runtime, which finds the file itself", async () => {
    const { model, input, output } = await readOnnxClassifier(file);
    expect(model.byteLength).toBeGreaterThan((await stat(file)).size + 4000);
    const [height, width] = input.size ?? [8, 8];
    const count = (input.batch ?? 2) * 3 * height * width;
    const images = new Tensor(
      "float32",
      Float32Array.from({ length: count }, (_, i) => Math.sin(i)),
      [input.batch ?? 2, 3, height, width],
    );
    const [inside, itself] = await Promise.all(
      [InferenceSession.create(model), InferenceSession.create(file)].map(async (session) => {
        const results = await (await session).run({ [input.name]: images });
        return results[output.name]?.data;
      }),
    );
    expect(itself?.length).toBe((input.batch ?? 2) * 3);
    expect(inside).toEqual(itself);
  });

  test("must be there", async () => {
    const alone = await write(await readFile(file));
    expect(String(await failure(readOnnxClassifier(alone)))).toMatch(
      /the weights of .*model\.onnx lie in timm-distilled\.dynamo\.onnx\.data, which is not beside it/u,
    );
  });

  test("must have a name", async () => {
    const error = await failure(read({ weights: { w: 0, v: 1 } }));
    expect(error).toBeInstanceOf(FormatError);
    expect(String(error)).toMatch(/says that "v" lies at ""/u);
  });
});

const data = new URL("../../../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(data))("real files (needs ../shared/data)", () => {
  test.each([
    ["resnet56_cifar10", [32, 32], 10],
    ["mobilenet_v1_075_224", [224, 224], 1000],
  ])("%s", async (folder, size, numClasses) => {
    const { model, ...found } = await readOnnxClassifier(
      fileURLToPath(new URL(`${folder}/model.onnx`, data)),
    );
    expect(model.length).toBeGreaterThan(1e6);
    expect(found).toMatchObject({
      input: { name: "pixel_values", layout: "NCHW", size, batch: undefined },
      output: { name: "logits", columns: numClasses },
      preprocessing: {},
      classes: undefined,
    });
  });
});
