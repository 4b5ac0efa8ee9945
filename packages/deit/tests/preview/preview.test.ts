/** A preview shows what the loader and the program make of the same step, not something like it. */
import { execFile } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { mixFeed } from "../../src/augmentation/mixup.ts";
import { readPlanar } from "../../src/augmentation/rgb-image.ts";
import { createTransform } from "../../src/augmentation/transform.ts";
import type { TrainOptions } from "../../src/config/schema.ts";
import { makeBatch } from "../../src/data/loading/batch.ts";
import { createLoader } from "../../src/data/loading/loader.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { openDatasets } from "../../src/data/open.ts";
import { input } from "../../src/graph/graph.ts";
import { cast } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { mixInputs, modelInput, previewBatch } from "../../src/preview/preview.ts";
import { writeSheet } from "../../src/preview/sheet.ts";
import { mixesOf } from "../../src/training/loop/step-feeds.ts";
import { preparePixels } from "../../src/training/loop/pixels.ts";
import { planBatches } from "../../src/data/loading/epoch-plan.ts";
import { planImages } from "../../src/training/plan.ts";
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

test("its rows are the loader's images, and the program's mixture of them", async () => {
  const rows = await previewBatch(planImages(options), { dataset, size: SIZE }, { epoch, step, rows: 8 });
  const loader = createLoader({
    dataset,
    transform: { ...planImages(options).images.transform, size: SIZE },
    plan: planBatches(planImages(options).batches, dataset.length),
  });
  let batch: { images: Uint8Array; erasing?: Uint8Array; samples: Uint32Array } | undefined;
  for await (const made of loader.epoch(epoch, { from: step })) {
    batch = made;
    break;
  }
  await loader.close();
  if (batch?.erasing === undefined) throw new Error("no batch with erasing");
  const { images, erasing } = batch;
  const mixes = mixesOf(planImages(options), { epoch, step, size: SIZE }) ?? [];
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
        image: readPlanar(images, { width, height, offset: row * plane }),
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
    const last = shown.stages.at(-1)?.image.data ?? new Uint8Array();
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
  const [first] = await previewBatch(planImages(options), { dataset, size: SIZE }, { epoch, step, rows: 1 });
  if (first === undefined) throw new Error("no row");
  const [again] = await previewBatch(
    planImages(options),
    { dataset, size: SIZE },
    { epoch, sample: first.sample },
  );
  expect(again?.draw).toEqual(first.draw);
  expect(again?.mix).toBeUndefined();
});

test("a sample that is drawn alone has exactly the loader's pixels, erased where the loader erases", async () => {
  const [height, width] = SIZE;
  const transform = createTransform({ ...planImages(options).images.transform, size: SIZE });
  let erased = 0;
  for (const sample of planBatches(planImages(options).batches, dataset.length).at(epoch, step)) {
    const job = { epoch, seed: options.seed, mode: "train", samples: [sample], rows: 1 } as const;
    const { images, erasing = new Uint8Array(images.length) } = await makeBatch(dataset, transform, job);
    const [row] = await previewBatch(planImages(options), { dataset, size: SIZE }, { epoch, sample });
    const shown = row?.stages.at(-1);
    expect([shown?.label, shown?.image.width, shown?.image.height]).toEqual(["not mixed", width, height]);
    // the loader's bytes, and noise codes as pixel values
    const expected = Uint8Array.from({ length: images.length }, (_, i) => {
      const at = (i % 3) * width * height + Math.floor(i / 3);
      const code = erasing[at] ?? 0;
      if (code === 0) return images[at] ?? 0;
      erased++;
      const [mean = 0, std = 1] = [options.mean[i % 3], options.std[i % 3]];
      return Math.min(Math.max(Math.round(255 * (mean + (std * (code - 128)) / 32)), 0), 255);
    });
    expect(Buffer.from(expected).equals(shown?.image.data ?? new Uint8Array())).toBe(true);
  }
  expect(erased).toBeGreaterThan(0);
});

test("the stages before erasing lead to the loader's image", async () => {
  const plain = { ...options, reprob: 0, mixup: 0, cutmix: 0 };
  const rows = await previewBatch(planImages(plain), { dataset, size: SIZE }, { epoch, step });
  expect(rows).toHaveLength(8);
  for (const { stages, target, label } of rows) {
    const [before, end] = stages.slice(-2);
    expect(before?.image).toEqual(end?.image);
    expect(target).toEqual([{ label, weight: 1 }]);
  }
});

