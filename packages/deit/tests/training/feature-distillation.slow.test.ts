/** Feature distillation as a whole: teachers of every kind, what becomes of the projection, and what is refused. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TrainInput } from "../../src/config/schema.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { deployedProgram } from "../../src/models/deploy.ts";
import { readRun } from "../../src/training/run/run-folder.ts";
import type { TrainEvent } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { onnxFile } from "../helpers/onnx-file.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES, estimate, tinyRun, train, writePhotos } from "./photos.ts";

const PLAIN = "deit_w64d4_patch4_32";
const DISTILLED = "deit_w64d4_distilled_patch4_32";

let root = "";
let photos = "";
let teacher = "";
let onnx = "";
let count = 0;
let outputDir = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  teacher = join(root, "teacher.safetensors");
  await writeRandomModel(teacher, { model: "deit_w96d6_patch4_32", classes: ["a", "b"] });
  const { model, tensors } = await loadModel(teacher);
  onnx = join(root, "teacher.onnx");
  await writeFile(onnx, deployedProgram(model, tensors, { batchSize: 4, target: "portable" }).model);
});
beforeEach(() => {
  outputDir = join(root, `run${count++}`);
});

async function learn(
  changes: TrainInput = {},
): Promise<{ warnings: string[]; weights: Map<string, Float32Array> }> {
  const events: TrainEvent[] = [];
  const options = tinyRun({
    dataPath: photos,
    outputDir,
    distillationType: "feature",
    distillationHead: "class",
    teacherPath: teacher,
    epochs: 2,
    ...changes,
  });
  await train(options, { onEvent: (event) => events.push(event) });
  const { tensors } = await readCheckpoint(join(options.outputDir, "last.safetensors"));
  return {
    warnings: events.flatMap((event) => (event.type === "warning" ? [event.message] : [])),
    weights: new Map([...tensors].map(([name, { data }]) => [name, data])),
  };
}

function largestDifference(a: Map<string, Float32Array>, b: Map<string, Float32Array>): number {
  let largest = 0;
  for (const [name, data] of a)
    for (const [i, value] of data.entries())
      largest = Math.max(largest, Math.abs(value - (b.get(name)?.[i] ?? Number.NaN)));
  return largest;
}

const similarities = async (): Promise<number[]> =>
  (await readRun(outputDir)).log.map((record) => Number(record["test_teacher_similarity"]));

describe("a student of embeddings", { timeout: 300_000 }, () => {
  test("comes nearer to its teacher, and is saved as the model alone", async () => {
    const { weights } = await learn({ epochs: 6, distillationAlpha: 1, modelEma: true, modelEmaDecay: 0.5 });
    const found = await similarities();
    expect(found[5]).toBeGreaterThan((found[0] ?? 1) + 0.01);
    expect(found[5]).toBeLessThanOrEqual(1);
    const { log } = await readRun(outputDir);
    for (const record of log) {
      expect(record.train_loss).toBeCloseTo(Number(record["train_distillation_loss"]), 5);
      expect(Number(record["test_ema_teacher_similarity"])).toBeLessThan(1);
    }
    expect([...weights.keys()].filter((name) => name.startsWith("embedding_proj"))).toEqual([]);
    await using student = await openClassifier(outputDir);
    expect(student.labels).toEqual(CLASSES);
  });

  test("learns the true labels with both heads where it has a distillation token", async () => {
    await learn({ model: DISTILLED, distillationHead: "token", distillationAlpha: 0.5 });
    const { log } = await readRun(outputDir);
    for (const record of log) {
      const parts = [Number(record["train_class_loss"]), Number(record["train_distillation_loss"])];
      expect(record.train_loss).toBeCloseTo(((parts[0] ?? 0) + (parts[1] ?? 0)) / 2, 4);
      expect(Object.keys(record["test_heads"] as object)).toContain("distillation");
    }
  });

  test("learns the same from an ONNX file of the teacher, beside it, inside and from the cache", async () => {
    const augmented = { mixup: 0.8, cutmix: 1, reprob: 0.5, distillationAlpha: 0.7 } as const;
    const inside = await learn(augmented);
    outputDir = join(root, `run${count++}`);
    const cache = { teacherCache: join(root, "answers") };
    const kept = await learn({ ...augmented, ...cache });
    expect(largestDifference(inside.weights, kept.weights)).toBeLessThan(2e-3);
    outputDir = join(root, `run${count++}`);
    const again = await learn({ ...augmented, ...cache });
    expect((await readRun(outputDir)).log.map((record) => record["teacher_misses"])).toEqual([0, 0]);
    expect(largestDifference(kept.weights, again.weights)).toBe(0);
    outputDir = join(root, `run${count++}`);
    const normalisation = { teacherMean: [0.5, 0.5, 0.5], teacherStd: [0.2, 0.2, 0.2] } as const;
    const foreign = await learn({ ...augmented, teacherPath: onnx, ...(normalisation as TrainInput) });
    expect(foreign.warnings.join()).toContain("its embedding is what its classifier reads");
    expect(largestDifference(inside.weights, foreign.weights)).toBeLessThan(2e-3);
  });

  test("goes on as if it had not been interrupted: the projection is part of the state", async () => {
    const whole = await learn({ epochs: 3, modelEma: true });
    outputDir = join(root, `run${count++}`);
    const stop = new AbortController();
    const changes = { dataPath: photos, outputDir, epochs: 3, modelEma: true, teacherPath: teacher } as const;
    const options = tinyRun({ ...changes, distillationType: "feature", distillationHead: "class" });
    const interrupted = train(options, {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === "step" && event.epoch === 1 && event.step === 2) stop.abort();
      },
    });
    await expect(interrupted).rejects.toMatchObject({ name: "InterruptedError" });
    const rest = await learn({ epochs: 3, modelEma: true });
    expect(largestDifference(whole.weights, rest.weights)).toBe(0);
  });

  test("may be a convnet, may have adapters, and may have a convnet for a teacher", async () => {
    const convnet = join(root, "convnet.safetensors");
    await writeRandomModel(convnet, { model: "resnet20_cifar", classes: ["a", "b"], inputSize: 32 });
    await learn({ model: "resnet20_cifar", inputSize: 16, teacherPath: convnet, distillationAlpha: 1 });
    expect((await similarities()).every((value) => value > -1 && value <= 1)).toBe(true);
    outputDir = join(root, `run${count++}`);
    const start = join(root, "start.safetensors");
    await writeRandomModel(start, { model: PLAIN, classes: CLASSES });
    const { weights } = await learn({ finetune: start, trainable: "lora", distillationAlpha: 1, epochs: 4 });
    const found = await similarities();
    expect(found[3]).toBeGreaterThan(found[0] ?? 1);
    expect([...weights.keys()].some((name) => name.includes("lora") || name.includes("proj.A"))).toBe(false);
  });
});

test("what it would take is estimated", { timeout: 120_000 }, async () => {
  const changes = { distillationType: "feature", distillationHead: "class", teacherPath: teacher } as const;
  const found = await estimate(tinyRun({ dataPath: photos, outputDir, ...changes }));
  expect(found.seconds).toBeGreaterThan(0);
  expect(found.parameters).toBeGreaterThan(64 * 96);
});

describe("what is refused", { timeout: 120_000 }, () => {
  test("a teacher without embeddings, by its outputs", async () => {
    const refused = join(root, "scores.onnx");
    const [inputs, outputs] = [{ images: [1, [4, 3, 16, 16]] }, { logits: [1, [4, 5]] }] as const;
    await writeFile(refused, onnxFile({ inputs, outputs }));
    await expect(learn({ teacherPath: refused })).rejects.toMatchObject({
      code: "teacher/no-embedding",
      message: expect.stringContaining('"logits" float32 [4, 5]'),
    });
  });

  test("labels for the distillation head, which have no meaning", async () => {
    await expect(
      learn({ model: DISTILLED, distillationHead: "token", distillationLabels: 0.5 }),
    ).rejects.toMatchObject({ code: "options/conflict" });
  });

  test("no teacher", async () => {
    await expect(learn({ teacherPath: null })).rejects.toMatchObject({ code: "options/missing" });
  });
});
