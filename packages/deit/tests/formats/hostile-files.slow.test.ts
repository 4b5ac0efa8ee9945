/** Small files that would take all time or memory, or say impossible things: refused at once, in words, with a code. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { DeitError } from "../../src/errors.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import type { FloatTensor } from "../../src/formats/safetensors.ts";
import { createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { encodeState } from "../../src/training/run/run-state.ts";
import { readState } from "../../src/training/run/run-state-file.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { torchFile, torchPickle } from "../helpers/torch-file.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

const convnet = createModel("resnet20_cifar", { numClasses: 3 });
const layout = modelLayout(convnet);
const weights = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
const file = (tensors: ReadonlyMap<string, FloatTensor>, metadata: Record<string, string> = {}): Uint8Array =>
  serializeSafetensors({
    tensors: new Map([...tensors].map(([name, tensor]) => [name, fromFloat32(tensor)])),
    metadata,
  });
const zeros = (shape: readonly number[]): FloatTensor => ({
  shape,
  data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
});

/** Refused within seconds, with this code, in words that can be read. */
async function expectRefused(work: () => Promise<unknown>, code: string): Promise<string> {
  const start = performance.now();
  const error: unknown = await work().then(
    () => "it was read",
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(DeitError);
  const { code: found, message } = error as DeitError;
  expect([found, message]).toEqual([code, message]);
  expect(message.length).toBeLessThan(9000);
  expect(performance.now() - start).toBeLessThan(10_000);
  return message;
}

async function open(name: string, bytes: Uint8Array, beside: Record<string, string> = {}): Promise<unknown> {
  const folder = join(root, name.replace(/\W/g, "-"));
  await mkdir(folder, { recursive: true });
  for (const [other, content] of Object.entries(beside)) await writeFile(join(folder, other), content);
  await writeFile(join(folder, name), bytes);
  return loadModel(join(folder, name));
}

describe("pickles", () => {
  const pickle = (...parts: (string | number[])[]): Uint8Array =>
    torchPickle(
      Buffer.concat(
        parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))),
      ),
    );

  test("a key that is 2^80 tuples, when it is said what keys there are", async () => {
    // keeps a tuple of the last one twice, eighty times
    const steps = Array.from({ length: 80 }, (_, i) => [0x68, i, 0x68, i, 0x86, 0x71, i + 1, 0x30]).flat();
    const bytes = pickle(
      [0x80, 2, 0x7d, 0x71, 0xfe, 0x4b, 1, 0x85, 0x71, 0, 0x30],
      steps,
      [0x68, 80, 0x4b, 1, 0x73],
      ".",
    );
    await expectRefused(async () => open("key.pth", bytes), "checkpoint/no-tensors");
  });

  test("three million dicts, lists within lists, values kept without end", async () => {
    for (const [name, body] of [
      ["dicts.pth", "}".repeat(3_000_000)],
      ["nested.pth", `${"]".repeat(400_000)}${"a".repeat(399_999)}`],
      ["kept.pth", `N${"\u0094".repeat(5_000_000)}`],
      ["stack.pth", "N".repeat(5_000_000)],
    ] as const) {
      const code = name === "nested.pth" ? "checkpoint/no-tensors" : "checkpoint/damaged";
      await expectRefused(async () => open(name, pickle("\u0080\u0002", body, ".")), code);
    }
  });

  test("dicts in dicts are followed eight deep, and each once", async () => {
    let deep = new Map<string, never>();
    for (let i = 0; i < 50; i++) deep = new Map([["a", deep as never]]);
    await expectRefused(async () => open("deep.pth", torchFile(deep)), "checkpoint/no-tensors");
    // a dict that holds itself
    const own = pickle("\u0080\u0002}q\u0000X\u0001\u0000\u0000\u0000ah\u0000s.");
    await expectRefused(async () => open("own.pth", own), "checkpoint/no-tensors");
  });

  test("thousands of tensors of one record", async () => {
    const shared = zeros([1024, 1024]);
    const many = new Map(Array.from({ length: 3000 }, (_, i) => [`blocks.${i}.weight`, shared] as const));
    const bytes = torchFile(many, { share: true });
    expect(bytes.length).toBeLessThan(6e6);
    expect(await expectRefused(async () => open("shared.pth", bytes), "checkpoint/damaged")).toMatch(
      /share the same numbers/,
    );
  });

  test("a name of tensors that is not a name", async () => {
    const bytes = torchFile(new Map([["x".repeat(1_000_000), zeros([1])]]));
    await expectRefused(async () => open("name.pth", bytes), "checkpoint/damaged");
  });

  test("an archive whose pickle is compressed, a thousandfold", async () => {
    const bomb = deflateRawSync(Buffer.alloc(200_000_000, "N"));
    await expectRefused(
      async () => open("bomb.pth", torchPickle(bomb, { method: 8, size: 200_000_000 })),
      "checkpoint/damaged",
    );
    await expectRefused(
      async () => open("small-bomb.pth", torchPickle(bomb, { method: 8, size: 1_000_000 })),
      "checkpoint/unsupported",
    );
  });
});

