/**
 * Names of weights: transformers' models under our names and ours under theirs give the same logits, recorded by
 * tests/golden/huggingface/record.py, and the way there and back changes no bit.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { CheckpointError, FormatError } from "../../src/errors.ts";
import { architectureOf } from "../../src/formats/architecture.ts";
import { readHuggingFaceConfig } from "../../src/formats/huggingface.ts";
import { huggingFaceTensors, timmView } from "../../src/formats/key-maps.ts";
import type { Tensor } from "../../src/formats/safetensors.ts";
import { openSafetensors } from "../../src/formats/safetensors-file.ts";
import { identifyModel } from "../../src/models/identify.ts";
import { createDeit, modelOf } from "../../src/models/registry.ts";
import { OURS, seededWeights } from "../golden/huggingface/ours.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededParameter, unpack } from "../helpers/seeded.ts";
import {
  largestDifference,
  memoryFile,
  outputs,
  readAll,
  storedTensors,
  zeros,
} from "./huggingface-models.ts";

interface Case {
  readonly kind: string;
  readonly config: { readonly hidden_size: number; readonly image_size: number | readonly [number, number] };
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly results: Readonly<Record<"logits" | "class" | "distillation" | "token", PackedTensor>>;
  readonly timm?: { readonly logits: PackedTensor };
}

const golden = (name: string): Map<string, Case> => {
  const file = new URL(`../golden/huggingface/${name}`, import.meta.url);
  const entries = Object.entries<Case>(JSON.parse(readFileSync(file, "utf8")));
  return new Map(
    entries.flatMap(([key, value]) => (key.startsWith("case ") ? [[key.slice("case ".length), value]] : [])),
  );
};
const THEIRS = golden("theirs.json");
const RECORDED = golden("ours.json");
/** PyTorch computes in float32, the oracle in float64. */
const TOLERANCE = 1e-5;

/** The tensors of a recorded model, seeded as record.py did. */
function seededLike({ config, tensors }: Case): Map<string, Tensor> {
  return storedTensors(
    new Map(
      Object.entries(tensors).map(([name, shape]) => [
        name,
        { shape, data: seededParameter(name, shape, config.hidden_size) },
      ]),
    ),
  );
}

describe("transformers' models under our names", () => {
  test.each([...THEIRS])("%s", async (_, recorded) => {
    const view = timmView(memoryFile(seededLike(recorded)));
    expect(view.names).toBe("huggingface");
    const { dims, inputSize } = readHuggingFaceConfig(JSON.stringify(recorded.config));
    const architecture = architectureOf(view.tensors);
    if (architecture === undefined) throw new Error("no architecture");
    expect(architecture).toMatchObject({ embedDim: 32, depth: 2, mlpRatio: 2.5, patchSize: 8 });
    const model = identifyModel(architecture, { numHeads: dims?.numHeads, inputSize, numClasses: 5 });
    expect(model.config).toMatchObject({ ...dims, inputSize });

    const tensors = await readAll(view);
    const { heads } = architecture;
    const absent = model.parameters.filter(({ name }) => !tensors.has(name)).map(({ name }) => name);
    const wanted = model.config.distilled ? (["head", "head_dist"] as const) : (["head"] as const);
    const without = wanted.filter((head) => !heads.includes(head));
    expect(absent).toEqual(without.flatMap((head) => [`${head}.weight`, `${head}.bias`]));
    for (const { name, shape } of model.parameters) {
      if (absent.includes(name))
        tensors.set(name, { shape, data: new Float32Array(shape.reduce((a, b) => a * b)) });
      expect(tensors.get(name)?.shape, name).toEqual(shape);
    }
    expect(tensors.size).toBe(model.parameters.length);

    const actual = outputs(model, tensors);
    // one head on a distilled model: its logits are the class token's alone
    if (recorded.kind === "DeiTForImageClassification") actual.logits = actual.class;
    for (const [name, packed] of Object.entries(recorded.results)) {
      const difference = largestDifference(actual[name as keyof typeof actual], unpack(packed));
      expect(difference, name).toBeLessThan(TOLERANCE);
    }
  });

  test("a pooler is passed by, biases that no block has are zeros, and both are said", () => {
    const headless = THEIRS.get("vit without a head");
    const unbiased = THEIRS.get("vit in memory, without biases, not square");
    if (headless === undefined || unbiased === undefined) throw new Error("not recorded");
    const pooled = timmView(memoryFile(seededLike(headless)));
    expect(pooled.ignored).toEqual(["pooler.dense.bias", "pooler.dense.weight"]);
    expect(pooled.notes).toEqual([]);
    const zeroed = timmView(memoryFile(seededLike(unbiased)));
    expect(zeroed.ignored).toEqual([]);
    expect(zeroed.notes).toEqual([expect.stringMatching(/no biases/)]);
  });
});

