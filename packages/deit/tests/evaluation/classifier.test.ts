/** A classifier that is opened once and asked many times, in every way that it can be asked. */
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { openEvaluation } from "../../src/data/open.ts";
import { readImageFile } from "../../src/data/decoding/decode.ts";
import { DeitError } from "../../src/errors.ts";
import type { Classifier } from "../../src/evaluation/classifier.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { classifierDevice } from "../../src/evaluation/classifier-device.ts";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import type { ImageInput } from "../../src/evaluation/image-input.ts";
import type { Readout } from "../../src/evaluation/intermediates.ts";
import { stack } from "../../src/evaluation/intermediates.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { EVALUATION } from "../../src/evaluation/evaluation-program.ts";
import { deployedModel } from "../../src/export/onnx.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES, writePhotos } from "../training/photos.ts";

const CPU = { device: "cpu", threads: 1 } as const;
let root = "";
let photos = "";
let checkpoint = "";
let other = "";
let onnx = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 7 });
  checkpoint = join(root, "model.safetensors");
  other = join(root, "other.safetensors");
  onnx = join(root, "model.onnx");
  await writeRandomModel(checkpoint, { model: "deit_w64d4_distilled_patch4_32", classes: CLASSES });
  await writeRandomModel(other, { model: "deit_w64d4_patch4_32", classes: CLASSES, seed: 1 });
  await writeFile(onnx, deployedModel(await loadModel(checkpoint)));
});

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => "no error",
    (cause: unknown) => cause,
  );
  return error instanceof DeitError ? error.code : String(error);
}

const shares = (predictions: readonly { index: number; score: number }[]): [number, number][] =>
  predictions.map(({ index, score }) => [index, Number(score.toFixed(6))]);

