/** Commands that measure a run's model on the run's own images go by its record, and say when something is not there. */
import { copyFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readRun } from "../../src/training/run/run-folder.ts";
import { readRecordedImages } from "../../src/training/run/run-record.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { tinyRun, train, writePhotos } from "../training/photos.ts";
import { runCommand } from "./run-command.ts";

let root = "";
let whole = "";
let made = "";
const ON = ["--threads", "1", "--workers", "0", "--device", "cpu"];

beforeAll(async () => {
  root = await temporaryFolder();
  whole = await writePhotos(join(root, "whole"), { perClass: 10 });
  made = join(root, "made");
  await train(tinyRun({ dataPath: whole, outputDir: made, epochs: 1, valSplit: 0.3 }));
});

let count = 0;
/** A copy of the run, whose images have changed: `whole` is a copy, too, under the same path in args.yaml. */
async function withImages(
  change: (photos: string) => Promise<void>,
): Promise<{ run: string; photos: string }> {
  const photos = join(root, `photos${count}`);
  const run = join(root, `run${count++}`);
  await cp(whole, photos, { recursive: true });
  await train(tinyRun({ dataPath: photos, outputDir: run, epochs: 1, valSplit: 0.3 }));
  await change(photos);
  return { run, photos };
}

/** Five images that change the draw of the split. */
const addFive = async (photos: string): Promise<void> => {
  for (const i of [1, 2, 3, 4, 5]) await copyFile(join(photos, "disc/0.png"), join(photos, `disc/!${i}.png`));
};

test("eval measures what the run held out, though images were added; so do report, analyze and export", async () => {
  const { run } = await withImages(addFive);
  const recorded = await readRecordedImages(run);
  const out = join(root, "answers");
  const evaluated = await runCommand(["eval", run, "--json", "--out", out, ...ON]);
  expect(evaluated.code, evaluated.err).toBe(0);
  expect(evaluated.err).toContain("5 images are new since");
  expect(JSON.parse(evaluated.out)).toMatchObject({ images: 9 });
  const answers = await readFile(join(out, "answers.csv"), "utf8").catch(async () =>
    readFile(join(out, "predictions.csv"), "utf8"),
  );
  const names = [...answers.matchAll(/(?:disc|ring|stripes)\/[^,"]+\.png/g)].map(([name]) => name);
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) expect(recorded?.images?.get(name)?.part).toBe("validation");
  const trained = await runCommand(["eval", run, "--split", "train", "--json", ...ON]);
  expect(JSON.parse(trained.out)).toMatchObject({ images: 21 });
  const report = await runCommand(["report", run, "--json", ...ON]);
  expect(report.err).toContain("5 images are new since");
  expect(JSON.parse(report.out)).toMatchObject({ images: 9 });
  const probe = await runCommand(["analyze", "probe", run, "--json"]);
  expect(probe.err).toContain("5 images are new since");
  expect(JSON.parse(probe.out), probe.err).toMatchObject({ trainImages: 21, images: 9 });
  const onnx = join(root, "model.onnx");
  const exported = await runCommand(["export", run, "--format", "onnx", "--out", onnx, "--json"]);
  expect(exported.err).toContain("5 images are new since");
  expect(JSON.parse(exported.out)).toMatchObject({ comparisons: [{ images: 9, share: { images: 9 } }] });
});

test("eval says images whose names are the same and whose content is not; what was exported knows its run", async () => {
  const { run, photos } = await withImages(async (place) => {
    const names = (await readdir(place, { recursive: true })).filter((name) => name.endsWith(".png"));
    const other = await readFile(join(place, names[0] ?? ""));
    for (const name of names) await writeFile(join(place, name), other);
  });
  const { code, err } = await runCommand(["eval", run, ...ON]);
  expect(code, err).toBe(0);
  expect(err).toMatch(/\d+ of \d+ images that were looked at have other content than when .* began/);
  await rm(photos, { recursive: true });
  await cp(whole, photos, { recursive: true });
  await runCommand(["export", run, "--output-dir", join(run, "transformers-js")]);
  for (const place of [
    "transformers-js",
    "transformers-js/onnx/model.onnx",
    "transformers-js/model.safetensors",
  ]) {
    const { out, err: said } = await runCommand(["eval", join(run, place), "--json", ...ON]);
    expect(said).not.toContain("error");
    expect(JSON.parse(out)).toMatchObject({ images: 9 });
  }
});

test("a run is trained longer: what it exported before is made anew; what is said is said once", async () => {
  const { run } = await withImages(addFive);
  await runCommand(["export", run, "--output-dir", join(run, "transformers-js")]);
  const exported = join(run, "transformers-js", "model.safetensors");
  const before = await readFile(exported);
  const { code, err } = await runCommand(["train", run, "--epochs", "4", ...ON]);
  expect(code, err).toBe(0);
  expect(err.match(/images are new since/g)).toHaveLength(1);
  expect((await readFile(exported)).equals(before)).toBe(false);
});

test("a run that held nothing out is exported on the images that it has, and says so", async () => {
  const run = join(root, "held-none");
  const words = ["--val-split", "0", "--epochs", "1", "--model", "deit_w64d4_patch4_32", "--batch-size", "8"];
  const { code, out, err } = await runCommand([
    "train",
    whole,
    "--output-dir",
    run,
    "--export",
    "--json",
    ...words,
    ...ON,
  ]);
  expect(code, err).toBe(0);
  expect(err).toMatch(/held no images out: the export is checked with those that it was trained on/);
  expect(err).not.toMatch(/noise|cannot be opened/);
  expect(out).not.toMatch(/held-out|held out/);
});

test("fine-tuning says where images are held out that its checkpoint was trained on", async () => {
  const flags = ["--epochs", "1", "--batch-size", "8", "--no-export", ...ON];
  const tune = async (name: string, ...words: string[]): Promise<string> => {
    const place = ["finetune", whole, "--finetune", made, "--output-dir", join(root, name)];
    const { code, err } = await runCommand([...place, ...words, ...flags]);
    expect(code, err).toBe(0);
    return err;
  };
  expect(await tune("tuned", "--seed", "5", "--val-split", "0.3")).toMatch(
    /[1-9] of the 9 images that are held out are among those that .*made was trained on/,
  );
  const seed = Number((await readRun(made)).args["seed"]);
  expect(await tune("tuned-same", "--seed", `${seed}`, "--val-split", "0.3")).not.toMatch(
    /trained on, which/,
  );
});

test("two runs are measured with what both held out", async () => {
  const { run, photos } = await withImages(addFive);
  const later = `${run}-later`;
  await train(tinyRun({ dataPath: photos, outputDir: later, epochs: 1, valSplit: 0.3 }));
  const lists = [await readRecordedImages(run), await readRecordedImages(later)];
  const both = [...(lists[0]?.images?.keys() ?? [])].filter((key) =>
    lists.every((list) => list?.images?.get(key)?.part === "validation"),
  );
  const { out, err, code } = await runCommand(["eval", run, later, "--json", ...ON]);
  expect(code, err).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ models: [{ images: both.length }, { images: both.length }] });
  expect(both.length).toBeLessThan(10);
});

