import { expect, test } from "vitest";
import { parseTrainOptions } from "../../src/config/resolve.ts";
import type { TrainInput } from "../../src/config/schema.ts";
import type { TrainingPlan } from "../../src/training/plan.ts";
import { planTraining } from "../../src/training/plan.ts";

const planned = (changes: TrainInput = {}): TrainingPlan =>
  planTraining(parseTrainOptions({ dataPath: "./photos", ...changes }));

const codeOf = (changes: TrainInput): unknown => {
  try {
    planned(changes);
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

test("DeiT's defaults, part by part", () => {
  const plan = planned();
  expect(plan.batches).toEqual({ batchSize: 64, accumulationSteps: 1, seed: 0, repeats: 3 });
  expect(plan.images.transform).toMatchObject({ mode: "train", crop: { kind: "auto" }, flip: 0.5 });
  expect(plan.images.transform).toMatchObject({ augment: "rand-m9-mstd0.5-inc1", erasing: { count: 1 } });
  expect(plan.images.mixup).toMatchObject({ mixup: 0.8, cutmix: 1, mode: "batch" });
  expect(plan.evaluation).toEqual({ mode: "evaluation", cropRatio: 0.875 });
  expect(plan.model).toMatchObject({ name: "deit_base_patch16_224", layout: { layerDecay: 1 } });
  expect(plan.optimizer.slots).toEqual(["m", "v", "E"]);
  expect(plan.step).toMatchObject({ mixing: true, erasing: true, evaluationMode: false, dropPath: 0.1 });
  // 300 epochs of cosine, one epoch late, its peak scaled from 512 images an update to 64
  expect(plan.schedule(10)(6, 0)).toBeCloseTo((5e-4 * 64) / 512, 6);
  expect(plan.teacher).toBeUndefined();
  expect(plan.loop.epochs).toBe(300);
  expect(plan.run.folder).toBe("runs/photos-deit_base_patch16_224");
});

test("a part that is switched off is absent", () => {
  const plan = planned({ mixup: 0, cutmix: 0, reprob: 0, aa: null, modelEma: false, repeatedAug: false });
  expect(plan.images.mixup).toBeUndefined();
  expect(plan.images.transform).not.toHaveProperty("erasing");
  expect(plan.images.transform).not.toHaveProperty("augment");
  expect(plan.step).toMatchObject({ mixing: false, erasing: false });
  expect(plan.batches.repeats).toBe(1);
  expect(plan.optimizer.average).toBeUndefined();
});

test("a teacher's request holds what the options say of it", () => {
  const { teacher } = planned({
    model: "deit_tiny_distilled_patch16_224",
    distillationType: "hard",
    teacherPath: "teacher.onnx",
    teacherInputSize: 160,
    teacherCache: "answers",
  });
  expect(teacher).toEqual({
    path: "teacher.onnx",
    model: undefined,
    inputSize: 160,
    mean: undefined,
    std: undefined,
    cache: { folder: "answers", maxBytes: 2 * 2 ** 30 },
  });
});

test.each<[string, TrainInput]>([
  ["options/missing", { distillationType: "hard" }],
  ["options/conflict", { teacherPath: "x.onnx" }],
  ["options/conflict", { distillationType: "labels", teacherPath: "x.onnx" }],
  ["options/conflict", { distillationType: "labels", distillationHead: "class" }],
  ["options/conflict", { bceLoss: true }],
  ["options/conflict", { bceLoss: true, smoothing: 0, classWeights: "balanced" }],
  ["options/conflict", { trainable: "head" }],
  ["options/conflict", { stepsPerRun: 2, accumulationSteps: 2 }],
  ["options/unsupported-by-model", { trainable: "last-13", finetune: "x" }],
  ["options/unsupported-by-model", { distillationType: "hard", teacherPath: "x.onnx" }],
  ["options/unsupported-by-model", { model: "resnet20_cifar", attnDrop: 0.1 }],
])("%s: %o", (code, changes) => {
  expect(codeOf(changes)).toBe(code);
});
