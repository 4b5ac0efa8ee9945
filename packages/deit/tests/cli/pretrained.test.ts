/** Released weights on the command line: listed, fetched by `deit finetune` alone, used as a teacher by their address. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openTeacher } from "../../src/distillation/teacher.ts";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { locateCheckpoint } from "../../src/evaluation/checkpoints/locate-checkpoint.ts";
import { huggingFaceConfig } from "../../src/formats/huggingface.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { createModel } from "../../src/models/registry.ts";
import { temporaryFolder, writeClasses } from "../data/temporary.ts";
import { COMMIT, startHub } from "../interop/fake-hub.ts";
import { runCommand as deit } from "./run-command.ts";

let root = "";
let closing: (() => void)[] = [];
beforeEach(async () => {
  root = await temporaryFolder();
  for (const name of [
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
  ])
    vi.stubEnv(name, undefined);
  vi.stubEnv("HF_HOME", join(root, "hf"));
  vi.stubEnv("HF_HUB_CACHE", join(root, "hub"));
  vi.stubEnv("DEIT_CACHE", join(root, "deit"));
  vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  for (const close of closing) close();
  closing = [];
});

/** A file with the tensors of a model, all of them 0. */
function zeros(name: string): Uint8Array {
  const tensors = createModel(name).parameters.map(
    ({ name: tensor, shape }) =>
      [tensor, fromFloat32({ shape, data: new Float32Array(sizeOf(shape)) })] as const,
  );
  return serializeSafetensors({ tensors: new Map(tensors), metadata: {} });
}

describe("deit models --pretrained", () => {
  it("lists what is released, where from, and what is here", async () => {
    const first = await deit(["models", "--pretrained"]);
    expect(first.code).toBe(0);
    expect(first.out.match(/^ {2}ImageNet /gm)).toHaveLength(46);
    expect(first.out).toContain(
      "top-1 72.2 %, top-5 91.1 %, at 224 pixels (facebookresearch/deit README_deit.md)",
    );
    expect(first.out).toMatch(/regnety_160 {2}the teacher\n/);
    expect(first.out).toContain("None is on this machine yet.");

    const file = join(root, "deit", "checkpoints", "deit_tiny_patch16_224-a1311bcf.pth");
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, "");
    const { out } = await deit(["models", "--pretrained", "deit_tiny*", "--json"]);
    expect(JSON.parse(out)).toMatchObject([
      {
        model: "deit_tiny_patch16_224",
        acc1: 72.202,
        bytes: 22_869_664,
        url: "https://dl.fbaipublicfiles.com/deit/deit_tiny_patch16_224-a1311bcf.pth",
        hubIds: ["timm/deit_tiny_patch16_224.fb_in1k", "facebook/deit-tiny-patch16-224"],
        here: [file],
      },
      { model: "deit_tiny_distilled_patch16_224", acc1: 74.476, here: [] },
    ]);
    const none = await deit(["models", "--pretrained", "regnety_002*"]);
    expect([none.code, none.err]).toEqual([
      2,
      expect.stringMatching(/there are no pretrained weights for regnety_002\*/),
    ]);
  });
});

describe("deit finetune alone", () => {
  it("fetches DeiT-Ti in sight, once", async () => {
    const photos = join(root, "photos");
    await writeClasses(photos, { cat: 4, dog: 4 });
    const hub = await startHub({
      "timm/deit_tiny_patch16_224.fb_in1k": {
        files: { "model.safetensors": zeros("deit_tiny_patch16_224") },
      },
    });
    closing.push(hub.close);
    vi.stubEnv("HF_ENDPOINT", hub.url);
    const words = ["finetune", photos, "--print-config", "--json"];
    const first = await deit(words);
    expect(first.code, first.err).toBe(0);
    expect(first.err).toContain("downloading timm/deit_tiny_patch16_224.fb_in1k: model.safetensors\n");
    expect(JSON.parse(first.out)).toMatchObject({
      finetune: { value: "timm/deit_tiny_patch16_224.fb_in1k", source: "fine-tuning" },
      model: { value: "deit_tiny_patch16_224" },
    });
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
    const second = await deit(words);
    expect(second.out).toBe(first.out);
    expect(second.err).not.toContain("downloading");
  });

  it("says at once what to do when it cannot be had", async () => {
    const photos = join(root, "photos");
    await writeClasses(photos, { cat: 4, dog: 4 });
    vi.stubEnv("HF_HUB_OFFLINE", "1"); // the network of the test's machine is left alone
    const { code, out, err } = await deit(["finetune", photos]);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(
      /^error: the pretrained deit_tiny_patch16_224 is not on this machine, and could not be fetched:\n {2}- timm\/.* HF_HUB_OFFLINE does not allow .*\n {2}Give weights that you have \(--finetune model\.safetensors\), train without any \(deit train\), or put the file there: .*checkpoints.deit_tiny_patch16_224-a1311bcf\.pth/,
    );
  });
});

