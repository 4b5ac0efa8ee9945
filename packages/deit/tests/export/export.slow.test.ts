/** Exports of a small trained run: every format reloads, answers as the run's model, and replaces nothing unasked. */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import type { Answers, Comparison } from "../../src/export/check.ts";
import { compare } from "../../src/export/check.ts";
import type { ExportEvent, ExportOptions, ExportResult } from "../../src/export/export.ts";
import { exportModel } from "../../src/export/export.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { CLASSES, tinyRun, train, writePhotos } from "../training/photos.ts";

let root = "";
let photos = "";
let run = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  run = join(root, "run");
  await train(
    tinyRun({
      dataPath: photos,
      outputDir: run,
      epochs: 2,
      model: "deit_w64d4_distilled_patch4_32",
      distillationType: "labels",
    }),
  );
});

async function exported(
  changes: Partial<ExportOptions> & Pick<ExportOptions, "format" | "out">,
): Promise<{ result: ExportResult; warnings: string[] }> {
  const events: ExportEvent[] = [];
  const result = await exportModel({
    checkpoint: run,
    dataPath: photos,
    valSplit: 0.2,
    images: 12,
    onEvent: (event) => events.push(event),
    ...changes,
  });
  return { result, warnings: events.flatMap(({ type, message }) => (type === "warning" ? [message] : [])) };
}

