/** Weights out of ONNX files: of PyTorch's two exporters, and our own. Recorded by tests/golden/onnx-weights/record.py. */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { DeitError } from "../../src/errors.ts";
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { deployedModel } from "../../src/export/onnx.ts";
import { timmView } from "../../src/formats/key-maps.ts";
import type { FloatTensor } from "../../src/formats/safetensors.ts";
import type { ModelProto } from "../../src/graph/generated/onnx_pb.ts";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import { toFloat16 } from "../../src/interop/to-float16.ts";
import { withWeightsInside } from "../../src/interop/onnx-external.ts";
import { openOnnxWeights } from "../../src/interop/onnx-weights.ts";
import { toInt8 } from "../../src/interop/quantize.ts";
import type { Model } from "../../src/models/registry.ts";
import { createModel } from "../../src/models/registry.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { seededParameter, seededTensor } from "../helpers/seeded.ts";

const golden = (name: string): string => new URL(`../golden/onnx-weights/${name}`, import.meta.url).pathname;

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

/** timm's names of the recorded models: width 8, two blocks, four patches of 4 pixels, three classes. */
const BLOCK = {
  "norm1.weight": [8],
  "norm1.bias": [8],
  "attn.qkv.weight": [24, 8],
  "attn.qkv.bias": [24],
  "attn.proj.weight": [8, 8],
  "attn.proj.bias": [8],
  "norm2.weight": [8],
  "norm2.bias": [8],
  "mlp.fc1.weight": [16, 8],
  "mlp.fc1.bias": [16],
  "mlp.fc2.weight": [8, 16],
  "mlp.fc2.bias": [8],
};
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  cls_token: [1, 1, 8],
  pos_embed: [1, 5, 8],
  "patch_embed.proj.weight": [8, 3, 4, 4],
  "patch_embed.proj.bias": [8],
  ...Object.fromEntries(
    [0, 1].flatMap((i) => Object.entries(BLOCK).map(([name, shape]) => [`blocks.${i}.${name}`, shape])),
  ),
  "norm.weight": [8],
  "norm.bias": [8],
  "head.weight": [3, 8],
  "head.bias": [3],
};
const DISTILLED = {
  ...SHAPES,
  pos_embed: [1, 6, 8],
  dist_token: [1, 1, 8],
  "head_dist.weight": [3, 8],
  "head_dist.bias": [3],
};

const seeded = (name: string, shape: readonly number[]): number[] => [
  ...seededTensor(name, sizeOf(shape), { offset: 0, scale: 1 }),
];
const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);

/** Of transformers' model, as it is in memory. */
const HUGGING_FACE: Readonly<Record<string, string>> = {
  cls_token: "vit.embeddings.cls_token",
  pos_embed: "vit.embeddings.position_embeddings",
  "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
  norm: "vit.layernorm",
  head: "classifier",
  norm1: "layernorm_before",
  norm2: "layernorm_after",
  "attn.proj": "attention.o_proj",
  "mlp.fc1": "mlp.fc1",
  "mlp.fc2": "mlp.fc2",
};

function huggingFaceValues(name: string, shape: readonly number[]): number[] {
  const [, block, module = "", kind = ""] = /^(?:blocks\.(\d)\.)?(.*?)(\.weight|\.bias)?$/.exec(name) ?? [];
  const prefix = block === undefined ? "" : `vit.layers.${block}.`;
  if (module !== "attn.qkv") return seeded(`${prefix}${HUGGING_FACE[module]}${kind}`, shape);
  const part = [8, ...shape.slice(1)];
  return ["q", "k", "v"].flatMap((which) => seeded(`${prefix}attention.${which}_proj${kind}`, part));
}

const FILES: readonly (readonly [string, typeof SHAPES, typeof seeded])[] = [
  ["timm.torchscript.onnx", SHAPES, seeded],
  ["timm-distilled.dynamo.onnx", DISTILLED, seeded],
  ["huggingface.torchscript.onnx", SHAPES, huggingFaceValues],
  ["huggingface.dynamo.onnx", SHAPES, huggingFaceValues],
];

test.each(FILES)("%s holds its model's tensors, to the last bit", async (name, shapes, values) => {
  await using file = timmView(await openOnnxWeights(golden(name)));
  expect([...file.tensors.keys()].sort()).toEqual(Object.keys(shapes).sort());
  for (const [tensor, shape] of Object.entries(shapes)) {
    const found = await file.readFloat32(tensor);
    expect(found.shape, tensor).toEqual(shape);
    expect([...found.data], tensor).toEqual(values(tensor, shape));
  }
});

