/** Convnets in training: batch statistics go into the model, resume and average with it; and they teach. */
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TrainInput } from "../../src/config/schema.ts";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { InterruptedError } from "../../src/training/train.ts";
import type { TrainResult } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { tinyRun, train, writePhotos } from "./photos.ts";

let root = "";
let photos = "";
let count = 0;
let outputDir = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
});
beforeEach(() => {
  outputDir = join(root, `run${count++}`);
});

const options = (changes: TrainInput): ReturnType<typeof tinyRun> =>
  tinyRun({ dataPath: photos, outputDir, model: "regnety_w32d9_32", opt: "sgd", lr: 0.05, ...changes });

async function trained(changes: TrainInput = {}): Promise<TrainResult> {
  return train(options(changes));
}

async function weights(name = "last"): Promise<Map<string, Float32Array>> {
  const { tensors } = await readCheckpoint(join(outputDir, `${name}.safetensors`));
  return new Map([...tensors].map(([key, { data }]) => [key, data]));
}

test("a RegNetY learns, and its model holds its running statistics", async () => {
  const { best } = await trained({ epochs: 4 });
  expect(best.acc1).toBeGreaterThan(60); // a third is chance
  const tensors = await weights();
  const mean = tensors.get("s1.b1.conv1.bn.running_mean") ?? new Float32Array();
  const variance = tensors.get("s1.b1.conv1.bn.running_var") ?? new Float32Array();
  expect(mean.some((value) => value !== 0)).toBe(true);
  expect(variance.every((value) => value > 0)).toBe(true);
  expect(variance.some((value) => value !== 1)).toBe(true);
  const report = await evaluateCheckpoint({ checkpoint: outputDir, dataPath: photos, valSplit: 0.1 });
  expect(report.acc1).toBeCloseTo(best.acc1, 5);
  expect(report.tokens).toBeUndefined();
});

test("a run that was stopped goes on to the same weights and statistics", async () => {
  await trained({ epochs: 3 });
  const expected = await weights();
  outputDir = join(root, `run${count++}`);
  const stop = new AbortController();
  let steps = 0;
  const stopped = train(options({ epochs: 3 }), {
    signal: stop.signal,
    onEvent: ({ type }) => {
      if (type === "step" && ++steps === 4) stop.abort();
    },
  });
  await expect(stopped).rejects.toThrow(InterruptedError);
  await trained({ epochs: 3 });
  expect(await weights()).toEqual(expected);
});

test("accumulation and the average of the weights take statistics along", async () => {
  await trained({ epochs: 2, accumulationSteps: 2, batchSize: 8, modelEma: true, modelEmaDecay: 0.5 });
  const [last, average] = [await weights(), await weights("ema")];
  const name = "stem.bn.running_var";
  expect(average.get(name)).not.toEqual(last.get(name));
  expect(average.get(name)?.every((value) => Number.isFinite(value) && value > 0)).toBe(true);
});

describe("as a teacher", () => {
  test("a convnet teaches by its name and its run folder, inside the student's program", async () => {
    await trained({ epochs: 2 });
    const teacherPath = outputDir;
    outputDir = join(root, `run${count++}`);
    const { model } = await trained({
      model: "deit_w64d4_distilled_patch4_32",
      opt: "adamw",
      lr: 1e-3,
      epochs: 1,
      distillationType: "hard",
      teacherModel: "regnety_w32d9_32",
      teacherPath,
    });
    expect(model).toBe("deit_w64d4_distilled_patch4_32");
  });
});

describe("fine-tuning at a higher resolution", () => {
  test("takes interpolated positions along, with labels and a teacher", async () => {
    const model = "deit_w64d4_distilled_patch4_32";
    const distilled = { model, opt: "adamw", lr: 1e-3, distillationType: "labels", epochs: 4 } as const;
    const before = await trained(distilled);
    const finetune = outputDir;
    outputDir = join(root, "teacher");
    await trained({ epochs: 1 });
    const teacherPath = outputDir;
    outputDir = join(root, `run${count++}`);
    const warnings: string[] = [];
    const result = await train(
      options({
        ...distilled,
        distillationType: "hard",
        teacherPath,
        finetune,
        inputSize: 40,
        lr: 1e-5,
        epochs: 1,
      }),
      {
        onEvent: (event) => {
          if (event.type === "note") warnings.push(event.message);
        },
      },
    );
    expect(warnings.join("\n")).toContain("pos_embed is interpolated from 4 × 4 to 10 × 10 patches");
    expect(warnings.join("\n")).not.toContain("fresh");
    expect(result.best.acc1).toBeGreaterThan(before.best.acc1 - 34); // one of three classes of two images
  });
});

describe("options that only a transformer has a place for are refused:", () => {
  test.each([{ drop: 0.1 }, { attnDrop: 0.1 }] as const)("%o", async (changes) => {
    await expect(trained(changes)).rejects.toMatchObject({ code: "options/unsupported-by-model" });
  });
});
