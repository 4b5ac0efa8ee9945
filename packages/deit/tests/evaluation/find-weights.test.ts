/** Weights as training scripts leave them: under a name, two sets of them, others beside. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { DeitError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { huggingFaceTensors } from "../../src/formats/key-maps.ts";
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createModel, modelOf } from "../../src/models/registry.ts";
import type { Model } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { initialWeights } from "../../src/training/initial-weights.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { torchFile } from "../helpers/torch-file.ts";
import type { TorchValue } from "../helpers/torch-file.ts";

type Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

const model = createModel("deit_w64d4_patch4_32", { numClasses: 3, inputSize: 16 });
const random = (of: Model, seed: number): Weights => {
  const layout = modelLayout(of);
  return unpackTensors(layout, initialVectors(layout, createRandom(seed, "weights")));
};
const trained = random(model, 1);
const averaged = random(model, 2);
const under = (prefix: string, weights: Weights): Weights =>
  new Map([...weights].map(([name, tensor]) => [prefix + name, tensor]));
const extra: Weights = new Map([
  ["criterion.weight", { shape: [3], data: new Float32Array(3) }],
  ["train_acc.correct", { shape: [1], data: new Float32Array(1) }],
]);

let root = "";
let count = 0;
beforeAll(async () => {
  root = await temporaryFolder();
});

async function pth(value: Readonly<Record<string, TorchValue>> | Weights): Promise<string> {
  const path = join(root, `${count++}.pth`);
  await writeFile(path, torchFile(value instanceof Map ? value : new Map(Object.entries(value))));
  return path;
}

async function safetensors(weights: Weights): Promise<string> {
  const path = join(root, `${count++}.safetensors`);
  const tensors = new Map([...weights].map(([name, tensor]) => [name, fromFloat32(tensor)]));
  await writeFile(path, serializeSafetensors({ tensors, metadata: {} }));
  return path;
}

/** What is said of a file, but for how images are prepared and for its heads: bare weights do not say that. */
const aboutWeights = ({ notes }: { notes: readonly string[] }): readonly string[] =>
  notes.filter((note) => !/specify preprocessing|number of attention heads/.test(note));

/** Which weights a file gives, and what is said of it. */
async function taken(path: string, weights?: string): Promise<{ which: string; notes: readonly string[] }> {
  const { tensors, ...loaded } = await loadModel(path, { weights });
  const notes = aboutWeights(loaded);
  const key = "blocks.3.mlp.fc2.weight";
  const same = (other: Weights): boolean =>
    tensors.get(key)?.data.every((value, i) => value === other.get(key)?.data[i]) ?? false;
  return { which: same(trained) ? "trained" : same(averaged) ? "averaged" : "neither", notes };
}

/** What fine-tuning starts from. */
async function fineTuned(path: string): Promise<unknown> {
  await using checkpoint = await openCheckpoint(path);
  return await initialWeights({ seed: 0, checkpoint }, { model, layout: modelLayout(model) });
}

async function refusal(work: Promise<unknown>): Promise<DeitError> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(DeitError);
  return error as DeitError;
}

describe("trained and averaged weights in one file:", () => {
  test.each<[string, Readonly<Record<string, TorchValue>>]>([
    ["DeiT's", { model: trained, model_ema: averaged, epoch: 7, optimizer: extra }],
    ["timm's", { arch: "deit", state_dict: trained, state_dict_ema: averaged, metric: 1 }],
    ["by another name", { model_state_dict: trained, ema_state_dict: averaged }],
    ["wrapped", { model: under("module.", trained), model_ema: under("module.", averaged) }],
    ["Lightning's", { state_dict: new Map([...under("net.", trained), ...under("net_ema.", averaged)]) }],
    [
      "Lightning's averaging callback's",
      { current_model_state: under("net.", trained), state_dict: under("net.", averaged) },
    ],
  ])("%s", async (_, content) => {
    const path = await pth(content);
    const unasked = await taken(path);
    expect(unasked.which).toBe("trained");
    expect(unasked.notes.join()).toMatch(/holds 2 sets of weights.*\(--weights ema takes the other\)/);
    expect((await taken(path, "model")).which).toBe("trained");
    const asked = await taken(path, "ema");
    expect(asked.which).toBe("averaged");
    expect(asked.notes.join()).toMatch(/weights used: .* \(averaged\)/);
  });

  test("of safetensors, too", async () => {
    const path = await safetensors(new Map([...under("model.", trained), ...under("ema.", averaged)]));
    expect((await taken(path)).which).toBe("trained");
    expect((await taken(path, "ema")).which).toBe("averaged");
    expect((await taken(path, "model_ema")).which).toBe("averaged");
  });

  test.each(["model_ema", "state_dict_ema", "ema_state_dict", "ema"])("%s alone just loads", async (name) => {
    const path = await pth({ [name]: averaged, epoch: 3 });
    expect(await taken(path)).toEqual({ which: "averaged", notes: [] });
    expect((await taken(path, "ema")).which).toBe("averaged");
    const error = await refusal(taken(path, "model"));
    expect(error.code).toBe("checkpoint/no-such-weights");
    expect(error.message).toContain(`has only averaged weights; it holds ${name} (averaged)`);
  });

  test("no average to choose", async () => {
    for (const path of [await pth(trained), await safetensors(trained)]) {
      expect((await taken(path, "model")).which).toBe("trained");
      expect((await refusal(taken(path, "ema"))).code).toBe("checkpoint/no-such-weights");
    }
  });
});

