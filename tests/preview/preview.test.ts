/** A preview shows what the loader and the program make of the same step, not something like it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { mixFeed } from "../../src/augmentation/mixup.ts";
import { readPlanar } from "../../src/augmentation/picture.ts";
import { createTransform } from "../../src/augmentation/transform.ts";
import type { TrainOptions } from "../../src/config/schema.ts";
import { createLoader } from "../../src/data/loader.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDatasets } from "../../src/data/open.ts";
import { sampleRandom } from "../../src/data/plan.ts";
import { input } from "../../src/graph/graph.ts";
import { cast } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { mixInputs, modelInput, previewBatch } from "../../src/preview/preview.ts";
import { writeSheet } from "../../src/preview/sheet.ts";
import { text } from "../../src/preview/text.ts";
import { mixesOf } from "../../src/training/feeds.ts";
import { preparePixels } from "../../src/training/pixels.ts";
import { trainPlan, trainTransform } from "../../src/training/setup.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { tinyRun, writePhotos } from "../training/photos.ts";

const SIZE = [24, 20] as const;
const [epoch, step] = [2, 1];
let root = "";
let options: TrainOptions;
let dataset: Dataset;
beforeAll(async () => {
  root = await temporaryFolder();
  const dataPath = await writePhotos(join(root, "photos"));
  options = tinyRun({
    dataPath,
    aa: "rand-m9-mstd0.5-inc1",
    reprob: 0.7,
    mixup: 0.8,
    cutmix: 1,
    mixupMode: "elem",
    repeatedAug: true,
  });
  ({ train: dataset } = await openDatasets(options));
});

test("its rows are the loader's pictures, and the program's mixture of them", async () => {
  const rows = await previewBatch(options, { dataset, size: SIZE }, { epoch, step, rows: 8 });
  const loader = createLoader({
    dataset,
    transform: trainTransform(options, SIZE),
    plan: trainPlan(options, dataset.length),
  });
  let batch: { images: Uint8Array; erasing?: Uint8Array; samples: Uint32Array } | undefined;
  for await (const made of loader.epoch(epoch, { from: step })) {
    batch = made;
    break;
  }
  await loader.close();
  if (batch?.erasing === undefined) throw new Error("no batch with erasing");
  const { images, erasing } = batch;
  const mixes = mixesOf(options, { epoch, step, size: SIZE }) ?? [];
  const [height, width] = SIZE;
  const plane = 3 * height * width;
  const bytes = (name: string): ReturnType<typeof input> =>
    cast(input(name, "uint8", [8, 3, height, width]), "float32");
  const normalisation = { mean: options.mean, std: options.std };
  const runtime = await sharedRuntime("cpu");
  const program = await runtime.load(
    compile({
      name: "pixels",
      target: "cpu",
      outputs: {
        pixels: preparePixels({
          images: bytes("images"),
          normalisation,
          erasing: bytes("erasing"),
          mix: input("mix", "float32", [8, 6]),
        }),
      },
      state: {},
    }),
  );
  const { pixels } = await program.run({ images, erasing, mix: mixFeed(mixes) });
  const inputs = Array.from({ length: 8 }, (_, row) =>
    modelInput(
      {
        picture: readPlanar(images, { width, height, offset: row * plane }),
        codes: erasing.subarray(row * plane, (row + 1) * plane),
      },
      normalisation,
    ),
  );
  for (const [row, shown] of rows.entries()) {
    expect(shown.sample.index).toBe(batch.samples[row]);
    const [own, other] = [inputs[row], inputs[7 - row]];
    const mix = mixes[row];
    if (own === undefined || other === undefined || mix === undefined) throw new Error("a short batch");
    const mixed = mixInputs([own, other], mix, { width, height });
    for (const [i, value] of mixed.entries())
      expect(Math.abs(value - Number(pixels?.[row * plane + i]))).toBeLessThan(2e-6);
    // the last stage is that mixture, back in bytes
    const last = shown.stages.at(-1)?.picture.data ?? new Uint8Array();
    for (let i = 0; i < last.length; i++) {
      const channel = i % 3;
      const value = mixed[channel * (plane / 3) + Math.floor(i / 3)] ?? 0;
      const byte = Math.round(255 * (value * (options.std[channel] ?? 1) + (options.mean[channel] ?? 0)));
      expect(last[i]).toBe(Math.min(Math.max(byte, 0), 255));
    }
    expect(shown.target.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 5);
  }
});

test("a sample's number and copy are enough to draw it again", async () => {
  const [first] = await previewBatch(options, { dataset, size: SIZE }, { epoch, step, rows: 1 });
  if (first === undefined) throw new Error("no row");
  const [again] = await previewBatch(options, { dataset, size: SIZE }, { epoch, sample: first.sample });
  expect(again?.draw).toEqual(first.draw);
  expect(again?.mix).toBeUndefined();
  const picture = await dataset.read(first.sample.index);
  const transform = createTransform(trainTransform(options, SIZE));
  const draw = transform.draw(sampleRandom(options.seed, epoch, first.sample), picture.width, picture.height);
  expect(draw).toEqual(first.draw);
});

test("says what is not there", async () => {
  const at = { dataset, size: SIZE };
  await expect(previewBatch(options, at, { step: 99 })).rejects.toThrow("there is no step 99");
  await expect(previewBatch(options, at, { sample: { index: 999, copy: 0 } })).rejects.toThrow(
    "there is no picture 999: the dataset has 48",
  );
});

test("the sheet is a picture, its text drawn without the machine's fonts", async () => {
  const rows = await previewBatch(options, { dataset, size: SIZE }, { rows: 3 });
  const file = join(root, "sheet.png");
  await writeSheet(file, rows, { title: "photos <&>", subtitle: "猫 κ", names: () => "x".repeat(500) });
  const { width, height, format } = await sharp(await readFile(file)).metadata();
  expect([width >= 1000, height > 500, format]).toEqual([true, true, "png"]);
  expect(text("ok", { x: 0, y: 10, size: 12 })).toMatch(/^<path fill="#[\da-f]+" d="M[\d.\-MLQCZ ]+"\/>$/);
});