describe("safetensors", () => {
  const metadata = (changes: Record<string, unknown>): Record<string, string> => ({
    ...encodeModelMetadata({
      model: convnet.name,
      classes: ["a", "b", "c"],
      inputSize: [32, 32],
      mean: [0, 0, 0],
      std: [1, 1, 1],
      epoch: 0,
      metrics: {},
    }),
    ...Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, JSON.stringify(value)])),
  });

  test.each<[string, Record<string, unknown>]>([
    ["images of a billion pixels a side", { input_size: [1e9, 1e9] }],
    ["no classes", { classes: [] }],
    ["a million classes", { classes: Array.from({ length: 1_000_000 }, () => "") }],
    ["nine megabytes of metrics", { metrics: "x".repeat(9_000_000) }],
  ])("%s", async (name, changes) => {
    await expectRefused(
      async () => open(`${name}.safetensors`, file(weights, metadata(changes))),
      "checkpoint/damaged-settings",
    );
  });

  test("classes nested a million deep", async () => {
    const deep = { ...metadata({}), classes: `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}` };
    await expectRefused(
      async () => open("deep.safetensors", file(weights, deep)),
      "checkpoint/damaged-settings",
    );
  });

  test("eighty thousand tensors that belong to nobody: a message that can be read", async () => {
    const many = new Map([
      ...weights,
      ...Array.from({ length: 80_000 }, (_, i) => [`layer1.0.extra.${i}.weight`, zeros([1])] as const),
    ]);
    await expectRefused(async () => open("many.safetensors", file(many)), "checkpoint/unknown-model");
    await expectRefused(
      async () => open("named.safetensors", file(many, metadata({}))),
      "checkpoint/wrong-tensors",
    );
  });

  test("forty thousand averages of a model", async () => {
    const many = new Map<string, FloatTensor>([
      ["patch_embed.proj.weight", zeros([1])],
      ...Array.from({ length: 40_000 }, (_, i) => [`ema_${i}.patch_embed.proj.weight`, zeros([1])] as const),
    ]);
    await expectRefused(async () => open("averages.safetensors", file(many)), "checkpoint/several-models");
  });

  test("five thousand blocks", async () => {
    const block = (i: number): [string, FloatTensor][] => [
      [`blocks.${i}.attn.qkv.weight`, zeros([24, 8])],
      [`blocks.${i}.mlp.fc1.weight`, zeros([32, 8])],
    ];
    const deep = new Map<string, FloatTensor>([
      ["cls_token", zeros([1, 1, 8])],
      ["pos_embed", zeros([1, 17, 8])],
      ["patch_embed.proj.weight", zeros([8, 3, 4, 4])],
      ["norm.weight", zeros([8])],
      ["head.weight", zeros([3, 8])],
      ...Array.from({ length: 5000 }, (_, i) => block(i)).flat(),
    ]);
    await expectRefused(async () => open("blocks.safetensors", file(deep)), "checkpoint/unknown-model");
  });
});

describe("settings beside weights", () => {
  test.each<[string, string, string]>([
    [
      "nested a hundred thousand deep",
      `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`,
      "checkpoint/unknown-model",
    ],
    [
      "a list nested a million deep",
      `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`,
      "checkpoint/damaged-settings",
    ],
    [
      "of nine megabytes",
      JSON.stringify({ model_type: "vit", x: "y".repeat(9_000_000) }),
      "checkpoint/damaged-settings",
    ],
    [
      "of another model, by a name of a megabyte",
      JSON.stringify({ model_type: "v".repeat(1_000_000) }),
      "checkpoint/unknown-model",
    ],
  ])("%s", async (name, config, code) => {
    await expectRefused(
      async () => open(`${name}.safetensors`, file(weights), { "config.json": config }),
      code,
    );
  });
});

describe("states with impossible counters", () => {
  test.each<[string, Record<string, unknown>]>([
    ["a step below 0", { step: -1 }],
    ["half an update", { updates: 0.5 }],
    ["more epochs than atoms", { epoch: 1e80 }],
    ["text", { step: "3" }],
    ["a best epoch that is none", { best: { epoch: -3 } }],
    ["a list", { skipped: [1] }],
  ])("%s", async (name, change) => {
    const path = join(root, `${name}.safetensors`);
    const counters = { epoch: 1, step: 2, updates: 3, ...change };
    const { tensors, metadata } = encodeState(
      { vectors: { W: new Float32Array(2) }, counters },
      { log: [], args: {} },
    );
    await writeFile(path, file(tensors, metadata));
    await expectRefused(async () => readState(path), "run/damaged-state");
  });
});

const known = fileURLToPath(
  new URL("../../../../../shared/cases/checkpoints/exponential-key.pth", import.meta.url),
);
test.skipIf(!existsSync(known))("exponential-key.pth (skipped without ../shared/cases)", async () => {
  await expectRefused(async () => loadModel(known), "checkpoint/no-tensors");
});
