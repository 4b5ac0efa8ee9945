/** `deit distill` by embeddings, from end to end: zero-shot teachers by texts and by files of them, and features without labels. */
import { copyFile, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { openDatasets } from "../../src/data/open.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { readRun } from "../../src/training/run/run-folder.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { graphFile } from "../helpers/onnx-graph.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { writePhotos } from "../training/photos.ts";
import { runCommand as deit } from "./run-command.ts";

const golden = fileURLToPath(new URL("../golden/clip-text/", import.meta.url));
const QUICK = ["--epochs", "2", "--batch-size", "8", "--device", "cpu", "--threads", "1", "--workers", "0"];
const STUDENT = ["--model", "deit_w64d4_patch4_32", "--input-size", "16", "--random-weights"];
/** From the means of the colours to an embedding of 12. */
const MATRIX = [0, 1, 2].map((row) => Array.from({ length: 12 }, (_, i) => Math.sin(5 * row + i * i)));

let root = "";
let photos = "";
let images = "";
/** A folder as transformers.js has CLIP. */
let clip = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 8 });
  images = join(root, "unlabelled");
  await mkdir(images);
  const { whole } = await openDatasets({ dataPath: photos });
  for (let i = 0; i < whole.length; i++)
    await copyFile(join(photos, whole.describe(i)), join(images, `${i}-${basename(whole.describe(i))}`));
  clip = join(root, "clip");
  await cp(golden, clip, { recursive: true });
  await writeFile(join(clip, "onnx", "vision_model.onnx"), graphFile({ matrix: MATRIX }));
});

describe("deit distill by embeddings", { timeout: 300_000 }, () => {
  it("labels by class names that the teacher was never trained on, and trains by it", async () => {
    const [labels, out] = [join(root, "labels"), join(root, "student")];
    const words = ["distill", images, "--teacher-path", clip, "--classes", "cat, dog,owl"];
    const options = ["--prompt", "a photo of the {}", "--labels-dir", labels, "--output-dir", out];
    const result = await deit([...words, ...options, ...STUDENT, ...QUICK, "--no-export", "--json"]);
    expect(result.code, result.err).toBe(0);
    const found = JSON.parse(result.out) as {
      teacher: { teacher: string; classes: string[]; images: number };
    };
    expect(found.teacher).toMatchObject({
      teacher: "clip (zero-shot)",
      images: 24,
      classes: ["cat", "dog", "owl"],
    });
    await using teacher = await openClassifier(join(labels, "teacher.onnx"));
    const { whole } = await openDatasets({ dataPath: labels });
    const { width, height, data } = await whole.read(3);
    const [best] = await teacher.classify({ width, height, data });
    expect(whole.classes[whole.labels[3] ?? -1]).toBe(best?.label);
    const args = await readFile(join(out, "args.yaml"), "utf8");
    expect(args).toContain("distillationType: soft");
    expect(args).toContain(`teacherPath: ${join(labels, "teacher.onnx")}`);
    expect(await readFile(join(labels, "unsure.csv"), "utf8")).toContain("file,class,probability");
  });

  it("learns the embedding of the same teacher besides its labels, where that is asked for", async () => {
    const texts = join(root, "texts.json");
    const row = (i: number): number[] => MATRIX[i] ?? [];
    await writeFile(texts, JSON.stringify({ red: row(0), green: row(1), blue: row(2) }));
    const out = join(root, "both");
    const words = ["distill", images, "--teacher-path", join(clip, "onnx", "vision_model.onnx")];
    const zeroShot = ["--text-embeddings", texts, "--logit-scale", "20", "--distillation-type", "feature"];
    const folders = ["--labels-dir", join(root, "labels-both"), "--output-dir", out, "--no-export", "--json"];
    const size = ["--teacher-mean", "0", "0", "0", "--teacher-std", "1", "1", "1"];
    const result = await deit([...words, ...zeroShot, ...folders, ...size, ...STUDENT, ...QUICK]);
    expect(result.code, result.err).toBe(0);
    const { log } = await readRun(out);
    for (const record of log) {
      const parts = [Number(record["train_class_loss"]), Number(record["train_distillation_loss"])];
      expect(record.train_loss).toBeCloseTo(((parts[0] ?? 0) + (parts[1] ?? 0)) / 2, 4);
      expect(Number(record["test_teacher_similarity"])).toBeGreaterThan(-1);
    }
  });

  it("learns an embedding without any label, and measures it by neighbours", async () => {
    const teacher = join(root, "teacher.safetensors");
    await writeRandomModel(teacher, { model: "deit_w96d6_patch4_32", classes: ["a", "b"] });
    const out = join(root, "features");
    const words = ["distill", images, "--teacher-path", teacher, "--distillation-type", "feature"];
    const folders = ["--labels-dir", join(root, "list"), "--output-dir", out, "--labelled", photos];
    const result = await deit([...words, ...folders, ...STUDENT, ...QUICK]);
    expect(result.code, result.err).toBe(0);
    expect(result.err).toContain("24 images without labels: only the embedding of teacher is learned");
    expect(result.out).toMatch(/cosine -?\d\.\d{4} with the teacher's embedding on held-out images, epoch 2/);
    expect(result.out).toMatch(/student, top-1 +\d+\.\d+ % \(\d+ of 24.*by their nearest neighbours/);
    expect(result.out).not.toMatch(/: top-1/);
    const { log } = await readRun(out);
    expect(log.at(-1)?.train_loss).toBeCloseTo(Number(log.at(-1)?.["train_distillation_loss"]), 5);
    // the student is a start for what comes after
    const tuned = ["finetune", photos, "--finetune", out, "--output-dir", join(root, "tuned"), "--no-export"];
    const after = await deit([...tuned, ...QUICK, "--json"]);
    expect(after.code, after.err).toBe(0);
    const again = await deit(["distill", out, "--json"]);
    expect(again.code, again.err).toBe(0);
    expect(again.err).toContain("this run is complete");
  });
});

describe("what is refused", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["a text encoder without classes", ["--text-model", golden], "requires class names"],
    ["a prompt for classes of the teacher's own", ["--prompt", "a {}"], "has fixed classes"],
    ["a scale that is none", ["--logit-scale", "0"], "expected a number above 0"],
    [
      "texts twice",
      ["--text-embeddings", "x.json", "--text-model", golden],
      "--text-embeddings cannot be combined with --text-model or --prompt: it has embeddings of texts already",
    ],
  ];
  it.each(cases)("%s", async (_, flags, words) => {
    const teacher = join(clip, "onnx", "vision_model.onnx");
    const { code, err } = await deit(["distill", images, "--teacher-path", teacher, ...flags]);
    expect([code, err]).toEqual([2, expect.stringContaining(words)]);
  });
});