test("images that are gone are said, with the way on; an export is checked with noise", async () => {
  const { run, photos } = await withImages(async (place) => rename(place, `${place}-elsewhere`));
  const evaluated = await runCommand(["eval", run, ...ON]);
  expect(evaluated.code).not.toBe(0);
  expect(evaluated.err).toContain("run/no-images");
  expect(evaluated.err).toContain("--data-path");
  for (const words of [
    ["report", run],
    ["train", run, "--epochs", "9"],
    ["data", "preview", run],
  ]) {
    const { code, err } = await runCommand(words);
    expect([words[0], code, err]).toEqual([
      words[0],
      1,
      expect.stringMatching(/no longer at [^]*deit train [^]*--data-path[^]*run\/no-images/),
    ]);
  }
  const out = join(root, "from-noise.onnx");
  const exported = await runCommand(["export", run, "--format", "onnx", "--out", out, "--json"]);
  expect(exported.code, exported.err).toBe(0);
  expect(exported.err).toMatch(/can no longer be opened/);
  expect(exported.err).toMatch(/checked with noise/);
  expect(JSON.parse(exported.out)).not.toHaveProperty("comparisons.0.acc1");
  const found = await runCommand(["eval", run, "--data-path", `${photos}-elsewhere`, "--json", ...ON]);
  expect(found.code, found.err).toBe(0);
  expect(JSON.parse(found.out)).toMatchObject({ images: 9 }); // known by its images, under whatever name
});

test("that an epoch was chosen on the images it is measured with is said, and where none was, nothing", async () => {
  const outputDir = join(root, "chosen");
  await train(tinyRun({ dataPath: whole, outputDir, epochs: 3, valSplit: 0.3, selectEpoch: "best" }));
  const note = "is the best of 3 epochs by the images that it held out";
  expect((await runCommand(["eval", outputDir, ...ON])).err).toContain(note);
  expect((await runCommand(["eval", join(outputDir, "last.safetensors"), ...ON])).err).not.toContain(note);
  const last = join(root, "last");
  await train(tinyRun({ dataPath: whole, outputDir: last, epochs: 3, valSplit: 0.3, selectEpoch: "auto" }));
  const { out, err } = await runCommand(["eval", last, ...ON]);
  expect(err).not.toContain("best of");
  expect(out).toMatch(/95 % interval +\d+\.\d to \d+\.\d % \(\d of 9\)/);
  const card = join(root, "card");
  await runCommand(["export", outputDir, "--output-dir", card]);
  const text = await readFile(join(card, "README.md"), "utf8");
  expect(text).toContain("that were held out; the interval is Wilson's");
  expect(text).toContain("The weights are those of the best of 3 epochs, chosen on these images");
});

test("a run that held nothing out is measured on what it learned from, and that is said", async () => {
  const run = join(root, "all");
  await train(tinyRun({ dataPath: whole, outputDir: run, epochs: 1, valSplit: 0 }));
  const { err } = await runCommand(["eval", run, ...ON]);
  expect(err).toContain("it held none out");
});

describe("no run, no weights", () => {
  test.each([["eval"], ["predict"], ["export"], ["analyze tokens"], ["report"]])("%s", async (words) => {
    const empty = join(root, "empty");
    await mkdir(empty, { recursive: true });
    const begun = join(root, "begun");
    await mkdir(begun, { recursive: true });
    await copyFile(join(made, "args.yaml"), join(begun, "args.yaml"));
    const image = words === "predict" ? [join(whole, "disc/0.png")] : [];
    for (const [place, code, text] of [
      [join(root, "nothing"), /checkpoint\/not-found|run\/no-run/, /there is no (?:checkpoint|run) /],
      [empty, /checkpoint\/not-found|run\/no-run/, /has no weights: none of|is not a run folder/],
      [begun, /checkpoint\/not-found/, /the run .* has no weights yet/],
    ] as const) {
      const found = await runCommand([...words.split(" "), place, ...image]);
      expect(found.code).not.toBe(0);
      expect(found.err).toMatch(code);
      expect(found.err).toMatch(text);
      expect(found.err).not.toContain("no images were given");
    }
    await rm(empty, { recursive: true });
  });
});