describe("a run folder", () => {
  const run = async (files: Readonly<Record<string, "trained" | "averaged">>): Promise<string> => {
    const folder = join(root, `run${count++}`);
    await mkdir(folder);
    for (const [name, weights] of Object.entries(files)) {
      const metadata = encodeModelMetadata({
        model: model.name,
        classes: ["a", "b", "c"],
        inputSize: [16, 16],
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        epoch: 0,
        metrics: {},
        extra: { weights },
      });
      const tensors = weights === "trained" ? trained : averaged;
      await writeCheckpoint(join(folder, `${name}.safetensors`), { tensors, metadata });
    }
    return folder;
  };

  test.each<[string, Readonly<Record<string, "trained" | "averaged">>, string]>([
    ["best trained", { best: "trained", last: "trained", ema: "averaged" }, "trained"],
    ["best averaged", { best: "averaged", last: "trained", ema: "averaged" }, "averaged"],
  ])("%s", async (_, files, best) => {
    const folder = await run(files);
    const unasked = await taken(folder);
    expect(unasked.which).toBe(best);
    expect(unasked.notes.join()).toBe(""); // the run chose them
    expect((await taken(folder, "model")).which).toBe("trained");
    expect((await taken(folder, "ema")).which).toBe("averaged");
  });

  test("without averaged weights", async () => {
    const folder = await run({ best: "trained", last: "trained" });
    expect(await taken(folder)).toEqual({ which: "trained", notes: [] });
    const error = await refusal(taken(folder, "ema"));
    expect(error.code).toBe("checkpoint/not-found");
    expect(error.message).toContain("--model-ema");
  });
});

describe("a model under a prefix", () => {
  const prefixes = ["net.", "model.", "backbone.", "module.", "encoder.", "student.backbone.", "a.b.c.d."];
  test.each(prefixes)("%s", async (prefix) => {
    const bare = await taken(await safetensors(under(prefix, trained)));
    expect(bare).toEqual({ which: "trained", notes: [] });
    const lightning = await taken(
      await pth({ state_dict: new Map([...under(prefix, trained), ...extra]), epoch: 2 }),
    );
    expect(lightning.which).toBe("trained");
    expect(lightning.notes.join()).toMatch(/tensors left out, .*: state_dict\.criterion\.weight, /);
  });

  test("without a prefix, what is of training alone is left out", async () => {
    const { which, notes } = await taken(await safetensors(new Map([...trained, ...extra])));
    expect(which).toBe("trained");
    expect(notes).toEqual([
      "tensors left out, as they are beside the model: criterion.weight, train_acc.correct",
    ]);
    const adapter: Weights = new Map([
      ["blocks.0.adapter.weight", { shape: [1], data: new Float32Array(1) }],
    ]);
    const error = await refusal(taken(await safetensors(new Map([...trained, ...adapter]))));
    expect(error.code).toBe("checkpoint/wrong-tensors");
  });

  test("a head outside of it is missing, and named", async () => {
    const headless = new Map([...trained].filter(([name]) => !name.startsWith("head.")));
    const head = new Map([...trained].filter(([name]) => name.startsWith("head.")));
    const path = await safetensors(new Map([...under("backbone.", headless), ...under("classifier.", head)]));
    const error = await refusal(taken(path));
    expect(error.code).toBe("checkpoint/wrong-tensors");
    expect(error.message).toMatch(
      /missing: head\.bias; head\.weight\n {2}tensors left out, as they are outside of backbone: classifier\.head\.bias, .*\nIt has no classifier/s,
    );
  });

  test("of Hugging Face's names, of a ResNet, of compiled blocks", async () => {
    const theirs = huggingFaceTensors(trained, { distilled: false });
    expect((await taken(await safetensors(under("net.", theirs)))).which).toBe("trained");
    const resnet = createModel("resnet20_cifar");
    const weights = random(resnet, 3);
    const loaded = await loadModel(await safetensors(under("net.", weights)));
    expect(loaded.model.name).toBe("resnet20_cifar");
    const compiled = new Map(
      [...trained].map(([name, tensor]) => [
        name.replace(/^(blocks\.\d+)\./, "net.$1._orig_mod.").replace(/^(?!net\.)/, "net."),
        tensor,
      ]),
    );
    expect((await taken(await safetensors(compiled))).which).toBe("trained");
  });

  test("student and teacher: the student, which is said; two alike: a question", async () => {
    const both = await pth({
      student: under("module.backbone.", trained),
      teacher: under("backbone.", averaged),
    });
    const unasked = await taken(both);
    expect(unasked.which).toBe("trained");
    expect(unasked.notes.join()).toMatch(
      /used: student\.module\.backbone \(--weights teacher\.backbone takes the other\)/,
    );
    expect((await taken(both, "teacher")).which).toBe("averaged");
    const alike = await safetensors(new Map([...under("left.", trained), ...under("right.", averaged)]));
    const error = await refusal(taken(alike));
    expect(error.code).toBe("checkpoint/several-models");
    expect(error.message).toMatch(/holds 2 models: left, right\nChoose one: --weights left\.$/);
    expect((await taken(alike, "right")).which).toBe("averaged");
    const top = await safetensors(new Map([...trained, ...under("other.", averaged)]));
    expect((await refusal(taken(top))).code).toBe("checkpoint/several-models");
    expect((await taken(top, ".")).which).toBe("trained");
    expect((await taken(top, "other")).which).toBe("averaged");
    expect((await refusal(taken(top, "none"))).code).toBe("checkpoint/no-such-weights");
  });
});

