/** Checkpoints that are none: what was given and what to do, said before anything is run. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { DeitError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import { openTensorFile } from "../../src/formats/tensor-file.ts";
import { createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { initialWeights } from "../../src/training/initial-weights.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { FLOAT32, INT64, onnxFile } from "../helpers/onnx-file.ts";

const model = createModel("deit_w64d4_patch4_32");
const layout = modelLayout(model);
const weights = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
type Weights = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
const file = (tensors: Weights, metadata: Record<string, string> = {}): Uint8Array =>
  serializeSafetensors({
    tensors: new Map([...tensors].map(([name, tensor]) => [name, fromFloat32(tensor)])),
    metadata,
  });
const without = (part: RegExp): Weights => new Map([...weights].filter(([name]) => !part.test(name)));
const zeros = (...names: string[]): Weights =>
  new Map(names.map((name) => [name, { shape: [2], data: new Float32Array(2) }]));
const good = file(weights);

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

async function write(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

/** What fine-tuning starts from. */
async function fineTuned(path: string): Promise<unknown> {
  await using checkpoint = await openCheckpoint(path);
  return await initialWeights({ seed: 0, checkpoint }, { model, layout });
}

async function message(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(DeitError);
  return (error as DeitError).message.replaceAll(root, "");
}

describe("what is not a file of weights is called by its name:", () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 22883456\n";
  test.each<[string, Uint8Array | string, RegExp]>([
    ["page.safetensors", "<!DOCTYPE html><html><head>", /is a web page\nThe download went wrong/],
    ["lfs.pth", pointer, /is a Git LFS pointer, .*\nRun git lfs pull/],
    ["lfs.onnx", pointer, /is not an ONNX model: .*\nIt may be cut off, a Git LFS pointer/],
    ["denied.bin", '<?xml version="1.0"?><Error>', /is an XML text, as servers send with a refusal/],
    [
      "photo.pth",
      Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46),
      /is an image .*\nExpected a \.safetensors/,
    ],
    ["keras.h5", Uint8Array.of(0x89, 0x48, 0x44, 0x46, 13, 10, 26, 10, 0), /is an HDF5 file/],
    ["empty.safetensors", "", /is 0 bytes long/],
    [
      "half.safetensors",
      good.subarray(0, good.length / 2),
      /ends at byte \d+ of the data, which has \d+.*\nThe file is cut off/,
    ],
    [
      "head.safetensors",
      good.subarray(0, 100),
      /announces a header of \d+ bytes but only 92 follow.*\nThe file is cut off/,
    ],
    [
      "noise.safetensors",
      new Uint8Array(100).fill(0xee),
      /announces a header of .*\nThis is most likely no safetensors file/,
    ],
  ])("%s", async (name, bytes, expected) => {
    expect(await message(openClassifier(await write(name, bytes)))).toMatch(expected);
  });

  test("an ONNX file of no model that is known", async () => {
    const path = await write("model.onnx", onnxFile({ inputs: {}, outputs: {} }));
    expect(await message(fineTuned(path))).toMatch(
      /has no constants that are named as a model's tensors\nIt will do for eval, predict and --teacher-path/,
    );
  });
});

test("a safetensors file is one whatever bytes its header's length begins with", async () => {
  // 0x80 begins pickles, 0x1f 0x8b gzip, "PK\x03\x04" archives, "{" indices
  for (const length of [0x280, 0x8b1f, 0x7b, 0x47b]) {
    const bytes = serializeSafetensors({
      tensors: new Map([["a", fromFloat32({ shape: [1], data: Float32Array.of(7) })]]),
      metadata: {},
    });
    const header = new TextDecoder().decode(bytes.subarray(8, -4)).trimEnd().padEnd(length);
    const padded = new Uint8Array(8 + length + 4);
    new DataView(padded.buffer).setBigUint64(0, BigInt(length), true);
    padded.set(new TextEncoder().encode(header), 8);
    padded.set(bytes.subarray(-4), 8 + length);
    await using opened = await openTensorFile(await write(`${length}.safetensors`, padded));
    expect((await opened.readFloat32("a")).data[0]).toBe(7);
  }
});

