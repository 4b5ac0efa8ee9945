/** What is said of ONNX files that are not a classifier, and of files that are not ONNX. */
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CheckpointError, DataError, DeitError, FormatError } from "../../../src/errors.ts";
import { readOnnxClassifier } from "../../../src/evaluation/onnx/onnx-classifier.ts";
import { serializeSafetensors } from "../../../src/formats/safetensors.ts";
import { createRandom } from "../../../src/random.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import type { OnnxFile } from "../../helpers/onnx-file.ts";
import { FLOAT16, FLOAT32, INT64, onnxFile, UINT8 } from "../../helpers/onnx-file.ts";

import { failure, IMAGES, plain, read, real, write } from "./onnx-models.ts";

describe("no classifier", () => {
  test.each<[string, Partial<OnnxFile>, RegExp]>([
    [
      "text",
      { inputs: { input_ids: [INT64, ["b", "n"]], attention_mask: [INT64, ["b", "n"]] } },
      /one input of images.*it takes "input_ids" int64 \[\?, \?\], "attention_mask" int64/u,
    ],
    ["two images", { inputs: { a: [FLOAT32, [1, 3, 8, 8]], b: [FLOAT32, [1, 3, 8, 8]] } }, /"a" .*"b" /u],
    ["images and a prompt", { inputs: { ...IMAGES, input_ids: [INT64, ["b", "n"]] } }, /one input/u],
    ["no input", { inputs: {} }, /it takes nothing/u],
    ["no axes", { inputs: { x: [FLOAT32] } }, /"x" float32 \[…\]/u],
    ["grey", { inputs: { x: [FLOAT32, ["b", 1, 28, 28]] } }, /3 channels.*\[\?, 1, 28, 28\][^]*RGB/u],
    [
      "bytes",
      { inputs: { x: [UINT8, ["b", 224, 224, 3]] } },
      /float32 images.*uint8.*\nIt prepares images itself/u,
    ],
    ["half precision", { inputs: { x: [FLOAT16, ["b", 3, 8, 8]] } }, /float32 images.*float16/u],
    ["absurd size", { inputs: { x: [FLOAT32, [1, 3, 2 ** 30, 2 ** 30]] } }, /too large to be true/u],
    [
      "a detector",
      { outputs: { logits: [FLOAT32, ["b", 100, 92]], pred_boxes: [FLOAT32, ["b", 100, 4]] } },
      /a detector: it returns "logits" float32 \[\?, 100, 92\], "pred_boxes"[^]*one row of logits/u,
    ],
    ["not flattened", { outputs: { y: [FLOAT32, ["b", 10, 1, 1]] } }, /\[\?, 10, 1, 1\][^]*Flatten/u],
    ["two answers", { outputs: { a: [FLOAT32, ["b", 9]], b: [FLOAT32, ["b", 9]] } }, /call them `logits`/u],
    ["integers", { outputs: { logits: [INT64, ["b", 9]] } }, /it returns "logits" int64/u],
    ["absurd classes", { outputs: { logits: [FLOAT32, ["b", 2 ** 40]] } }, /it returns "logits"/u],
    [
      "hostile names",
      { inputs: { [`\u001B[31m${"x".repeat(10_000)}`]: [INT64, [1]] } },
      /"\\u001b\[31mx{50,60}…" int64/u,
    ],
  ])("%s", async (_, model, words) => {
    const error = await failure(read(model));
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).message).toMatch(words);
    expect((error as CheckpointError).hint).toBeDefined();
  });
});