describe("our models as transformers and timm load them", () => {
  test.each(OURS)("$name", ({ name, model, classes }) => {
    const recorded = RECORDED.get(name);
    if (recorded === undefined) throw new Error("not recorded");
    const weights = seededWeights(model);
    const actual = outputs(model, weights);
    for (const [output, packed] of Object.entries(recorded.results)) {
      const difference = largestDifference(actual[output as keyof typeof actual], unpack(packed));
      expect(difference, output).toBeLessThan(TOLERANCE);
    }
    if (recorded.timm !== undefined)
      expect(largestDifference(actual.logits, unpack(recorded.timm.logits))).toBeLessThan(TOLERANCE);
    expect(recorded).toMatchObject({
      labels: classes,
      kind: model.config.distilled ? "DeiTForImageClassificationWithTeacher" : "ViTForImageClassification",
    });
  });

  test("names are those that transformers writes", () => {
    for (const [recordedName, distilled] of [
      ["vit", false],
      ["deit with both heads", true],
    ] as const) {
      const dims = { embedDim: 32, depth: 2, numHeads: 2, mlpRatio: 2.5, patchSize: 8, numClasses: 5 };
      const model = modelOf("ours", { ...dims, distilled, inputSize: [32, 32] });
      const renamed = huggingFaceTensors(seededWeights(model), { distilled });
      const shapes = Object.fromEntries([...renamed].map(([name, { shape }]) => [name, [...shape]]));
      expect(shapes).toEqual(THEIRS.get(recordedName)?.tensors);
    }
  });
});

describe("there and back", () => {
  const names = ["deit_w64d4_patch4_32", "deit_w96d6_distilled_patch4_32", "deit_tiny_distilled_patch16_224"];
  test.each(names)("%s, bit for bit", async (name) => {
    const model = createDeit(name, { numClasses: 3, inputSize: name.includes("tiny") ? [32, 48] : 32 });
    const { distilled } = model.config;
    const timm = storedTensors(seededWeights(model));
    const back = timmView(memoryFile(huggingFaceTensors(timm, { distilled })));
    const read = new Map<string, Tensor>();
    for (const key of back.tensors.keys()) read.set(key, await back.read(key));
    expectSame(read, timm);
    // and the other way round, from Hugging Face
    expectSame(huggingFaceTensors(read, { distilled }), huggingFaceTensors(timm, { distilled }));
  });

  test("of other types than float32", async () => {
    const half = (rows: number, columns: number): Tensor => ({
      dtype: "F16",
      shape: [rows, columns],
      data: Uint8Array.from({ length: rows * columns * 2 }, (_, i) => (i * 37) % 251),
    });
    const timm = new Map([["blocks.11.attn.qkv.weight", half(9, 3)]]);
    const theirs = huggingFaceTensors(timm, { distilled: false });
    expect([...theirs.keys()]).toEqual([
      "vit.encoder.layer.11.attention.attention.query.weight",
      "vit.encoder.layer.11.attention.attention.key.weight",
      "vit.encoder.layer.11.attention.attention.value.weight",
    ]);
    theirs.set("vit.embeddings.patch_embeddings.projection.weight", half(1, 1));
    const view = timmView(memoryFile(theirs));
    expect(await view.read("blocks.11.attn.qkv.weight")).toEqual(timm.get("blocks.11.attn.qkv.weight"));
    const values = await view.readFloat32("blocks.11.attn.qkv.weight");
    expect([values.shape, values.data.length]).toEqual([[9, 3], 27]);
    expect((await view.read("blocks.11.attn.qkv.bias")).data).toEqual(new Uint8Array(18));
    expect((await view.readFloat32("blocks.11.attn.qkv.bias")).data).toEqual(new Float32Array(9));
  });

  const weights = fileURLToPath(
    new URL("../../../../../shared/data/deit_tiny_patch16_224/model.safetensors", import.meta.url),
  );
  test.skipIf(!existsSync(weights))(
    "the published DeiT-Ti, bit for bit (skipped without ../shared/data)",
    async () => {
      await using file = await openSafetensors(weights);
      const own = timmView(file);
      expect([own.names, own.ignored, own.notes]).toEqual(["timm", [], []]);
      expect(own.tensors).toEqual(file.tensors);
      const stored = new Map<string, Tensor>();
      for (const name of own.tensors.keys()) stored.set(name, await own.read(name));
      const back = timmView(memoryFile(huggingFaceTensors(stored, { distilled: false })));
      const read = new Map<string, Tensor>();
      for (const name of back.tensors.keys()) read.set(name, await back.read(name));
      expect(read.size).toBe(152);
      expectSame(read, stored);
    },
  );
});

