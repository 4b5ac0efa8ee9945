/** `deit analyze throughput` in this process (its forward passes are processes of their own): document, table, refusals. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { writeRandomModel } from "../../../deit/tests/helpers/random-model.ts";
import { CLASSES, writePhotos } from "../../../deit/tests/training/photos.ts";
import type { Outcome } from "../../../deit/tests/cli/run-command.ts";
import { runCommand } from "../../../deit/tests/cli/run-command.ts";

let root = "";
let photos = "";
let model = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 2 });
  await writeFile(join(photos, "disc", "broken.png"), "no image");
  model = join(root, "own.safetensors");
  await writeRandomModel(model, { model: "deit_w64d4_patch4_32", classes: CLASSES });
}, 60_000);

async function deit(...words: string[]): Promise<Outcome> {
  return runCommand(["analyze", "throughput", ...words, "--device", "cpu", "--threads", "1"]);
}

it("measures, writes, says what it could not read; a second call shows what is kept", async () => {
  const folder = join(root, "out");
  const words = [model, "--data-path", photos, "--batch-size", "2", "--runs", "2", "--rounds", "1"];
  const measured = await deit(...words, "--out", folder, "--json");
  expect(measured.code, measured.err).toBe(0);
  expect(measured.err).toContain("broken.png");
  const { rows, files, ...whole } = JSON.parse(measured.out);
  expect(whole).toMatchObject({ device: "cpu", threads: 1, out: folder });
  expect(rows).toEqual([
    expect.objectContaining({
      name: "deit_w64d4_patch4_32",
      inputSize: [16, 16],
      batchSize: 2,
      runs: 2,
      images: 6,
      acc1: expect.any(Number),
      pareto: true,
      paretoMemory: true,
    }),
  ]);
  expect(new Set(await readdir(folder))).toEqual(new Set(["measurements.jsonl", ...files]));

  const shown = await deit(...words, "--out", folder);
  expect(shown.code, shown.err).toBe(0);
  expect(shown.out).toContain("cpu, 1 threads");
  expect(shown.out).toMatch(/^deit_w64d4_patch4_32 \* † +16 +\d/m);
  expect(shown.out).toContain(`written to ${folder}: throughput.json, throughput.csv, index.html`);
}, 120_000);

it("of a run's images, those are measured that it held out", async () => {
  const own = join(root, "run");
  await mkdir(own);
  await copyFile(model, join(own, "best.safetensors"));
  await writeFile(join(own, "args.yaml"), `data-path: ${photos}\nval-split: 0.5\nseed: 3\n`);
  const folder = join(root, "of-run");
  const few = ["--data-path", photos, "--batch-size", "1", "--runs", "1", "--rounds", "1"];
  const words = [own, ...few];
  const { code, out, err } = await deit(...words, "--out", folder, "--json");
  expect(code, err).toBe(0);
  expect(JSON.parse(out).rows[0]).toMatchObject({ name: "deit_w64d4_patch4_32", given: own, images: 3 });
  // under a name it is the same run: nothing is measured again
  const lines = await readFile(join(folder, "measurements.jsonl"), "utf8");
  const named = await deit(`mine=${own}`, ...few, "--out", folder, "--json");
  expect(named.code, named.err).toBe(0);
  expect(JSON.parse(named.out).rows[0]).toMatchObject({ name: "mine", given: own, images: 3 });
  expect(await readFile(join(folder, "measurements.jsonl"), "utf8")).toBe(lines);
  // where all are asked for, it is said that it has trained on some of them
  const all = await deit(...words, "--val-split", "0", "--out", folder, "--json");
  expect(JSON.parse(all.out).rows[0].images).toBe(6);
  expect(all.err).toContain(`${own} was trained on some of the images`);
}, 120_000);

it("a file in the place of the folder is told before the work", async () => {
  const { code, out, err } = await deit(model, "--out", join(photos, "disc", "0.png"));
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain("is a file, expected a folder");
});

it("a table without a row is refused with the reasons", async () => {
  const { code, out, err } = await deit("deit_w64d4*", "--sizes", "33", "--json");
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain("there is nothing to measure");
  for (const name of ["deit_w64d4_patch4_32", "deit_w64d4_distilled_patch4_32"])
    expect(err).toContain(`${name} at 33 pixels is left out: input size 33×33 is not a multiple`);
});

it.each([
  [["deit_tny_patch16_224"], 2, "deit_tny_patch16_224 is neither a model nor a file"],
  [["deit_w64d4_patch4_32", "--sizes", "a"], 2, '--sizes: got "a", expected pixels such as 160,224,384'],
  [["deit_w64d4_patch4_32", "--size-by", "speed"], 2, "Allowed choices are parameters, memory."],
  [["nowhere.safetensors"], 1, "there is no checkpoint nowhere.safetensors"],
  [["none=nowhere.onnx"], 1, "there is no checkpoint nowhere.onnx"],
  [["mine=deit_tny_patch16_224"], 2, "deit_tny_patch16_224 is neither a model nor a file"],
])("refuses %j", async (words, exit, message) => {
  const { code, out, err } = await deit(...words, "--json");
  expect([code, out]).toEqual([exit, ""]);
  expect(err).toContain(message);
  expect(err).not.toMatch(/^\s+at /m);
});