describe("classify", () => {
  test("answers the same for a path, a URL, bytes, a blob and raw pixels", async () => {
    await using classifier = await openClassifier(checkpoint, CPU);
    const path = join(photos, "disc/0.png");
    const bytes = await readFile(path);
    const rgb = await readImageFile(path);
    const { data } = await sharp(path).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    const server = createServer((request, response) => {
      response.statusCode = request.url === "/disc.png" ? 200 : 404;
      response.end(request.url === "/disc.png" ? bytes : "none");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const [expected] = await classifier.classify([path]);
      const inputs: Record<string, ImageInput> = {
        path,
        "file URL": pathToFileURL(path),
        "http address": `${address}/disc.png`,
        "http URL": new URL(`${address}/disc.png`),
        "data URL": `data:image/png;base64,${bytes.toString("base64")}`,
        Buffer: bytes,
        Uint8Array: new Uint8Array(bytes),
        ArrayBuffer: new Uint8Array(bytes).buffer,
        Blob: new Blob([new Uint8Array(bytes)]),
        "raw RGB": rgb,
        "raw RGBA": { data: new Uint8ClampedArray(data), width: rgb.width, height: rgb.height },
      };
      expect(expected?.map(({ label }) => label).toSorted()).toEqual(CLASSES);
      for (const [kind, image] of Object.entries(inputs))
        expect(await classifier.classify(image), kind).toEqual(expected);
      expect(await codeOf(classifier.classify(`${address}/gone.png`))).toBe("data/image-not-fetched");
    } finally {
      server.close();
    }
  });

  test("answers many in their order, whatever their number, and the best k alone", async () => {
    await using classifier = await openClassifier(checkpoint, CPU);
    const paths = CLASSES.flatMap((name) =>
      Array.from({ length: 7 }, (_, i) => join(photos, name, `${i}.png`)),
    );
    const many = [...paths, ...paths.toReversed()]; // 42: more than one batch
    const all = await classifier.classify(many, { topk: 2 });
    expect(all.map(({ length }) => length)).toEqual(many.map(() => 2));
    for (const [i, path] of paths.entries()) {
      const alone = shares(await classifier.classify(path, { topk: 2 }));
      for (const found of [all[i], all[41 - i]])
        for (const [k, [index, score]] of shares(found ?? []).entries()) {
          expect(index).toBe(alone[k]?.[0]);
          expect(score).toBeCloseTo(alone[k]?.[1] ?? Number.NaN, 5);
        }
    }
    expect(await classifier.classify([])).toEqual([]);
  });

  test("refuses what is not an image, and goes on", async () => {
    await using classifier = await openClassifier(checkpoint, CPU);
    const path = join(photos, "disc/0.png");
    await expect(classifier.classify([path, join(root, "none.png")])).rejects.toThrow(
      /none\.png cannot be read/,
    );
    await expect(classifier.classify(new Uint8Array([1, 2, 3]))).rejects.toThrow(DeitError);
    const pixels = { data: new Uint8Array(10), width: 2, height: 2 };
    expect(await codeOf(classifier.classify(pixels))).toBe("data/image-size");
    expect(await codeOf(classifier.logits(new Uint8Array(5)))).toBe("classifier/pixels");
    expect(await classifier.classify(path)).toHaveLength(3);
  });
});

test("a dataset is answered for and evaluated as by deit eval", async () => {
  const expected = await evaluateCheckpoint({ checkpoint, dataPath: photos, ...CPU, workers: 0 });
  await using classifier = await openClassifier(checkpoint, CPU);
  expect(classifier).toMatchObject({
    name: "deit_w64d4_distilled_patch4_32",
    classes: CLASSES,
    inputSize: [16, 16],
  });
  const dataset = await openEvaluation({ dataPath: photos, classes: CLASSES });
  for (const data of [dataset, { dataPath: photos }])
    expect(await classifier.evaluate(data, { workers: 0 })).toMatchObject({
      images: 21,
      acc1: expected.acc1,
      heads: expected.heads,
    });
  const labels: number[] = [];
  for await (const batch of classifier.answers(dataset, { batchSize: 8, workers: 0 }))
    labels.push(...batch.labels.subarray(0, batch.size));
  expect(labels).toEqual([...dataset.labels]);
});

describe("intermediates", () => {
  const attention: Readout = {
    name: "all-attention",
    outputs: ({ attention: layers }) => ({ attention: stack(layers) }),
  };
  const sumOf = async (classifier: Classifier): Promise<number[]> => {
    const found: number[] = [];
    for await (const { outputs, size } of classifier.intermediates([join(photos, "disc/0.png")], attention)) {
      const data = outputs["attention"] as Float32Array;
      found.push(size, data.length, Math.round(data.reduce((sum, value) => sum + value, 0)));
    }
    return found;
  };

  test("are attention and features of every image that can be read", async () => {
    const broken = await writePhotos(join(root, "broken"), { perClass: 2 });
    await writeFile(join(broken, "ring/bad.jpg"), "no image");
    await using classifier = await openClassifier(checkpoint, CPU);
    const dataset = await openEvaluation({ dataPath: broken, classes: CLASSES });
    const features = await classifier.features(dataset, { batchSize: 4, workers: 0 });
    expect([features.width, features.labels.length]).toEqual([128, 6]);
    const [first] = Array.from({ length: dataset.length }, (_, i) => dataset.describe(i));
    const alone = await classifier.features([join(broken, first ?? "")]);
    for (const [i, value] of alone.data.entries())
      expect(value).toBeCloseTo(features.data[i] ?? Number.NaN, 4);
    // 16 patches and 2 tokens, 4 layers: each row of each head's attention adds up to 1
    const { transformer } = (await loadModel(checkpoint)).model;
    const heads = transformer?.numHeads ?? 0;
    expect(await sumOf(classifier)).toEqual([1, 4 * heads * 18 * 18, 4 * heads * 18]);
  });

  test("of an ONNX file are those of the weights in it, where these were asked for", async () => {
    await using foreign = await openClassifier(onnx, CPU);
    expect(await codeOf(sumOf(foreign))).toBe("classifier/no-intermediates");
    await using inside = await openClassifier(onnx, { ...CPU, intermediates: true });
    await using original = await openClassifier(checkpoint, CPU);
    expect(await sumOf(inside)).toEqual(await sumOf(original));
  });
});

test("weights that are too large for a program are state, and the answers the same", async () => {
  const source = await loadModel(checkpoint);
  const images = Uint8Array.from({ length: 3 * 16 * 16 }, (_, i) => (i * 7) % 256);
  const runtime = await createRuntime(CPU);
  const ask = async (largestInside: number): Promise<Float32Array> => {
    const device = classifierDevice(source, { runtime }, { largestInside });
    const { class: logits } = await (await device.program(EVALUATION, 1)).run({ images });
    await device.close();
    return logits as Float32Array;
  };
  try {
    const [inside, beside] = [await ask(2 ** 30), await ask(0)];
    for (const [i, logit] of inside.entries()) expect(beside[i]).toBeCloseTo(logit, 4);
  } finally {
    await runtime.close();
  }
});

test("classifiers share a runtime that is given, and leave it open", async () => {
  const image = join(photos, "ring/0.png");
  const alone: unknown[] = [];
  for (const path of [checkpoint, other, onnx]) {
    await using classifier = await openClassifier(path, CPU);
    alone.push(shares(await classifier.classify(image)));
  }
  const runtime = await createRuntime(CPU);
  try {
    const opened = await Promise.all(
      [checkpoint, other, onnx].map(async (path) => openClassifier(path, { runtime })),
    );
    const ask = async (): Promise<unknown[]> =>
      Promise.all(opened.map(async (classifier) => shares(await classifier.classify(image))));
    expect(await ask()).toEqual(alone);
    expect(await ask()).toEqual(alone);
    await opened[0]?.close();
    await opened[0]?.close(); // twice is once
    expect(await codeOf(opened[0]?.classify(image) ?? Promise.resolve())).toBe("classifier/closed");
    expect(shares((await opened[1]?.classify(image)) ?? [])).toEqual(alone[1]);
    for (const classifier of opened) await classifier.close();
  } finally {
    await runtime.close();
  }
});
