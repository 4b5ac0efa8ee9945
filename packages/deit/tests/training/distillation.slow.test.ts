/** Distilled training as a whole: teachers of every kind, the heads they teach, the cache, and what is refused. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TrainInput } from "../../src/config/schema.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { deployedProgram } from "../../src/models/deploy.ts";
import { readRun } from "../../src/training/run/run-folder.ts";
import type { TrainEvent, TrainResult } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { CLASSES, tinyRun, train, writePhotos } from "./photos.ts";

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
  teacher = join(root, "teacher");
  await train(tinyRun({ dataPath: photos, outputDir: teacher, model: PLAIN, epochs: 4 }));
  onnx = await writeOnnx(join(root, "onnx"), { classes: undefined });
});
beforeEach(() => {
  outputDir = join(root, `run${count++}`);
});

/** The teacher as an ONNX file with a batch size of its own, in a folder of its own, with or without names of classes. */
async function writeOnnx(
  folder: string,
  { classes, batchSize = 4 }: { classes: readonly string[] | undefined; batchSize?: number },
): Promise<string> {
  const { model, tensors } = await loadModel(teacher);
  await mkdir(folder, { recursive: true });
  const order = (classes ?? CLASSES).map((name) => CLASSES.indexOf(name));
  const reordered = new Map(
    [...tensors].map(([name, { shape, data }]) => {
      if (!name.startsWith("head.")) return [name, { shape, data }];
      const width = data.length / CLASSES.length;
      const rows = order.flatMap((index) => [...data.subarray(index * width, (index + 1) * width)]);
      return [name, { shape, data: Float32Array.from(rows) }];
    }),
  );
  const file = join(folder, "model.onnx");
  await writeFile(file, deployedProgram(model, reordered, { batchSize, target: "portable" }).model);
  if (classes !== undefined)
    await writeFile(
      join(folder, "config.json"),
      JSON.stringify({ id2label: Object.fromEntries(classes.map((name, i) => [i, name])) }),
    );
  return file;
}

