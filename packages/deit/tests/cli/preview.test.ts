/** `deit data preview` shows what `deit train` would do with the same words, or what a run did. */
import { cp, stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../data/temporary.ts";
import { tinyRun, train, writePhotos } from "../training/photos.ts";
import { runCommand as deit } from "./run-command.ts";

interface Preview {
  readonly sheet: string;
  readonly model: string;
  readonly inputSize: readonly number[];
  readonly smoothing: number;
  readonly samples: readonly {
    readonly file: string;
    readonly draw: readonly { readonly op: string }[];
    readonly mix: unknown;
  }[];
}

let root = "";
let photos = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
});

async function preview(...words: string[]): Promise<Preview & { readonly err: string }> {
  const sheet = join(root, "sheet.png");
  const { code, out, err } = await deit(["data", "preview", ...words, "--out", sheet, "--json"]);
  expect(code, err).toBe(0);
  expect((await stat(sheet)).size).toBeGreaterThan(1000);
  return { ...(JSON.parse(out) as Preview), err };
}

const operations = ({ samples }: Preview): Set<string> =>
  new Set(samples.flatMap(({ draw }) => draw.map(({ op }) => op)));

test("a folder: the first run that train would choose", async () => {
  const { options } = await planned("train", photos);
  const shown = await preview(photos);
  expect([shown.model, shown.inputSize]).toEqual([
    options["model"],
    [options["inputSize"], options["inputSize"]],
  ]);
  expect(shown.err).toContain("chosen for these images: deit_w128d6_patch4_32 at 32 pixels");
  // no RandAugment, erasing or Mixup, which DeiT's defaults have and a first run has not
  expect([...operations(shown)].toSorted()).toEqual(["crop", "flip", "resize"]);
  expect(shown.samples.every(({ mix }) => mix === null)).toBe(true);
});

test("a folder and a model: DeiT's defaults", async () => {
  const shown = await preview(photos, "--model", "deit_w64d4_patch4_32", "--batch-size", "8");
  expect(shown.samples.some(({ mix }) => mix !== null)).toBe(true);
  expect(operations(shown)).toContain("erase");
});

test("a recipe: its options", async () => {
  const shown = await preview(
    "cifar10-small",
    "--data-path",
    photos,
    "--data-set",
    "folder",
    "--batch-size",
    "8",
  );
  const { options } = await planned("train", "cifar10-small");
  expect([shown.model, shown.smoothing]).toEqual([options["model"], options["smoothing"]]);
});

test("a run: what it did", async () => {
  const run = join(root, "run");
  await train(
    tinyRun({
      dataPath: photos,
      outputDir: run,
      epochs: 1,
      hflip: 1,
      crop: "none",
      mixup: 0.5,
      mixupMode: "elem",
    }),
  );
  const shown = await preview(run);
  expect([shown.model, shown.inputSize]).toEqual(["deit_w64d4_patch4_32", [16, 16]]);
  expect(shown.samples.every(({ draw }) => draw.some(({ op }) => op === "flip"))).toBe(true);
  expect(shown.samples.some(({ mix }) => mix !== null)).toBe(true);
});

test("a run: the images that it trained on, whatever was added since", async () => {
  const dataPath = join(root, "growing");
  await cp(photos, dataPath, { recursive: true });
  const run = join(root, "grown");
  await train(tinyRun({ dataPath, outputDir: run, epochs: 1 }));
  const before = await preview(run);
  for (let i = 0; i < 5; i++) await cp(join(dataPath, "disc", "0.png"), join(dataPath, "disc", `0${i}.png`));
  const after = await preview(run);
  const filesOf = ({ samples }: Preview): string[] => samples.map(({ file }) => file);
  expect(filesOf(after)).toEqual(filesOf(before));
  const other = await preview(run, "--seed", "7", "--val-split", "0.5");
  expect(other.err).toMatch(/not the images that .*grown was trained on: they are split by the flags/);
});

async function planned(...words: string[]): Promise<{ options: Record<string, unknown> }> {
  const { out } = await deit([...words, "--print-config", "--json"]);
  const values = JSON.parse(out) as Record<string, { value: unknown }>;
  return { options: Object.fromEntries(Object.entries(values).map(([name, { value }]) => [name, value])) };
}

test("an epoch beyond the run's is refused", async () => {
  const words = ["data", "preview", photos, "--model", "deit_w64d4_patch4_32", "--epoch", "300"];
  const { code, err } = await deit([...words, "--out", join(root, "none.html")]);
  expect(code).not.toBe(0);
  expect(err).toContain("there is no epoch 300: the run has 300, from 0 on");
});
