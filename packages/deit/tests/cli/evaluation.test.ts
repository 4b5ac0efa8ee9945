/** `deit eval`, `deit analyze agreement` and others on images in this process: their documents, their tables, what they refuse. */
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES, writePhotos } from "../training/photos.ts";
import type { Outcome } from "./run-command.ts";
import { runCommand } from "./run-command.ts";

let root = "";
let photos = "";
const at = (name: string): string => join(root, `${name}.safetensors`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "deit-evaluation-"));
  photos = await writePhotos(join(root, "photos"), { perClass: 4 });
  await writeRandomModel(at("plain"), { model: "deit_w64d4_patch4_32", classes: CLASSES, seed: 2 });
  await writeRandomModel(at("distilled"), {
    model: "deit_w64d4_distilled_patch4_32",
    classes: CLASSES,
    seed: 1,
  });
}, 60_000);
afterAll(() => rm(root, { recursive: true, force: true }));

async function deit(...words: string[]): Promise<Outcome> {
  return runCommand(words);
}

const ON = ["--threads", "1", "--workers", "0", "--device", "cpu", "--resamples", "50"];
const TIME = { timeout: 120_000 };

it("eval of one checkpoint prints the documented object, the rest behind it", TIME, async () => {
  const { code, out, err } = await deit(
    "eval",
    at("distilled"),
    "--data-path",
    photos,
    "--topk",
    "2",
    "3",
    "--json",
    ...ON,
  );
  expect(code, err).toBe(0);
  const document = JSON.parse(out);
  expect(Object.keys(document).slice(0, 8)).toEqual([
    "model",
    "images",
    "acc1",
    "acc5",
    "loss",
    "heads",
    "tokens",
    "imagesPerSecond",
  ]);
  expect(document).toMatchObject({
    images: 12,
    heads: { class: { acc1: expect.any(Number), acc5: 100 }, distillation: {}, joint: {} },
    topk: { 2: expect.any(Number), 3: 100 },
    interval: { level: 0.95, resamples: 50 },
    calibration: { ece: expect.any(Number) },
  });
});

it("eval of several prints them side by side, and writes what it is asked to", TIME, async () => {
  const out = join(root, "comparison");
  const words = ["eval", `a=${at("plain")}`, `b=${at("distilled")}`, "--data-path", photos, ...ON];
  const shown = await deit(...words, "--out", out);
  expect(shown.code, shown.err).toBe(0);
  expect(shown.out).toContain("12 images of photos");
  expect(shown.out).toMatch(/^ {2}b +against +a +[+−]\d+\.\d\d +\([+−]/m);
  expect(shown.out).toContain(`Written to ${join(out, "index.html")}`);
  expect(await readdir(out)).toContain("answers.csv");
  const { models, differences } = JSON.parse((await deit(...words, "--json")).out);
  expect(models.map(({ name }: { name: string }) => name)).toEqual(["a", "b"]);
  expect(differences).toHaveLength(1);
});

it(
  "a run under a name or in any place gives its images, and each model has a crop of its own",
  TIME,
  async () => {
    const run = join(root, "run");
    await mkdir(run);
    await copyFile(at("plain"), join(run, "best.safetensors")); // which says that its crop is all of the image
    const args = { dataPath: photos, valSplit: 0.5, seed: 0, evalCropRatio: 0.5 };
    await writeFile(join(run, "args.yaml"), JSON.stringify(args));
    await writeRandomModel(at("bare"), { model: "deit_w64d4_patch4_32", seed: 4 });
    const measured = async (...words: string[]): Promise<object> => {
      const flags = [...words, "--input-size", "16", "--json", ...ON];
      const { code, out, err } = await deit("eval", ...flags);
      expect(code, err).toBe(0);
      const reports: { name: string; images: number; cropRatio: number; loss: number }[] =
        JSON.parse(out).models;
      return Object.fromEntries(
        reports.map(({ name, images, cropRatio, loss }) => [name, [images, cropRatio, loss]]),
      );
    };
    const first = await measured(`run=${run}`, `bare=${at("bare")}`);
    expect(first).toEqual({ run: [6, 1, expect.any(Number)], bare: [6, 0.875, expect.any(Number)] });
    expect(await measured(`bare=${at("bare")}`, `run=${run}`, "--data-path", photos)).toEqual(first);
    expect(await measured(`bare=${at("bare")}`, `run=${run}`, "--eval-crop-ratio", "0.5")).toMatchObject({
      run: [6, 0.5, expect.any(Number)],
      bare: [6, 0.5, expect.any(Number)],
    });
    const agreement = await deit(
      "analyze",
      "agreement",
      `bare=${at("bare")}`,
      `run=${run}`,
      "--input-size",
      "16",
      "--json",
      ...ON,
    );
    expect(JSON.parse(agreement.out)).toMatchObject({ images: 6 });
    const probe = await deit("analyze", "probe", run, "--threads", "1", "--device", "cpu", "--json");
    expect(JSON.parse(probe.out)).toMatchObject({ trainImages: 6, images: 6 });
    const views = ["--views", "1", "--threads", "1", "--device", "cpu", "--json"];
    const labels = await deit("analyze", "labels", run, ...views);
    expect(JSON.parse(labels.out)).toMatchObject({ images: 6 });
    const all = await deit("analyze", "labels", run, "--val-split", "0", ...views);
    expect(JSON.parse(all.out)).toMatchObject({ images: 12 });
    expect(all.err).toContain(`${run} was trained on some of the images that it is measured on`);
  },
);

it("analyze agreement prints a square with the labels first", TIME, async () => {
  const words = ["analyze", "agreement", at("plain"), at("distilled"), "--data-path", photos, ...ON];
  const { code, out, err } = await deit(...words, "--json");
  expect(code, err).toBe(0);
  const { models, disagreement } = JSON.parse(out);
  expect(models[0]).toBe("ground truth");
  expect(models).toHaveLength(5);
  for (const [row, rates] of disagreement.entries()) {
    expect(rates).toHaveLength(5);
    expect(rates[row]).toBe(0);
    for (const [column, rate] of rates.entries()) expect(rate).toBe(disagreement[column][row]);
  }
  const shown = await deit(...words);
  expect(shown.out).toContain("Disagreement on 12 images, in percent, ± half of the 95 % interval");
  expect(shown.out).toMatch(/^3 {2}deit_w64d4_distilled_patch4_32 class +\d/m);
});

it.each([
  [["eval"], 2, "missing required argument"],
  [["eval", "none=nowhere.onnx", "--data-path", "."], 1, "there is no checkpoint nowhere.onnx"],
  [["eval", "x.onnx", "--data-path", ".", "--topk", "many"], 2, "--topk: got"],
  [["analyze", "agreement", "x.onnx"], 2, "which images?"],
  [["analyze", "labels", "x.onnx"], 2, "which images?"],
] as const)("%j is refused with %i", async (words, code, message) => {
  const outcome = await deit(...words);
  expect([outcome.code, outcome.out]).toEqual([code, ""]);
  expect(outcome.err).toContain(message);
  expect(outcome.err).not.toContain("    at ");
});

it("a file in the place of the output folder is told before the work", async () => {
  const file = join(root, "file");
  await writeFile(file, "");
  for (const words of [["eval"], ["analyze", "agreement"]]) {
    const { code, err } = await deit(...words, at("plain"), "--data-path", photos, "--out", file);
    expect([code, err.includes("is a file, expected a folder")]).toEqual([2, true]);
  }
});
