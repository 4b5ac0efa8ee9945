/** Weights, configurations and states of every format, and everything that a command does with a checkpoint before it runs it. */
import { join } from "node:path";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { huggingFaceConfig, timmConfig } from "../../src/formats/huggingface.ts";
import { huggingFaceTensors } from "../../src/formats/key-maps.ts";
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { preprocessorConfig } from "../../src/formats/preprocessor.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import type { FloatTensor } from "../../src/formats/safetensors.ts";
import { timmModel } from "../../src/export/timm.ts";
import { createModel, modelOf } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { progressOf } from "../../src/training/loop/run-progress.ts";
import { encodeState } from "../../src/training/run/run-state.ts";
import { readState, readStateHeader } from "../../src/training/run/run-state-file.ts";
import { torchFile } from "../../tests/helpers/torch-file.ts";
import { damagedJsonFile, damagedSafetensors, damagedTorch } from "./damage.ts";
import type { Specimen } from "./specimen.ts";

const CLASSES = ["cat", "dog", "bird"];
const model = modelOf("vit_w8d2h2_patch4_16", {
  embedDim: 8,
  depth: 2,
  numHeads: 2,
  mlpRatio: 2,
  patchSize: 4,
  distilled: false,
  inputSize: [16, 16],
  numClasses: 3,
});
const layout = modelLayout(model);
const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
const prepared = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], cropRatio: 0.875 } as const;
const json = (content: unknown): Uint8Array => Buffer.from(JSON.stringify(content));
const file = (of: ReadonlyMap<string, FloatTensor>, metadata: Record<string, string> = {}): Uint8Array =>
  serializeSafetensors({
    tensors: new Map([...of].map(([name, tensor]) => [name, fromFloat32(tensor)])),
    metadata,
  });
const under = (prefix: string): Map<string, FloatTensor> =>
  new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]));

/** What a command does with a checkpoint before it runs it. */
async function readAll(path: string): Promise<void> {
  {
    await using checkpoint = await openCheckpoint(path);
    for (const name of [...checkpoint.file.tensors.keys()].slice(0, 200))
      await checkpoint.file.readFloat32(name);
  }
  await loadModel(path);
}

/** Whole files of every format of checkpoints. */
export function checkpoints(): Specimen[] {
  const { transformer } = model;
  if (transformer === undefined) throw new Error("unreachable");
  const registered = createModel("deit_w64d4_patch4_32", { numClasses: 3, inputSize: 16 });
  const ofRun = modelLayout(registered);
  const own = file(unpackTensors(ofRun, initialVectors(ofRun, createRandom(0, "run"))), {
    ...encodeModelMetadata({
      model: "deit_w64d4_patch4_32",
      classes: CLASSES,
      inputSize: [16, 16],
      mean: prepared.mean,
      std: prepared.std,
      epoch: 3,
      metrics: { acc1: 50 },
      extra: { crop_ratio: "0.875", weights: "trained" },
    }),
  });
  const bare = file(tensors);
  const ofConvnet = modelLayout(createModel("resnet20_cifar", { numClasses: 3 }));
  const huggingFace = {
    "config.json": json(huggingFaceConfig(transformer, { classes: CLASSES })),
    "preprocessor_config.json": json(preprocessorConfig({ inputSize: [16, 16], ...prepared })),
  };
  const timm = {
    "config.json": json(timmConfig(timmModel(model), { inputSize: [16, 16], ...prepared, classes: CLASSES })),
  };
  const index = json({
    metadata: {},
    weight_map: Object.fromEntries([...tensors.keys()].map((name) => [name, "model-1.safetensors"])),
  });
  const theirs = huggingFaceTensors(tensors, { distilled: false });
  const bin = torchFile(theirs);
  const both = torchFile(
    new Map<string, never>(
      Object.entries({ model: tensors, model_ema: under("module."), epoch: 3 }) as never,
    ),
  );
  const vectors = {
    "W.decay": new Float32Array(40),
    "M.decay": new Float32Array(40),
    "V.decay": new Float32Array(40),
  };
  const counters = { epoch: 2, step: 3, updates: 19, lossSums: { loss: 3.5 }, skipped: 0, lost: 0 };
  const best = { epoch: 1, acc1: 50, acc5: 100, loss: 1, since: 1, weights: "trained" };
  const { tensors: stored, metadata } = encodeState(
    { vectors, counters: { ...counters, best } },
    { log: [], args: { model: "x", lr: 1 } },
  );
  const weightsOf = (name: string) => async (folder: string) => readAll(join(folder, name));
  return [
    {
      kind: "safetensors",
      file: "model.safetensors",
      bytes: bare,
      beside: timm,
      damage: damagedSafetensors,
      read: weightsOf("model.safetensors"),
    },
    {
      kind: "safetensors of a run",
      file: "best.safetensors",
      bytes: own,
      beside: {},
      damage: damagedSafetensors,
      read: weightsOf(""),
    },
    {
      kind: "pth",
      file: "model.pth",
      bytes: both,
      beside: timm,
      damage: damagedTorch,
      read: weightsOf("model.pth"),
    },
    {
      kind: "bin",
      file: "pytorch_model.bin",
      bytes: bin,
      beside: huggingFace,
      damage: damagedTorch,
      read: weightsOf(""),
    },
    ...Object.entries(huggingFace).map(([name, bytes]) => ({
      kind: name,
      file: name,
      bytes,
      beside: { ...huggingFace, "model.safetensors": file(theirs) },
      damage: damagedJsonFile,
      read: weightsOf(""),
    })),
    {
      kind: "timm's config.json",
      file: "config.json",
      bytes: timm["config.json"],
      beside: { "model.safetensors": bare },
      damage: damagedJsonFile,
      read: weightsOf(""),
    },
    {
      kind: "index",
      file: "model.safetensors.index.json",
      bytes: index,
      beside: { "model-1.safetensors": bare, ...timm },
      damage: damagedJsonFile,
      read: weightsOf("model.safetensors.index.json"),
    },
    {
      kind: "convnet",
      share: 0.5,
      file: "convnet.safetensors",
      bytes: file(unpackTensors(ofConvnet, initialVectors(ofConvnet, createRandom(0, "convnet")))),
      beside: {},
      damage: damagedSafetensors,
      read: weightsOf("convnet.safetensors"),
    },
    {
      kind: "state",
      file: "state.safetensors",
      bytes: file(stored, metadata),
      beside: {},
      damage: damagedSafetensors,
      async read(folder) {
        const path = join(folder, "state.safetensors");
        await readStateHeader(path);
        const progress = progressOf((await readState(path)).counters);
        const numbers = [progress.epoch, progress.step, progress.updates, progress.skipped, progress.lost];
        if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0))
          throw new Error(`counters ${numbers.join()} were read`);
      },
    },
  ];
}