test("an unreadable image is replaced by the one that training puts there", async () => {
  const dataPath = join(root, "broken");
  await cp(join(root, "photos"), dataPath, { recursive: true });
  const broken = { ...options, dataPath };
  const { train } = await openDatasets(broken);
  const [sample] = planBatches(planImages(broken).batches, train.length).at(epoch, step);
  if (sample === undefined) throw new Error("no sample");
  await writeFile(join(dataPath, train.describe(sample.index)), "no image");
  const [row] = await previewBatch(
    planImages(broken),
    { dataset: train, size: SIZE },
    { epoch, step, rows: 1 },
  );
  const job = { epoch, seed: broken.seed, mode: "train", samples: [sample], rows: 1 } as const;
  const made = await makeBatch(
    train,
    createTransform({ ...planImages(broken).images.transform, size: SIZE }),
    job,
  );
  const [index = -1] = made.samples;
  expect(index).not.toBe(sample.index);
  expect([row?.sample, row?.file]).toEqual([sample, train.describe(index)]);
  expect(row?.stages[0]?.label).toContain(`for broken ${sample.index}`);
  expect(row?.label).toBe(train.classes[made.labels[0] ?? -1]);
});

test("targets of binary cross-entropy are 1 for every class with a part", async () => {
  const mixed = { ...options, mixupProb: 1, smoothing: 0 };
  const at = { dataset, size: SIZE };
  const soft = await previewBatch(planImages(mixed), at, { epoch, step });
  const hard = await previewBatch(planImages({ ...mixed, bceLoss: true }), at, { epoch, step });
  expect(soft.some(({ target }) => target.length === 2)).toBe(true);
  for (const [row, { target }] of hard.entries()) {
    const labels = soft[row]?.target.map(({ label }) => label) ?? [];
    expect(target.map(({ label }) => label).toSorted()).toEqual(labels.toSorted());
    expect(target.every(({ weight }) => weight === 1)).toBe(true);
  }
});

test("says what an image is mixed with", async () => {
  const rows = await previewBatch(planImages(options), { dataset, size: SIZE }, { epoch, step });
  const samples = planBatches(planImages(options).batches, dataset.length).at(epoch, step);
  for (const [row, { mix, partner }] of rows.entries())
    expect(partner).toEqual(mix === undefined ? undefined : samples[7 - row]);
});

test("says what is not there", async () => {
  const at = { dataset, size: SIZE };
  await expect(previewBatch(planImages(options), at, { step: 99 })).rejects.toThrow("there is no step 99");
  await expect(previewBatch(planImages(options), at, { sample: { index: 999, copy: 0 } })).rejects.toThrow(
    "there is no image 999: the dataset has 48",
  );
  await expect(previewBatch(planImages(options), at, { sample: { index: 1, copy: 3 } })).rejects.toThrow(
    "there is no copy 3: an image has 3 copies",
  );
  const once = { ...options, repeatedAug: false };
  await expect(previewBatch(planImages(once), at, { sample: { index: 1, copy: 1 } })).rejects.toThrow(
    "there is no copy 1: an image has 1 copy",
  );
  const nowhere = join(root, "nowhere", "sheet.png");
  const words = { title: "", subtitle: "", names: () => "" };
  await expect(writeSheet(nowhere, [], words)).rejects.toThrow("--out: there is no folder");
});

test("the sheet is a page with its images inside, or an image", async () => {
  const rows = await previewBatch(planImages(options), { dataset, size: SIZE }, { rows: 3 });
  const words = { title: "photos <&>", subtitle: "猫 κ", names: () => "x".repeat(500) };
  const page = join(root, "sheet.html");
  await writeSheet(page, rows, words);
  const text = await readFile(page, "utf8");
  expect(text).toContain("photos &lt;&amp;&gt;");
  const stages = rows.reduce((sum, row) => sum + row.stages.length, 0);
  expect(text.match(/<img src="data:image\/webp;base64,/g)).toHaveLength(stages);
  for (const { stages } of rows) for (const { label } of stages) expect(text).toContain(label);
  const file = join(root, "sheet.png");
  await writeSheet(file, rows, words);
  const { width, height, format } = await sharp(await readFile(file)).metadata();
  expect([width >= 1000, height > 500, format]).toEqual([true, true, "png"]);
});

/** What a process says that looks for fonts in a folder without any. */
async function withoutFonts(file: string): Promise<string> {
  const fonts = join(root, "fonts.conf");
  await writeFile(fonts, `<?xml version="1.0"?><fontconfig><dir>${join(root, "none")}</dir></fontconfig>`);
  const drawing = new URL("../../src/preview/drawing.ts", import.meta.url).href;
  const code = `const { checkSheetFile } = await import(${JSON.stringify(drawing)});
    console.log(await checkSheetFile(${JSON.stringify(file)}, "out").then(() => "fine", (error) => error.code + " " + error.message));`;
  const env = { ...process.env, FONTCONFIG_FILE: fonts };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
    env,
  });
  return stdout.trim();
}

test.skipIf(process.platform !== "linux")(
  "without fonts an image of boxes for letters is refused, a page is written",
  async () => {
    expect(await withoutFonts(join(root, "sheet.png"))).toMatch(
      /^options\/no-fonts .*sheet\.png needs a font/,
    );
    expect(await withoutFonts(join(root, "sheet.html"))).toBe("fine");
  },
);