describe("the name of a model with pretrained weights", () => {
  it("is a checkpoint wherever one is opened", async () => {
    const hub = await startHub({
      "timm/deit_tiny_patch16_224.fb_in1k": {
        files: { "model.safetensors": zeros("deit_tiny_patch16_224") },
      },
    });
    closing.push(hub.close);
    vi.stubEnv("HF_ENDPOINT", hub.url);
    await using classifier = await openClassifier("deit_tiny_patch16_224");
    expect(classifier).toMatchObject({ name: "deit_tiny_patch16_224", numClasses: 1000 });
    expect(classifier.file).toContain("models--timm--deit_tiny_patch16_224.fb_in1k");
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9"); // it is here now
    expect(await locateCheckpoint("deit_tiny_patch16_224")).toBe(classifier.file);
  });

  it("is refused by what it lacks: weights, or a network", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    for (const name of ["deit_small_patch16_224", "resnet56_cifar"])
      await expect(openClassifier(name)).rejects.toMatchObject({ code: "checkpoint/not-found" });
    await expect(openClassifier("resnet56_cifar")).rejects.toThrow(/is a model without pretrained weights/);
  });
});

describe("the authors' repositories", () => {
  it("are prepared for as DeiT was trained, others as they say", async () => {
    const config = huggingFaceConfig(
      {
        embedDim: 192,
        depth: 12,
        numHeads: 3,
        mlpRatio: 4,
        patchSize: 16,
        distilled: false,
        inputSize: [224, 224],
        numClasses: 2,
      },
      { classes: ["a", "b"] },
    );
    const half = [0.5, 0.5, 0.5];
    const preprocessor = {
      do_normalize: true,
      do_resize: true,
      image_mean: half,
      image_std: half,
      size: 224,
      resample: 3,
    };
    for (const name of ["facebook--deit-tiny-patch16-224", "org--other"]) {
      const snapshot = join(root, "hub", `models--${name}`, "snapshots", COMMIT);
      await mkdir(snapshot, { recursive: true });
      await mkdir(join(snapshot, "..", "..", "refs"));
      await writeFile(join(snapshot, "..", "..", "refs", "main"), COMMIT);
      await writeFile(join(snapshot, "config.json"), JSON.stringify(config));
      await writeFile(join(snapshot, "preprocessor_config.json"), JSON.stringify(preprocessor));
      await writeFile(
        join(snapshot, "model.safetensors"),
        serializeSafetensors({ tensors: new Map(), metadata: {} }),
      );
    }
    const id = "facebook/deit-tiny-patch16-224";
    await using byPath = await openCheckpoint(await locateCheckpoint(id));
    expect(byPath.metadata.mean).toEqual([0.485, 0.456, 0.406]);
    await using official = await openCheckpoint(id);
    expect(official.metadata).toMatchObject({
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      classes: ["a", "b"],
    });
    expect(official.preprocessing).toMatchObject({ cropRatio: 0.875, resize: "shorter-side" });
    expect(official.notes.join()).toContain("prepared as for these weights' training");
    await using other = await openCheckpoint("org/other");
    expect(other.metadata.mean).toEqual(half);
  });
});

it("a teacher may be an address", async () => {
  const bytes = zeros("regnety_w32d9_32");
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 8);
  const server = createServer((_, response) => response.end(bytes));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const teacher = await openTeacher(
    { path: `http://127.0.0.1:${port}/regnety-${hash}.safetensors` },
    { student: { numClasses: 10, classes: undefined }, warn: () => {} },
  );
  expect(teacher).toMatchObject({
    name: "regnety_w32d9_32",
    answers: "logits",
    width: 10,
    hash: expect.stringMatching(`^${hash}`),
  });
});