async function distilled(
  changes: TrainInput,
): Promise<{ result: TrainResult; warnings: string[]; weights: Map<string, Float32Array> }> {
  const events: TrainEvent[] = [];
  const options = tinyRun({
    dataPath: photos,
    outputDir,
    model: DISTILLED,
    distillationType: "hard",
    teacherPath: teacher,
    epochs: 2,
    ...changes,
  });
  const result = await train(options, { onEvent: (event) => events.push(event) });
  const { tensors } = await readCheckpoint(join(options.outputDir, "last.safetensors"));
  return {
    result,
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

test("every loss is in the log by name, and the tokens' likeness", async () => {
  await distilled({ distillationAlpha: 0.3 });
  const { log } = await readRun(outputDir);
  for (const record of log) {
    const [byClass, byTeacher] = [
      Number(record["train_class_loss"]),
      Number(record["train_distillation_loss"]),
    ];
    expect(record.train_loss).toBeCloseTo(0.7 * byClass + 0.3 * byTeacher, 4);
    expect(record["train_gradNorm"]).toBeUndefined();
    expect(Object.keys(record["test_heads"] as object)).toEqual([
      "class",
      "distillation",
      "joint",
      "jointLogits",
      "jointSoftmax",
    ]);
    const { parameters, lastLayer } = record["test_token_similarity"] as Record<string, number>;
    expect(Math.abs(parameters ?? Number.NaN)).toBeLessThan(1);
    expect(Math.abs(lastLayer ?? Number.NaN)).toBeLessThan(1);
  }
});

describe("a teacher", () => {
  const augmented = { mixup: 0.8, cutmix: 1, reprob: 0.5 } as const;

  test("inside the program, beside it and as an ONNX file teaches the same", async () => {
    const inside = await distilled(augmented);
    outputDir = join(root, `run${count++}`);
    const beside = await distilled({ ...augmented, teacherCache: join(root, "answers") });
    outputDir = join(root, `run${count++}`);
    const foreign = await distilled({ ...augmented, teacherPath: onnx });
    expect(largestDifference(inside.weights, beside.weights)).toBeLessThan(1e-4);
    expect(largestDifference(inside.weights, foreign.weights)).toBeLessThan(1e-4);
    expect(foreign.warnings.join()).toContain("does not name its 3 classes");
    const other = await distilled({
      ...augmented,
      distillationType: "labels",
      teacherPath: null,
      outputDir: join(root, "labels"),
    });
    expect(largestDifference(inside.weights, other.weights)).toBeGreaterThan(1e-3);
  });

  test("whose classes are in another order is matched by name", async () => {
    const turned = CLASSES.toReversed().map((name) => name.toUpperCase());
    const names = CLASSES.toReversed();
    const file = await writeOnnx(join(root, "turned"), { classes: names, batchSize: 16 });
    await writeFile(
      join(root, "turned", "config.json"),
      JSON.stringify({ id2label: Object.fromEntries(turned.map((name, i) => [i, name])) }),
    );
    const straight = await distilled({});
    outputDir = join(root, `run${count++}`);
    const reordered = await distilled({ teacherPath: file });
    expect(largestDifference(straight.weights, reordered.weights)).toBeLessThan(1e-4);
  });

  test("sees the student's images in its own resolution and normalisation", async () => {
    const { weights } = await distilled({ inputSize: 16, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });
    expect([...weights.values()].every((data) => data.every(Number.isFinite))).toBe(true);
  });

  test("teaches a plain model's class head", async () => {
    const { result, weights } = await distilled({
      model: PLAIN,
      distillationHead: "class",
      distillationType: "soft",
      distillationTau: 3,
      distillationReduction: "batchmean",
    });
    expect(result.model).toBe(PLAIN);
    expect(weights.has("head_dist.weight")).toBe(false);
  });
});

test("kept answers are used: a second student, and a run that is resumed", async () => {
  const cache = { teacherCache: join(root, "kept"), mixup: 0.8, cutmix: 1 } as const;
  const first = await distilled(cache);
  outputDir = join(root, `run${count++}`);
  const second = await distilled(cache);
  expect(largestDifference(first.weights, second.weights)).toBe(0);
  outputDir = join(root, `run${count++}`);
  await distilled({ ...cache, epochs: 2 });
  const { log } = await readRun(outputDir);
  expect(log.every(({ teacher_seconds: seconds }) => typeof seconds === "number")).toBe(true);
});

describe("is refused before anything is written:", () => {
  const refused = async (changes: TrainInput): Promise<string> => {
    const error: unknown = await distilled(changes).catch((thrown: unknown) => thrown);
    await expect(readFile(join(outputDir, "args.yaml"))).rejects.toThrow("ENOENT");
    if (!(error instanceof Error)) throw new TypeError("it was not refused");
    return error.message.replaceAll("\n", " ");
  };

  test("no teacher", async () => {
    expect(await refused({ teacherPath: null })).toMatch(/needs a teacher.*--teacher-path/);
  });
  test("a teacher for nothing", async () => {
    expect(await refused({ distillationType: "none" })).toMatch(
      /nothing is learnt from it.*--distillation-type/,
    );
    expect(await refused({ distillationType: "labels" })).toMatch(/has no teacher/);
  });
  test("a student without a token", async () => {
    expect(await refused({ model: PLAIN })).toMatch(/no distillation token.*deit_w64d4_distilled_patch4_32/);
  });
  test("a token without a loss", async () => {
    expect(await refused({ distillationHead: "class" })).toMatch(/without a loss/);
  });
  test("a teacher that is not there, here or at an address", async () => {
    expect(await refused({ teacherPath: join(root, "nothing") })).toMatch(/there is no checkpoint/);
    // nobody listens there
    expect(await refused({ teacherPath: "http://127.0.0.1:65534/teacher.pth" })).toMatch(
      /127\.0\.0\.1:65534.*ECONNREFUSED.*download the file by other means/s,
    );
  });
  test("a teacher of other classes", async () => {
    const others = await writePhotos(join(root, "others"));
    await mkdir(join(others, "zebra"), { recursive: true });
    await writeFile(join(others, "zebra", "0.png"), await readFile(join(others, CLASSES[0] ?? "", "0.png")));
    const options = { dataPath: others, valSplit: 0 } as const;
    expect(await refused(options)).toMatch(
      /knows 3 classes, the student 4; the teacher lacks zebra.*--finetune/,
    );
  });
});

test("a distilled model without a teacher is told what it misses", async () => {
  const { warnings } = await distilled({ distillationType: "none", teacherPath: null, epochs: 1 });
  expect(warnings.join()).toContain("the distillation head learns nothing");
});