describe("tensors that do not fit are listed shortly, with what may be the cause:", () => {
  test.each<[string, Uint8Array, RegExp]>([
    [
      "no head",
      file(without(/^head\./)),
      /is not a deit_w64d4_patch4_32: .*\n {2}missing: head\.bias; head\.weight\nIt has no classifier.*deit finetune/,
    ],
    [
      "a block less",
      file(without(/^blocks\.2\./)),
      /unexpected: blocks\.3.*; and 7 more\nIts blocks are numbered with a gap/,
    ],
    [
      "parts of another",
      file(without(/^norm\.bias/)),
      /missing: norm\.bias\nTensors are missing: it is one shard of several/,
    ],
    [
      "a decoder more",
      file(new Map([...weights, ...zeros("decoder.weight")])),
      /unexpected: decoder\.weight\nIt was trained with parts.*deit finetune/,
    ],
    [
      "another's metadata",
      file(weights, { model: "deit_tiny_patch16_224" }),
      /missing: .*; and 91 more\n.*and \d+ more\nIts metadata names deit_tiny_patch16_224, which its tensors/,
    ],
    [
      "a model of the future",
      file(weights, { model: "deit_huge" }),
      /names its model "deit_huge", which is unknown to this version\nA later version/,
    ],
    [
      "a part of DeiT III",
      file(new Map([...weights, ...zeros("blocks.0.ls1.gamma")])),
      /not a vit_w64d4h1_ls_patch4_32: .*\n {2}missing: blocks.0.ls2.gamma/,
    ],
    [
      "a ResNet",
      file(zeros("conv1.weight", "layer1.0.conv1.weight")),
      /looks like a ResNet .*\nDeiTs and plain.*\.onnx file/,
    ],
    [
      "something",
      file(zeros("a", "b")),
      /none of its 2 tensors is a vision transformer's; the first are a, b\n/,
    ],
    ["nothing", file(new Map()), /it has no tensors\n/],
  ])("%s", async (name, bytes, expected) => {
    expect(await message(openClassifier(await write(`${name}.safetensors`, bytes)))).toMatch(expected);
  });

  test("a model that was named", async () => {
    const path = await write("named.safetensors", good);
    expect(await message(openClassifier(path, { model: "deit_tiny_patch16_224" }))).toMatch(
      /\nLeave out --model/,
    );
    expect(await message(openClassifier(path, { model: "deit_tiny_patch16_22" }))).toMatch(
      /unknown model .*\nDid you mean/,
    );
  });
});

describe("weights that are not numbers", () => {
  const broken = (value: number): Uint8Array =>
    file(
      new Map(
        [...weights].map(([name, tensor]) => [
          name,
          name.endsWith("fc1.weight") ? { ...tensor, data: tensor.data.with(7, value) } : tensor,
        ]),
      ),
    );

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("%d: for evaluation and export", async (value) => {
    expect(await message(openClassifier(await write("nan.safetensors", broken(value))))).toMatch(
      /has values that are not finite in 4 of its tensors: blocks\.0\.mlp\.fc1\.weight, .*\nIts training diverged/,
    );
  });

  test("for fine-tuning, before a run is made", async () => {
    const finetune = await write("nan.safetensors", broken(Number.NaN));
    expect(await message(fineTuned(finetune))).toMatch(
      /blocks\.0\.mlp\.fc1\.weight of .*nan\.safetensors has values that are not finite/,
    );
  });
});

describe("an ONNX file that is not a classifier:", () => {
  const images = { images: [FLOAT32, [1, 3, 64, 64]] } as const;
  test.each<[string, Parameters<typeof onnxFile>[0], RegExp]>([
    [
      "boxes and scores",
      { inputs: images, outputs: { boxes: [FLOAT32, [1, 100, 4]], scores: [FLOAT32, [1, 100]] } },
      /is not an image classifier but a detector: it returns "boxes" .*\nGive a model/,
    ],
    [
      "boxes by another name",
      { inputs: images, outputs: { output0: [FLOAT32, [1, 100, 4]], output1: [FLOAT32, [1, 100]] } },
      /but a detector/,
    ],
    [
      "words",
      { inputs: { ids: [INT64, ["b", "n"]] }, outputs: { logits: [FLOAT32, ["b", 2]] } },
      /expected one input of images .* it takes "ids" int64/,
    ],
    [
      "images",
      { inputs: images, outputs: { y: [FLOAT32, [1, 3, 128, 128]] } },
      /expected one float32 output of logits .* it returns "y" float32/,
    ],
  ])("%s", async (name, content, expected) => {
    expect(await message(openClassifier(await write(`${name}.onnx`, onnxFile(content))))).toMatch(expected);
  });
});

test("damaged files of every beginning end in an error that says something, or a result", async () => {
  const random = createRandom(3, "beginnings");
  const source = file(zeros("a", "b"));
  for (let round = 0; round < 600; round++) {
    const bytes = source.slice(0, 8 + random.integer(source.length - 8));
    for (let change = random.integer(6); change >= 0; change--)
      bytes[random.integer(16)] = random.integer(256);
    const path = await write("beginning.bin", bytes);
    const outcome = await openTensorFile(path).then(
      async (opened) => opened.close(),
      (error: unknown) => error,
    );
    if (outcome !== undefined) expect(outcome).toBeInstanceOf(DeitError);
  }
});
