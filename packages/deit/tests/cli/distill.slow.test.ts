/** `deit distill` from end to end: a trained teacher, images without classes, a student. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openDatasets } from "../../src/data/open.ts";
import { labelImages } from "../../src/distillation/label-images.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { tinyRun, train, writePhotos } from "../training/photos.ts";
import { runCommand as deit } from "./run-command.ts";

const QUICK = ["--epochs", "2", "--device", "cpu", "--threads", "1", "--workers", "0"];

let root = "";
let photos = "";
let teacher = "";
/** The same images without their classes: some flat, some in a folder that means nothing. */
let images = "";
let classes: readonly string[] = [];
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  teacher = join(root, "teacher");
  await train(tinyRun({ dataPath: photos, outputDir: teacher, epochs: 3 }));
  images = join(root, "unlabelled");
  await mkdir(join(images, "2024", "summer"), { recursive: true });
  const { whole } = await openDatasets({ dataPath: photos });
  ({ classes } = whole);
  for (let i = 0; i < whole.length; i++) {
    const name = whole.describe(i);
    const copy = `${i}-${basename(name)}`;
    await copyFile(join(photos, name), join(images, i % 2 === 0 ? copy : join("2024", "summer", copy)));
  }
  await writeFile(join(images, "notes.txt"), "not an image");
});

describe("deit distill", { timeout: 300_000 }, () => {
  it("labels images, trains a student on them, and measures agreement and truth", async () => {
    const out = join(root, "student");
    const labels = join(root, "labels");
    const words = ["distill", images, "--teacher-path", teacher, "--model", "deit_w64d4_patch4_32"];
    const sizes = ["--input-size", "16", "--random-weights", "--labels-dir", labels, "--output-dir", out];
    const truth = ["--labelled", photos, "--batch-size", "8", "--export", "--json"];
    const { code, out: text, err } = await deit([...words, ...sizes, ...truth, ...QUICK]);
    expect(code, err).toBe(0);
    const result = JSON.parse(text) as Record<string, Record<string, unknown>>;
    const { train: learnt, validation } = await openDatasets({ dataPath: labels });
    const all = (await readdir(images, { recursive: true })).filter((name) => /\.\w+$/.test(name)).length - 1;
    expect(learnt.length + (validation?.length ?? 0)).toBe(all);
    expect(learnt.classes).toEqual(classes);
    expect(result["best"]?.["images"]).toBe(validation?.length);
    expect(result["teacher"]).toMatchObject({
      images: all,
      classes,
      folder: labels,
      teacher: "deit_w64d4_patch4_32",
    });
    expect(result["truth"]).toMatchObject({ student: { images: all }, teacher: { images: all } });
    const args = await readFile(join(out, "args.yaml"), "utf8");
    for (const line of [
      "distillationType: soft",
      "distillationHead: class",
      "distillationReduction: batchmean",
    ])
      expect(args).toContain(line);

    // the labels are the teacher's own decisions, whichever folder an image lies in
    await using classifier = await openClassifier(teacher);
    const { whole } = await openDatasets({ dataPath: labels });
    for (const index of [0, 1, whole.length - 1]) {
      const [best] = await classifier.classify(
        await whole.read(index).then(({ width, height, data }) => ({ width, height, data })),
      );
      expect(whole.classes[whole.labels[index] ?? -1]).toBe(best?.label);
    }

    const card = async (): Promise<string> => readFile(join(out, "transformers-js", "README.md"), "utf8");
    expect(await card()).toContain("was distilled from teacher. Its files state no licence");
    await writeFile(join(teacher, "LICENSE"), "MIT License\n\nCopyright");
    const exported = await deit(["export", out, "--overwrite", "--output-dir", join(out, "transformers-js")]);
    expect(exported.code, exported.err).toBe(0);
    expect(await card()).toContain("was distilled from teacher. Its licence: mit.");

    const again = await deit(["distill", out, "--no-export", "--json"]);
    expect(again.code, again.err).toBe(0);
    expect(again.err).toContain("this run is complete");
  });

  it("says for people what the figure is", async () => {
    const words = ["distill", images, "--teacher-path", teacher, "--finetune", teacher, "--no-export"];
    const folders = ["--labels-dir", join(root, "labels-2"), "--output-dir", join(root, "student-2")];
    const { code, out, err } = await deit([...words, ...folders, ...QUICK]);
    expect(code, err).toBe(0);
    expect(out).toMatch(/agreement with the teacher \d+\.\d\d % \(\d+ of \d+; 95 % interval/);
    expect(out).toContain("unsure of");
  });

  it("says what is missing", async () => {
    const none = await deit(["distill", images]);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("distillation requires a teacher")]);
    await mkdir(join(root, "empty"), { recursive: true });
    const empty = await deit(["distill", join(root, "empty"), "--teacher-path", teacher]);
    expect([empty.code, empty.err]).toEqual([1, expect.stringContaining("holds no images")]);
  });
});

describe("the teacher's labels", () => {
  it("are of the named classes alone, and the unsure images come least sure first", async () => {
    const file = join(root, "three.safetensors");
    await writeRandomModel(file, { model: "deit_w64d4_patch4_32", classes: ["cat", "dog", "owl"] });
    const folder = join(root, "two-classes");
    const labels = await labelImages({ images, teacher: { path: file }, classes: ["owl", "cat"], folder });
    expect(labels.classes).toEqual(["owl", "cat"]);
    await using classifier = await openClassifier(file);
    const { whole } = await openDatasets({ dataPath: folder });
    for (const index of [0, 5]) {
      const { width, height, data } = await whole.read(index);
      const answers = await classifier.classify({ width, height, data }, { topk: 3 });
      const best = answers.find(({ label }) => label !== "dog");
      expect(whole.classes[whole.labels[index] ?? -1]).toBe(best?.label);
    }
    const [, ...lines] = (await readFile(labels.doubts, "utf8")).trim().split("\n");
    const gaps = lines.map((line) => line.split(",")).map((cells) => Number(cells[2]) - Number(cells[4]));
    expect(gaps.length).toBe(labels.unsure);
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
    expect(Math.max(...gaps, 0)).toBeLessThanOrEqual(0.5);
  });

  it("refuse classes that the teacher has not, with the nearest", async () => {
    const file = join(root, "three.safetensors");
    const ask = async (names: readonly string[]): Promise<unknown> =>
      labelImages({ images, teacher: { path: file }, classes: names, folder: join(root, "refused") });
    await expect(ask(["owls", "cat"])).rejects.toMatchObject({
      code: "model/other-classes",
      message: expect.stringContaining("has no class owls"),
      hint: "Did you mean owl?",
    });
    await expect(ask(["cat"])).rejects.toMatchObject({ code: "model/other-classes" });
    await writeRandomModel(join(root, "unnamed.safetensors"), { model: "deit_w64d4_patch4_32" });
  });
});