test("weights without a bias are known by their node", async () => {
  await using file = timmView(await openOnnxWeights(golden("timm-no-bias.torchscript.onnx")));
  expect([...file.tensors.keys()].sort()).toEqual(Object.keys(SHAPES).sort());
  const name = "blocks.1.attn.qkv.weight";
  expect([...(await file.readFloat32(name)).data]).toEqual(seeded(name, [24, 8]));
  expect((await file.readFloat32("blocks.0.attn.qkv.bias")).data).toEqual(new Float32Array(24));
});

function tensorsOf(model: Model): Map<string, FloatTensor> {
  return new Map(
    model.parameters.map(({ name, shape }) => [
      name,
      { shape, data: seededParameter(name, shape, model.transformer?.embedDim ?? 64) },
    ]),
  );
}

function exported(model: Model, preprocessing = false): Uint8Array {
  const metadata = { model: model.name, classes: ["a", "b", "c"] };
  return deployedModel(
    {
      model,
      tensors: tensorsOf(model),
      preprocessing: completePreprocessing(model.config.inputSize, { cropRatio: 0.9 }),
      metadata,
    },
    { preprocessing },
  );
}

async function logits(bytes: Uint8Array, size: readonly number[]): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const dims = [2, 3, ...size];
  const pixels = seededTensor("pixels", sizeOf(dims), { offset: 0, scale: 4 });
  const results = await session.run({ pixel_values: new ort.Tensor("float32", pixels, dims) });
  await session.release();
  return results["logits"]?.data as Float32Array;
}

function furthest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe("an exported model of ours", () => {
  const sizes = [16, [16, 24]] as const;
  test.each(
    [
      "deit_w64d4_patch4_32",
      "deit_w64d4_distilled_patch4_32",
      "vit_w64d2h1_ls_pp_patch4_32",
      "vit_w64d2h1_ls_reg4_pp_patch4_32",
      "vit_w64d2h1_ls_patch4_32",
      "vit_w64d2h1_avg_patch4_32",
    ].flatMap((name) => sizes.map((size) => [name, size] as const)),
  )("%s for %j pixels is the same function when it is loaded", async (name, inputSize) => {
    const model = createModel(name, { numClasses: 3, inputSize });
    const bytes = exported(model);
    const path = join(root, `${name}-${inputSize}.onnx`);
    await writeFile(path, bytes);
    const loaded = await loadModel(path);
    const { inputSize: size } = model.config;
    expect(loaded.model.name).toBe(name);
    expect(loaded.model.config).toEqual(model.config);
    expect(loaded.metadata.classes).toEqual(["a", "b", "c"]);
    expect(loaded.preprocessing).toEqual(completePreprocessing(size, { cropRatio: 0.9 }));
    expect(loaded.notes.join()).toMatch(/normalisations were folded/);
    const [before, after] = [await logits(bytes, size), await logits(deployedModel(loaded), size)];
    expect(Math.max(...before.map(Math.abs))).toBeGreaterThan(0.1);
    expect(furthest(before, after)).toBeLessThan(1e-5);
  });

  test("with its preprocessing inside, or in float16", async () => {
    const model = createModel("deit_w64d4_patch4_32", { numClasses: 3 });
    const plain = await logits(exported(model), [32, 32]);
    for (const [name, bytes, off] of [
      ["app.onnx", exported(model, true), 1e-5],
      ["half.onnx", toFloat16(exported(model)), 2e-2],
    ] as const) {
      await writeFile(join(root, name), bytes);
      const loaded = await loadModel(join(root, name));
      expect(furthest(plain, await logits(deployedModel(loaded), [32, 32])), name).toBeLessThan(off);
    }
  });

  test("in transformers.js's folder has its config.json one folder up", async () => {
    const folder = join(root, "tjs");
    await mkdir(join(folder, "onnx"), { recursive: true });
    await copyFile(golden("huggingface.torchscript.onnx"), join(folder, "onnx/model.onnx"));
    const config = {
      model_type: "vit",
      hidden_size: 8,
      num_attention_heads: 2,
      num_hidden_layers: 2,
      intermediate_size: 16,
      image_size: 8,
      patch_size: 4,
      hidden_act: "gelu",
      id2label: { 0: "x", 1: "y", 2: "z" },
    };
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    const { model, metadata } = await loadModel(folder);
    expect(model.transformer).toMatchObject({ embedDim: 8, numHeads: 2, depth: 2 });
    expect(metadata.classes).toEqual(["x", "y", "z"]);
  });
});

