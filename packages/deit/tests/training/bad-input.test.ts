/** Bad input on the command line: said in words before the run folder is made, with an exit code and without a stack. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openRunFolder } from "../../src/training/run/run-folder.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { canMountSmallDisk, mountSmallDisk } from "../formats/small-disk.ts";
import type { SmallDisk } from "../formats/small-disk.ts";
import { runContent, tinyRun, train, writePhotos } from "./photos.ts";
import type { Outcome } from "../cli/run-command.ts";
import { runCommand } from "../cli/run-command.ts";

let root = "";
let photos = "";
/** A finished run of these images. */
let finished = "";
let outputDir = "";
let count = 0;
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 10 });
  finished = join(root, "finished");
  await train(tinyRun({ dataPath: photos, outputDir: finished, epochs: 1 }));
  await mkdir(join(root, "empty"));
  await mkdir(join(root, "hollow/cat"), { recursive: true });
  await mkdir(join(root, "hollow/dog"), { recursive: true });
  await writeFile(join(root, "hollow/cat/notes.txt"), "none here");
  await writePhotos(join(root, "single"), { perClass: 1 });
  await mkdir(join(root, "one"));
  await mkdir(join(root, "one/only"));
  for (let i = 0; i < 3; i++)
    await writeFile(join(root, `one/only/${i}.png`), await readFile(join(photos, `disc/${i}.png`)));
  await writeFile(join(root, "note.jpg"), "no image");
  const model = await readFile(join(finished, "last.safetensors"));
  await writeFile(join(root, "cut.safetensors"), model.subarray(0, 5000));
  await writeFile(join(root, "text.safetensors"), "these are not tensors, but text of some length");
  const huge = Buffer.from(model);
  huge.writeBigUInt64LE(2n ** 62n);
  await writeFile(join(root, "hostile.safetensors"), huge);
});
beforeEach(() => {
  outputDir = join(root, `run${count++}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Words of a command; $NAME stands for a path. */
async function deit(line: string): Promise<Outcome> {
  const places: Record<string, string> = { ROOT: root, PHOTOS: photos, RUN: finished, OUT: outputDir };
  const words = line
    .split(" ")
    .map((word) => word.replace(/\$([A-Z]+)/, (_, name: string) => places[name] ?? ""));
  return runCommand(words);
}

const TRAIN =
  "train --data-path $PHOTOS --output-dir $OUT --model deit_w64d4_patch4_32 --device cpu --threads 1 --workers 0 --batch-size 8";

describe("what is given, what was expected, how to fix it", () => {
  test.each<[string, string, number, RegExp[]]>([
    ["a missing folder", `${TRAIN} --data-path $ROOT/nowhere`, 1, [/there is no folder .*nowhere/]],
    [
      "an empty folder",
      `${TRAIN} --data-path $ROOT/empty`,
      1,
      [/empty is empty/, /Expected a folder for each class/],
    ],
    [
      "classes without images",
      `${TRAIN} --data-path $ROOT/hollow`,
      1,
      [/hollow holds no images: only \.txt files, which are not read/, /Expected a folder for each class/],
    ],
    ["one class", `${TRAIN} --data-path $ROOT/one`, 1, [/one class only \(only\): expected at least two/]],
    [
      "a batch larger than the dataset",
      `${TRAIN} --batch-size 28`,
      2,
      [/one update takes 28 images .*but there are 27 to train on/, /--batch-size 27 or less/],
    ],
    [
      "accumulated batches larger than the dataset",
      `${TRAIN} --batch-size 10 --accumulation-steps 3`,
      2,
      [/one update takes 30 images \(batch size 10 × 3 accumulated\)/, /--batch-size 9 or less/],
    ],
    [
      "an input size that the patch does not divide",
      `${TRAIN} --input-size 30`,
      2,
      [/input size 30×30 is not a multiple of the patch size 4/, /Use --input-size 32/],
    ],
    [
      "an unknown model",
      `${TRAIN} --model deit_w64d4_patch_32`,
      2,
      [/unknown model "deit_w64d4_patch_32"/, /Did you mean deit_w64d4_patch4_32/],
    ],
    ["an unknown flag", `${TRAIN} --lrr 1`, 2, [/unknown option '--lrr'/, /Did you mean --lr\?/]],
    ["a device that is not there", `${TRAIN} --device cuda`, 1, [/cuda/]],
    [
      "a run of another config",
      `train --data-path $PHOTOS --output-dir $RUN --model deit_w64d4_patch4_32 --seed 7 --batch-size 8`,
      2,
      [/holds a run with other options/, /seed: 0 there, 7 given/, /Choose another --output-dir/],
    ],
    [
      "a folder with other things",
      `${TRAIN} --output-dir $PHOTOS`,
      2,
      [/is not empty and is not a run folder \(it has disc, ring, stripes\)/],
    ],
    [
      "a checkpoint that is not there",
      `${TRAIN} --finetune $ROOT/nowhere.safetensors`,
      1,
      [/there is no checkpoint .*nowhere/],
    ],
    ["a cut off checkpoint", `${TRAIN} --finetune $ROOT/cut.safetensors`, 1, [/cut\.safetensors: .*/]],
    [
      "another model's checkpoint",
      `${TRAIN} --finetune $RUN --model deit_tiny_patch16_224 --batch-size 2`,
      1,
      [
        /is not a deit_tiny_patch16_224; these tensors do not fit: cls_token \[1, 1, 192\] \(the checkpoint has \[1, 1, 64\]\)/,
        /and \d+ more/,
      ],
    ],
  ])("%s", async (_, line, code, patterns) => {
    const before = await readdir(root, { recursive: true });
    const said = await deit(line);
    for (const pattern of patterns) expect(said.err).toMatch(pattern);
    expect(said.err).toMatch(/^error: /m);
    expect(said.err).not.toMatch(/^ +at |bug in deit/m);
    expect([said.code, said.out]).toEqual([code, ""]);
    // Nothing was made, and nothing that was there has changed its files.
    expect(await readdir(root, { recursive: true })).toEqual(before);
  });

  test.each<[string, string, RegExp[]]>([
    [
      "eval of another model",
      "eval $RUN --data-path $PHOTOS --model deit_w96d4_patch4_32",
      [/unknown model "deit_w96d4_patch4_32"/],
    ],
    [
      "eval with a model that the tensors are not of",
      "eval $RUN --data-path $PHOTOS --model deit_w96d6_patch4_32",
      [
        /best\.safetensors is not a deit_w96d6_patch4_32/,
        /missing: blocks\.4\./,
        /of another shape: .*got \[.*64.*\], expected \[.*96/,
        /The file names its model, deit_w64d4_patch4_32: leave out --model/,
      ],
    ],
    ["eval of a corrupt file", "eval $ROOT/cut.safetensors --data-path $PHOTOS", [/cut\.safetensors: /]],
    ["eval of text", "eval $ROOT/text.safetensors --data-path $PHOTOS", [/text\.safetensors: /]],
    [
      "eval of a hostile header",
      "eval $ROOT/hostile.safetensors --data-path $PHOTOS",
      [/hostile\.safetensors: /],
    ],
    [
      "eval on an unknown class",
      "eval $RUN --data-path $ROOT/one",
      [/folders that are not classes: only/, /Expected some of: disc, ring, stripes/],
    ],
    ["predict of no image", "predict $RUN $ROOT/note.jpg", [/note\.jpg/]],
    ["predict of an image that is not there", "predict $RUN $ROOT/nowhere.jpg", [/nowhere\.jpg/]],
    [
      "predict with a folder that is not a run",
      "predict $PHOTOS $PHOTOS/disc/0.png",
      [/has no weights: none of best\.safetensors/],
    ],
    ["predict on a device that is not there", "predict $RUN $PHOTOS/disc/0.png --device cuda", [/cuda/]],
  ])("%s", async (_, line, patterns) => {
    const said = await deit(line);
    for (const pattern of patterns) expect(said.err).toMatch(pattern);
    expect(said.err).not.toMatch(/^ +at |bug in deit/m);
    expect([said.code > 0, said.out]).toEqual([true, ""]);
  });

  test.skipIf(process.platform !== "linux")("webgpu without a driver (Linux)", async () => {
    vi.stubEnv("VK_DRIVER_FILES", join(root, "nowhere.json"));
    const said = await deit(`${TRAIN} --device webgpu`);
    expect([said.code, said.err]).toEqual([
      1,
      expect.stringMatching(/^error: webgpu cannot be used: .*\n {2}\S/),
    ]);
    expect(await readdir(root)).not.toContain(basename(outputDir));
  });

  test("a folder that another process trains in", async () => {
    const options = tinyRun({ dataPath: photos, outputDir });
    await using held = await openRunFolder(outputDir, { args: options });
    const said = await deit(`${TRAIN} --epochs 3`);
    expect(held.resumed).toBe(false);
    expect([said.code, said.err]).toEqual([
      2,
      expect.stringMatching(/in use by this process \(\d+\)\.\n {2}Wait until it is done/),
    ]);
  });

  test("a loss that is not a number", async () => {
    const said = await deit(
      `${TRAIN} --input-size 16 --batch-size 8 --lr 1e30 --unscale-lr --warmup-epochs 0 --epochs 2`,
    );
    expect([said.code, said.out]).toEqual([1, ""]);
    expect(said.err).toMatch(
      /^error: (loss|gradNorm) is (NaN|Infinity) in epoch 1, step 2, at a learning rate of 1\.00e\+30\n {2}.*--clip-grad/m,
    );
  });
});

describe.skipIf(!canMountSmallDisk())(
  "no space left while saving (skipped unless a tmpfs can be mounted)",
  () => {
    let disk: SmallDisk | undefined;
    beforeAll(() => {
      disk = mountSmallDisk({ kib: 12 * 1024 });
    });
    afterAll(() => disk?.unmount());

    test("is said; the run goes on from its last save when there is room", async () => {
      const path = join(disk?.path ?? "", "run");
      const options = tinyRun({ dataPath: photos, outputDir: path, epochs: 3 });
      const filler = join(disk?.path ?? "", "filler");
      const fill = async (): Promise<void> =>
        writeFile(filler, Buffer.alloc(16 * 1024 * 1024)).catch(() => undefined);
      let filling: Promise<void> | undefined;
      const failure: unknown = await train(options, {
        onEvent: (event) => {
          if (event.type === "step" && event.epoch === 1 && event.step === 1) filling = fill();
        },
      }).catch((error: unknown) => error);
      await filling;
      expect(String(failure)).toMatch(
        /^DeitError: Cannot save .* to .*: no space left on the disk .*What was there before is unchanged\.\nFree some space/,
      );
      await writeFile(filler, "");
      await train(options);
      await train({ ...options, outputDir });
      expect(await runContent(path)).toEqual(await runContent(outputDir));
    });
  },
);