test("fine-tuning says of a foreign file what predict says", async () => {
  const path = await safetensors(
    new Map([["net.something.weight", { shape: [1], data: new Float32Array(1) }]]),
  );
  const said = await refusal(loadModel(path));
  const finetune = await refusal(fineTuned(path));
  expect(finetune.message).toBe(said.message);
  expect([said.code, finetune.code]).toEqual(["checkpoint/unknown-model", "checkpoint/unknown-model"]);
});

describe("weights for images that are not squares", () => {
  const config = model.transformer;
  if (config === undefined) throw new Error("unreachable");
  const wide = modelOf("wide", { ...config, inputSize: [16, 32] });
  const weights = random(wide, 4);

  test("go by --input-size", async () => {
    const path = await safetensors(weights);
    const error = await refusal(loadModel(path));
    expect(error.message).toMatch(
      /32 patches of 4 pixels, which make no square\n.*--input-size 16x32, 32x16, 8x64 or 64x8\.$/,
    );
    const loaded = await loadModel(path, { inputSize: [16, 32] });
    expect(loaded.model.config.inputSize).toEqual([16, 32]);
    expect(loaded.tensors.get("pos_embed")?.data).toEqual(weights.get("pos_embed")?.data);
    expect((await refusal(loadModel(path, { inputSize: [16, 16] }))).message).toMatch(/nor 16×16 pixels/);
    await using checkpoint = await openCheckpoint(path);
    expect(checkpoint.model({ inputSize: [32, 16] })?.config.inputSize).toEqual([32, 16]);
  });

  test("as many patches as a square: what the file says counts, else it is said what is assumed", async () => {
    const path = await safetensors(trained); // 4 × 4
    const assumed = await loadModel(path, { inputSize: [8, 32] });
    expect(assumed.tensors.get("pos_embed")?.data).toEqual(trained.get("pos_embed")?.data);
    expect(aboutWeights(assumed)).toEqual([
      "pos_embed's 16 patches are arranged as 2 × 8, to match the input size",
    ]);
    await writeFile(
      join(root, "config.json"),
      JSON.stringify({
        model_type: "vit",
        hidden_size: 64,
        num_hidden_layers: 4,
        num_attention_heads: 1,
        intermediate_size: 256,
        hidden_act: "gelu",
        layer_norm_eps: 1e-6,
        image_size: 16,
        patch_size: 4,
      }),
    );
    const told = await loadModel(path, { inputSize: [8, 32] });
    expect(aboutWeights(told)).toEqual(["pos_embed is interpolated from 4 × 4 to 2 × 8 patches"]);
    expect(told.tensors.get("pos_embed")?.data).not.toEqual(trained.get("pos_embed")?.data);
  });
});

const cases = fileURLToPath(new URL("../../../../../shared/cases/checkpoints/", import.meta.url));
describe.skipIf(!existsSync(cases))("files that failed (skipped without ../shared/cases)", () => {
  test("model-and-ema.pth", async () => {
    const path = join(cases, "model-and-ema.pth");
    const [unasked, model, ema] = [
      await loadModel(path),
      await loadModel(path, { weights: "model" }),
      await loadModel(path, { weights: "ema" }),
    ];
    const head = ({ tensors }: typeof unasked): Float32Array | undefined => tensors.get("head.weight")?.data;
    expect(head(unasked)).toEqual(head(model));
    expect(head(ema)).not.toEqual(head(model));
    expect(unasked.notes.join()).toMatch(/model \(trained\), model_ema \(averaged\); used: model/);
  });
  test("lightning-net.ckpt", async () => {
    const { model, ...loaded } = await loadModel(join(cases, "lightning-net.ckpt"));
    expect([model.transformer?.embedDim, model.config.numClasses, aboutWeights(loaded)]).toEqual([64, 3, []]);
  });
});