describe("refused, with what helps:", () => {
  const message = async (path: string): Promise<string> => {
    try {
      await using file = timmView(await openOnnxWeights(path));
      for (const name of file.tensors.keys()) await file.read(name);
    } catch (error) {
      expect(error).toBeInstanceOf(DeitError);
      return (error as DeitError).message;
    }
    return "nothing";
  };
  const write = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(root, name);
    await writeFile(path, bytes);
    return path;
  };
  const changed = async (
    name: string,
    change: (model: ModelProto) => void,
    from = "timm.torchscript.onnx",
  ): Promise<string> => {
    const model = fromBinary(ModelProtoSchema, await readFile(golden(from)));
    change(model);
    return message(await write(name, toBinary(ModelProtoSchema, model)));
  };
  const tensor = (model: ModelProto, name: string) => {
    const found = model.graph?.initializer.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(name);
    return found;
  };

  test("a file that is cut off, or none", async () => {
    const bytes = await readFile(golden("timm.torchscript.onnx"));
    expect(await message(await write("cut.onnx", bytes.subarray(0, 20_000)))).toMatch(
      /is not an ONNX model, or only a part/,
    );
    expect(await message(join(root, "nowhere.onnx"))).toMatch(/cannot open .*ENOENT/);
  });

  test("integers", async () => {
    const bytes = toInt8(exported(createModel("deit_w64d4_patch4_32", { numClasses: 3 })));
    expect(await message(await write("int8.onnx", bytes))).toMatch(
      /is quantized \(.*\): .*\nGive the file in float32/,
    );
  });

  test("a convnet of ours, whose normalisations are gone", async () => {
    const bytes = exported(createModel("resnet20_cifar", { numClasses: 3 }));
    expect(await message(await write("convnet.onnx", bytes))).toMatch(
      /cannot be recovered: it is not a DeiT\nA convnet's/,
    );
  });

  test("a tensor whose bytes are not as many as its shape says", async () => {
    const wide = await changed("wide.onnx", (model) => {
      tensor(model, "pos_embed").dims = [1n, 5n, 800_000_000n];
    });
    expect(wide).toMatch(/has 160 bytes for "pos_embed" \[1, 5, 800000000\], where 16000000000 belong/);
  });

  test("matrices that were merged", async () => {
    const merged = await changed("merged.onnx", ({ graph }) => {
      for (const node of graph?.node ?? [])
        node.input = node.input.map((name) =>
          name === "blocks.1.mlp.fc2.bias" ? "blocks.0.mlp.fc2.bias" : name,
        );
    });
    expect(merged).toMatch(/has two matrices for blocks\.0\.mlp\.fc2\.weight: .*merged/);
  });

  describe("weights in another file", () => {
    const from = "timm-distilled.dynamo.onnx";
    const entry = (key: string, value: string) => (model: ModelProto) => {
      for (const found of tensor(model, "patch_embed.proj.weight").externalData)
        if (found.key === key) found.value = value;
    };

    test("that is not there, or too short", async () => {
      const alone = join(root, "alone.onnx");
      await copyFile(golden(from), alone);
      expect(await message(alone)).toMatch(
        /lie in timm-distilled\.dynamo\.onnx\.data, which is not beside it\nCopy/,
      );
      await writeFile(join(root, "timm-distilled.dynamo.onnx.data"), new Uint8Array(100));
      expect(await message(alone)).toMatch(/has 100 bytes; ".*" would be \d+ of them from \d+/);
    });

    test.each([
      ["../secrets", /lies at "\.\.\/secrets"/],
      ["/etc/passwd", /lies at "\/etc\/passwd"/],
      ["..", /lies at "\.\."/],
      ["", /lies at ""/],
    ])("at %j", async (location, expected) => {
      expect(await changed("elsewhere.onnx", entry("location", location), from)).toMatch(expected);
    });

    test.each([
      ["offset", "-8"],
      ["offset", "much"],
      ["length", "8"],
      ["length", "1e300"],
    ])("%s %s", async (key, value) => {
      await copyFile(golden(`${from}.data`), join(root, `${from}.data`));
      expect(await changed("odd.onnx", entry(key, value), from)).toMatch(/lies at|would be/);
    });
  });
});

test("a damaged model with weights in another file is said to be damaged", async () => {
  for (const bytes of [Uint8Array.of(0x3a, 0x7f), Uint8Array.of(0x12, 0x02, 0xff, 0xfe)])
    await expect(withWeightsInside(bytes, "model.onnx")).rejects.toThrow(
      expect.objectContaining({ code: "onnx/damaged" }),
    );
});