/** The same names, in whatever order, and the same bits. */
function expectSame(actual: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, Tensor>): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, { dtype, shape, data }] of expected) {
    const tensor = actual.get(name);
    expect([tensor?.dtype, tensor?.shape], name).toEqual([dtype, shape]);
    expect(Buffer.compare(tensor?.data ?? new Uint8Array(), data), name).toBe(0);
  }
}

describe("what stands around names", () => {
  const model = createDeit("deit_w64d4_distilled_patch4_32");
  const timm = storedTensors(seededWeights(model));
  const theirs = huggingFaceTensors(timm, { distilled: true });
  const renamed = (tensors: Map<string, Tensor>, rename: (name: string) => string): Map<string, Tensor> =>
    new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));

  test.each<[string, (name: string) => string]>([
    ["DistributedDataParallel", (name) => `module.${name}`],
    ["torch.compile", (name) => `_orig_mod.${name}`],
    ["both", (name) => `_orig_mod.module.${name}`],
    ["both, the other way round", (name) => `module._orig_mod.${name}`],
    ["Lightning", (name) => `model.${name}`],
    ["compiled blocks", (name) => name.replace(/^((?:blocks|deit\.encoder\.layer)\.\d+)\./, "$1._orig_mod.")],
  ])("%s", (_, wrap) => {
    for (const tensors of [timm, theirs])
      expect(new Set(timmView(memoryFile(renamed(tensors, wrap))).tensors.keys())).toEqual(
        new Set(timm.keys()),
      );
  });

  test("nothing is read before it is asked for, and only that", async () => {
    const file = memoryFile(theirs);
    const view = timmView(file);
    expect(file.reads.size).toBe(0);
    await view.readFloat32("blocks.2.attn.qkv.weight");
    expect([...file.reads]).toEqual(
      ["query", "key", "value"].map((part) => [`deit.encoder.layer.2.attention.attention.${part}.weight`, 1]),
    );
    await view.close();
    expect(file.closed()).toBe(true);
  });

  test("names that are nobody's stay as they are", () => {
    const extra = new Map([
      ...theirs,
      ...zeros({
        "deit.encoder.layer.0.layer_scale3.lambda1": [4],
        n_averaged: [],
        "deit.encoder.layer.07.norm": [1],
      }),
    ]);
    const added = [...timmView(memoryFile(extra)).tensors.keys()].filter((name) => !timm.has(name));
    expect(added).toEqual([
      "deit.encoder.layer.0.layer_scale3.lambda1",
      "n_averaged",
      "deit.encoder.layer.07.norm",
    ]);
    const leftovers = zeros({ "pre_logits.fc.weight": [4, 4], "fc_norm.weight": [4] });
    const view = timmView(memoryFile(new Map([...timm, ...leftovers])));
    expect([...view.tensors.keys()]).toEqual([...timm.keys(), "pre_logits.fc.weight", "fc_norm.weight"]);
    const other = timmView(memoryFile(zeros({ "module.layer1.0.conv1.weight": [1] })));
    expect([other.names, ...other.tensors.keys()]).toEqual(["unknown", "layer1.0.conv1.weight"]);
  });

  test("a lost part of queries, keys and values is missing, not zero", () => {
    const key = "deit.encoder.layer.1.attention.attention.key.bias";
    const view = timmView(memoryFile(new Map([...theirs].filter(([name]) => name !== key))));
    expect(view.notes).toEqual([]);
    expect(view.tensors.has("blocks.1.attn.qkv.bias")).toBe(false);
    expect([...view.tensors.keys()].filter((name) => !timm.has(name))).toEqual([
      key.replace("key", "query"),
      key.replace("key", "value"),
    ]);
    const lost = new Map([...timm].filter(([name]) => name !== "blocks.0.attn.qkv.bias"));
    expect(timmView(memoryFile(lost)).tensors.has("blocks.0.attn.qkv.bias")).toBe(false);
  });

  test("an unknown tensor of the view is named", async () => {
    await expect(timmView(memoryFile(theirs)).read("nothing")).rejects.toThrow(/no tensor "nothing"/);
  });
});