describe("no ONNX file", () => {
  const safetensors = serializeSafetensors({
    tensors: new Map([["w", { dtype: "F32", shape: [2], data: new Uint8Array(8) }]]),
    metadata: {},
  });
  test.each([
    ["empty", "", /is empty/u],
    ["another format", safetensors, /not an ONNX model[^]*safetensors/u],
    ["a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", /Git LFS/u],
    ["a page", "<!doctype html><title>404</title>", /not an ONNX model/u],
    ["zeros", new Uint8Array(1000), /not an ONNX model/u],
    ["cut off", plain.subarray(0, plain.length - 10), /not an ONNX model/u],
  ])("%s", async (_, bytes, words) => {
    const error = await failure(readOnnxClassifier(await write(bytes)));
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toMatch(words);
    expect((error as FormatError).hint).toBeDefined();
  });

  test("larger than 2 GiB", async () => {
    const file = await write(real);
    await truncate(file, 2 ** 31); // sparse
    expect(String(await failure(readOnnxClassifier(file)))).toMatch(/larger than 2 GiB/u);
  });

  test("no file, or a folder", async () => {
    const root = await temporaryFolder();
    for (const path of [join(root, "none.onnx"), root])
      expect(await failure(readOnnxClassifier(path))).toBeInstanceOf(DataError);
  });

  test("every beginning of a file is refused", async () => {
    const file = await write(real);
    for (let length = 1; length < plain.length; length++) {
      await writeFile(file, plain.subarray(0, length));
      expect(await failure(readOnnxClassifier(file))).toBeInstanceOf(FormatError);
    }
  });

  /** A graph whose only content is `pair`, two bytes of an empty message, again and again. */
  const bomb = (pair: readonly [number, number], repeats: number): Buffer => {
    const length = repeats * 2;
    const head = [0x3a, ...[0, 7, 14, 21].map((shift, i) => ((length >> shift) & 127) | (i < 3 ? 128 : 0))];
    return Buffer.concat([Uint8Array.from(head), Buffer.alloc(length, Uint8Array.from(pair))]);
  };
  test.each([
    ["nodes", 0x0a],
    ["weights", 0x2a],
    ["inputs", 0x5a],
    ["outputs", 0x62],
  ])("millions of empty %s take little memory", async (_, tag) => {
    const file = await write(bomb([tag, 0], 2 ** 22));
    const before = process.memoryUsage().heapUsed;
    expect(await failure(readOnnxClassifier(file))).toBeInstanceOf(FormatError);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2 ** 28);
  });

  test("thousands of damaged files are read, or refused with words", { timeout: 60_000 }, async () => {
    const random = createRandom(11, "onnx fuzz");
    const good = onnxFile({
      inputs: { w: [FLOAT32, [2]], pixel_values: [FLOAT32, ["batch", 3, 32, 32]] },
      outputs: { logits: [FLOAT32, ["batch", 3]], tokens: [FLOAT32, ["batch", 5, 8]] },
      metadata: { names: "{0: 'cat', 1: 'dog', 2: 'it\\'s'}" },
      weights: { w: 0 },
    });
    const outcomes = new Set<string>();
    const file = await write(good);
    for (let round = 0; round < 3000; round++) {
      let bytes = good.slice();
      for (let change = random.integer(4); change >= 0; change--) {
        const at = random.integer(bytes.length);
        const kind = random.integer(5);
        if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8));
        else if (kind === 1) bytes[at] = random.integer(256);
        else if (kind === 2) bytes[at] = [0, 0x7f, 0x80, 0xff, 0x0a][random.integer(5)] ?? 0;
        else if (kind === 3 && round % 3 === 0) bytes = bytes.slice(0, Math.max(at, 1));
        else bytes.copyWithin(at, random.integer(bytes.length), random.integer(bytes.length));
      }
      await writeFile(file, bytes);
      try {
        const { classes, input, output } = await readOnnxClassifier(file);
        expect((classes ?? []).join("").length + input.name.length + output.name.length).toBeLessThan(
          good.length,
        );
        outcomes.add("read");
      } catch (error) {
        if (!(error instanceof DeitError)) throw error;
        expect(error.hint).toBeDefined();
        expect(error.message.length).toBeLessThan(2000);
        outcomes.add(error.message.replace(/"[^]*/u, ""));
      }
    }
    expect(outcomes).toContain("read");
    expect(outcomes.size).toBeGreaterThan(4);
  });
});