describe("transformers-js", () => {
  test("writes a folder that transformers.js itself answers from, with a card of what was measured", async () => {
    const out = join(root, "for-js");
    const { result, warnings } = await exported({ format: "transformers-js", out });
    expect(warnings).toEqual([]);
    expect(result.files.map(({ file }) => file)).toEqual([
      "README.md",
      "config.json",
      "confusion.svg",
      "model.safetensors",
      "onnx/model.onnx",
      "onnx/model_fp16.onnx",
      "onnx/model_quantized.onnx",
      "preprocessor_config.json",
    ]);
    const by = result.comparisons.map(({ file, by: who }) => `${file} ${who}`);
    expect(by).toEqual([
      "model.safetensors deit",
      "onnx/model.onnx deit",
      "onnx/model_fp16.onnx deit",
      "onnx/model_quantized.onnx deit",
      "onnx/model.onnx transformers.js",
      "onnx/model_fp16.onnx transformers.js",
      "onnx/model_quantized.onnx transformers.js",
    ]);
    for (const { acc1, agreement, images } of result.comparisons) {
      expect(images).toBe(12);
      expect(acc1).toBeGreaterThanOrEqual(0);
      expect(agreement).toBeGreaterThan(80);
    }
    expect(result.comparisons[0]?.largestDifference).toBe(0);
    expect(result.comparisons[1]?.largestDifference).toBeLessThan(1e-4);
    // generated photos are of any size: as in evaluation, an eighth is cut off
    expect(JSON.parse(await readFile(join(out, "preprocessor_config.json"), "utf8"))).toMatchObject({
      size: { shortest_edge: 18 },
      crop_size: { height: 16, width: 16 },
    });
    const config: unknown = JSON.parse(await readFile(join(out, "config.json"), "utf8"));
    expect(config).toMatchObject({ model_type: "deit", id2label: { "0": CLASSES[0] } });
    const card = await readFile(join(out, "README.md"), "utf8");
    expect(card).toMatch(/^---\nlibrary_name: transformers\.js\n/);
    const [, front = ""] = card.split("---\n");
    const acc = result.comparisons[1]?.acc1 ?? NaN;
    expect(parse(front)).toMatchObject({
      pipeline_tag: "image-classification",
      metrics: ["accuracy"],
      "model-index": [
        {
          name: "for-js",
          results: [
            {
              dataset: { name: "photos", type: "imagefolder" },
              metrics: [{ type: "accuracy", value: Number((acc / 100).toFixed(6)) }],
            },
          ],
        },
      ],
    });
    expect(card).toContain("![confusion matrix](confusion.svg)");
    expect(card).toMatch(/ranges of the int8 file's activations are those of \d+ training images/);
    expect(card).toContain('pipeline("image-classification", "./for-js"');
    expect((await readdir(root)).filter((name) => name.endsWith(".partial"))).toEqual([]);

    // The folder is a checkpoint again, and every file in onnx/ a classifier.
    const { acc1 } = await evaluateCheckpoint({ checkpoint: run, dataPath: photos });
    expect((await evaluateCheckpoint({ checkpoint: out, dataPath: photos })).acc1).toBe(acc1);
    const onnx = join(out, "onnx/model.onnx");
    expect((await evaluateCheckpoint({ checkpoint: onnx, dataPath: photos })).acc1).toBe(acc1);
  });

  test("without images is checked with noise, and says so", async () => {
    const { result, warnings } = await exported({
      format: "transformers-js",
      out: join(root, "blind"),
      dataPath: null,
    });
    expect(warnings.join("\n")).toMatch(/no images were given.*noise/);
    expect(result.comparisons[0]?.acc1).toBeUndefined();
    expect(result.files.map(({ file }) => file)).not.toContain("confusion.svg");
    const card = await readFile(join(root, "blind/README.md"), "utf8");
    expect(card).toContain("images of noise");
    expect(card).toContain("finds the ranges of its activations in every run");
  });
});

test.each(["timm", "huggingface"] as const)("%s: the folder gives the same tensors back", async (format) => {
  const out = join(root, format);
  const { result } = await exported({ format, out });
  expect(result.comparisons[0]).toMatchObject({ largestDifference: 0, agreement: 100 });
  const [before, after] = [await loadModel(run), await loadModel(out)];
  expect(after.model.name).toBe(before.model.name);
  expect(after.metadata.classes).toEqual(CLASSES);
  expect(after.model.config.inputSize).toEqual([16, 16]);
  for (const [name, { data }] of before.tensors) expect(after.tensors.get(name)?.data, name).toEqual(data);
});

test("safetensors and onnx make one file", async () => {
  const own = join(root, "model.safetensors");
  await exported({ format: "safetensors", out: own });
  expect((await readCheckpoint(own)).metadata).toMatchObject({
    model: "deit_w64d4_distilled_patch4_32",
    crop_ratio: "0.875",
  });
  const onnx = join(root, "model.onnx");
  const { result } = await exported({ format: "onnx", out: onnx, preprocessing: true });
  expect(result.files).toEqual([{ file: "model.onnx", bytes: (await stat(onnx)).size }]);
  const [pixels, images] = result.comparisons;
  expect(pixels?.largestDifference).toBeLessThan(1e-4);
  expect(images).toMatchObject({ file: "model.onnx", by: "onnxruntime", images: 12 });
  expect(images?.largestDifference).toBeLessThan(0.1);
});

test("a file that prepares images is checked with noise where there are no images", async () => {
  const onnx = join(root, "noise.onnx");
  const { result } = await exported({ format: "onnx", out: onnx, preprocessing: true, dataPath: null });
  expect(result.comparisons.map(({ by, acc1 }) => [by, acc1])).toEqual([
    ["deit", undefined],
    ["onnxruntime", undefined],
  ]);
});

test("images that cannot be read are left out of what is measured", async () => {
  const broken = await writePhotos(join(root, "broken"), { perClass: 2 });
  await writeFile(join(broken, "disc/0.png"), "no image");
  const out = join(root, "of-broken");
  const { result } = await exported({ format: "transformers-js", out, dataPath: broken, valSplit: 0 });
  expect(new Set(result.comparisons.map(({ images }) => images))).toEqual(new Set([5]));
});

test("an export that is stopped leaves nothing behind", async () => {
  const controller = new AbortController();
  const stopped = exported({
    format: "transformers-js",
    out: join(root, "stopped"),
    signal: controller.signal,
    onEvent: ({ message }) => message.includes("fp16") && controller.abort(),
  });
  await expect(stopped).rejects.toThrow("aborted");
  expect((await readdir(root)).filter((name) => name.includes("stopped"))).toEqual([]);
});

test("the interval of a change is honest about few images, and shrinks with many", () => {
  const answers = (right: readonly boolean[], logit: number): Answers => ({
    logits: Float32Array.from(right.flatMap((isRight) => (isRight ? [logit, 0] : [0, logit]))),
    numClasses: 2,
  });
  const change = (before: boolean[], after: boolean[], logit = 1.1): Comparison["change"] =>
    compare(answers(before, 1), answers(after, logit), {
      labels: new Int32Array(before.length),
      file: "x",
      by: "deit",
      bytes: 1,
    }).change;
  const all = (count: number, value = true): boolean[] => Array<boolean>(count).fill(value);
  expect(change(all(4), all(4))).toMatchObject({ points: 0, interval: expect.closeTo(46.2, 1) });
  expect(change(all(4), all(4), 1 + 1e-6)).toEqual({ points: 0, interval: 0 }); // the same but for rounding
  expect(change(all(650), all(650))?.interval).toBeCloseTo(0.43, 2);
  // Wald's interval of 20 changes to the worse and 10 to the better among 1,000 is 1.07 points
  const [before, after] = [all(1000), all(1000)];
  after.fill(false, 0, 20);
  before.fill(false, 20, 30);
  expect(change(before, after)).toMatchObject({ points: -1, interval: expect.closeTo(1.1, 1) });
});

test("a convnet is exported as onnx, and told so for the rest", async () => {
  const folder = join(root, "convnet");
  await train(
    tinyRun({ dataPath: photos, outputDir: folder, epochs: 1, model: "resnet20_cifar", inputSize: 16 }),
  );
  const onnx = join(root, "convnet.onnx");
  const { result } = await exported({ checkpoint: folder, format: "onnx", out: onnx });
  expect(result.comparisons[0]?.agreement).toBe(100);
  await expect(
    exported({ checkpoint: folder, format: "transformers-js", out: join(root, "convnet-js") }),
  ).rejects.toThrow(/resnet20_cifar is a convnet: --format .* is for transformers\nUse --format onnx/);
});

describe("refused:", () => {
  test("what is there already, unless it is to be replaced", async () => {
    const out = join(root, "mine");
    await mkdir(out);
    await writeFile(join(out, "notes.txt"), "mine");
    await expect(exported({ format: "timm", out })).rejects.toThrow(/mine already exists\n.*--overwrite/);
    expect(await readdir(out)).toEqual(["notes.txt"]);
    await exported({ format: "timm", out, overwrite: true });
    expect((await readdir(out)).toSorted()).toEqual(["config.json", "model.safetensors"]);
  });

  test("a name with another ending, images of other classes, weights that are not finite", async () => {
    await expect(exported({ format: "onnx", out: join(root, "model") })).rejects.toThrow(
      /ends in \.onnx was expected/,
    );
    const broken = join(root, "broken.safetensors");
    const { tensors, metadata } = await readCheckpoint(join(run, "best.safetensors"));
    const head = tensors.get("head.weight");
    if (head === undefined) throw new Error("no head");
    const data = Float32Array.from(head.data).fill(NaN, 0, 1);
    await writeCheckpoint(broken, {
      tensors: new Map([...tensors, ["head.weight", { ...head, data }]]),
      metadata,
    });
    await expect(exported({ checkpoint: broken, format: "onnx", out: join(root, "x.onnx") })).rejects.toThrow(
      /has values that are not finite in 1 of its tensors: head\.weight/,
    );
  });
});