describe("files that are refused", () => {
  const patch = { "vit.embeddings.patch_embeddings.projection.weight": [4, 3, 1, 1] };
  const at = "vit.encoder.layer.0.attention.attention";
  test.each<[string, Record<string, readonly number[]>, RegExp]>([
    [
      "a model in two copies",
      { "patch_embed.proj.weight": [4, 3, 1, 1], "module.patch_embed.proj.weight": [4, 3, 1, 1] },
      /holds 2 models: \., module\nChoose one: --weights \./,
    ],
    [
      "two class heads",
      { ...patch, "classifier.weight": [2, 4], "cls_classifier.weight": [2, 4] },
      /two tensors for head.weight: classifier.weight and cls_classifier.weight/,
    ],
    [
      "keys of another width",
      {
        ...patch,
        [`${at}.query.weight`]: [4, 4],
        [`${at}.key.weight`]: [2, 4],
        [`${at}.value.weight`]: [4, 4],
      },
      /queries, keys and values differ: .*key.weight F32 \[2, 4\]/,
    ],
    [
      "scalars",
      { ...patch, [`${at}.query.bias`]: [], [`${at}.key.bias`]: [], [`${at}.value.bias`]: [] },
      /queries, keys and values differ/,
    ],
  ])("%s", (_, shapes, message) => {
    expect(() => timmView(memoryFile(zeros(shapes), "w.bin"))).toThrow(FormatError);
    expect(() => timmView(memoryFile(zeros(shapes), "w.bin"))).toThrow(message);
  });

  test("an empty tensor cannot claim memory", async () => {
    const shape = [3e12, 0];
    const empty: Tensor = { dtype: "F32", shape, data: new Uint8Array() };
    const hostile = new Map([
      ...zeros({ "patch_embed.proj.weight": [1, 3, 1, 1] }),
      ["blocks.0.attn.qkv.weight", empty] as const,
    ]);
    const view = timmView(memoryFile(hostile));
    expect([...view.tensors.keys()]).toEqual(["patch_embed.proj.weight", "blocks.0.attn.qkv.weight"]);
    expect((await view.readFloat32("blocks.0.attn.qkv.weight")).data.length).toBe(0);
  });

  test("tensors that Hugging Face has no place for", () => {
    const refuse = (shapes: Record<string, readonly number[]>, distilled: boolean): CheckpointError => {
      try {
        huggingFaceTensors(zeros(shapes), { distilled });
      } catch (error) {
        if (error instanceof CheckpointError) return error;
      }
      throw new Error("accepted");
    };
    expect(refuse({ "stem.conv.weight": [1] }, false)).toMatchObject({
      unexpected: ["stem.conv.weight"],
      message: expect.stringMatching(/not the tensors of a plain DeiT: no place for stem.conv.weight/),
    });
    expect(refuse({ dist_token: [1], "head_dist.weight": [1] }, false).unexpected).toEqual([
      "dist_token",
      "head_dist.weight",
    ]);
    expect(refuse({ cls_token: [1] }, true).missing).toEqual(["dist_token"]);
    expect(
      refuse({ "blocks.0.attn.qkv.weight": [7, 2], "blocks.0.toString.weight": [1] }, false).unexpected,
    ).toHaveLength(2);
  });
});
