/** Every kind of file in a folder is prepared as the files beside it say: the very bytes that the model sees are compared. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { PartialPreprocessing } from "../../src/augmentation/preprocessing.ts";
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import { crop } from "../../src/augmentation/crop.ts";
import { writePlanar } from "../../src/augmentation/rgb-image.ts";
import { resize } from "../../src/augmentation/resize.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { predict } from "../../src/evaluation/predict.ts";
import { deployedModel } from "../../src/export/onnx.ts";
import { writeHuggingFace, writeOwn } from "../../src/export/weights.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createModel } from "../../src/models/registry.ts";
import { createRandom } from "../../src/random.ts";
import { generate } from "../augmentation/generated.ts";
import { temporaryFolder } from "../data/temporary.ts";

const SIZE = [32, 32] as const;
const IMAGE = generate(90, 60, "noise");
const norm = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], rescale_factor: 1 / 255 };

const model = createModel("deit_w64d4_patch4_32", { numClasses: 3 });
const layout = modelLayout(model);
const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0)));
const loaded = (
  form: PartialPreprocessing = {},
): Parameters<typeof deployedModel>[0] & { file: string; notes: [] } => ({
  model,
  tensors,
  metadata: { classes: ["a", "b", "c"] },
  preprocessing: completePreprocessing(SIZE, form),
  file: "",
  notes: [],
});

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

/** Opens a file; the bytes [3, 32, 32] that its model sees of IMAGE, and the normalisation. */
async function seen(path: string, options: Parameters<typeof openClassifier>[1] = {}): Promise<unknown> {
  await using classifier = await openClassifier(path, options);
  return { bytes: classifier.prepare(IMAGE), normalisation: classifier.normalisation };
}

function planes(image: Parameters<typeof writePlanar>[0]): Uint8Array {
  const bytes = new Uint8Array(3 * 32 * 32);
  writePlanar(image, bytes, 0);
  return bytes;
}

const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
const to = (width: number, height: number, interpolation: "bilinear" | "lanczos" | "nearest" = "bilinear") =>
  resize(IMAGE, { width, height, interpolation });

test.each([
  [
    "squashed",
    { image_processor_type: "ViTImageProcessor", size: { height: 32, width: 32 }, resample: 2, ...norm },
    () => to(32, 32),
  ],
  [
    "squashed, then cut",
    {
      image_processor_type: "DeiTImageProcessor",
      size: { height: 36, width: 40 },
      crop_size: { height: 32, width: 32 },
      resample: 1,
      ...norm,
    },
    () => crop(to(40, 36, "lanczos"), { left: 4, top: 2, width: 32, height: 32 }),
  ],
  [
    "shorter side, nearest, cut",
    {
      image_processor_type: "CLIPImageProcessor",
      size: { shortest_edge: 40 },
      crop_size: 32,
      resample: 0,
      ...norm,
    },
    () => crop(to(60, 40, "nearest"), { left: 14, top: 4, width: 32, height: 32 }),
  ],
  [
    "not resized",
    { do_resize: false, crop_size: 32, ...norm },
    () => crop(IMAGE, { left: 29, top: 14, width: 32, height: 32 }),
  ],
])("%s: safetensors, ONNX and what is exported of them", async (name, processor, expected) => {
  const folder = join(root, name);
  await mkdir(join(folder, "onnx"), { recursive: true });
  await writeHuggingFace(folder, loaded());
  await writeFile(join(folder, "preprocessor_config.json"), JSON.stringify(processor));
  await writeFile(join(folder, "onnx/model.onnx"), deployedModel(loaded()));
  const right = { bytes: planes(expected()), normalisation: half };
  expect(await seen(folder)).toEqual(right);
  expect(await seen(join(folder, "onnx/model.onnx"))).toEqual(right);
  // once more, written by this package: as one file, and in each form
  await using classifier = await openClassifier(folder);
  const form = loaded(classifier.preprocessing);
  await writeOwn(join(folder, "own.safetensors"), form);
  expect(await seen(join(folder, "own.safetensors"))).toEqual(right);
  await mkdir(join(folder, "again"));
  await writeFile(join(folder, "again/own.onnx"), deployedModel(form));
  expect(await seen(join(folder, "again/own.onnx"))).toEqual(right);
  await writeHuggingFace(join(folder, "again"), form);
  expect(await seen(join(folder, "again"))).toEqual(right);
});

test("options go before what files say, for each kind of file", async () => {
  const folder = join(root, "options");
  await mkdir(folder);
  await writeCheckpoint(join(folder, "bare.safetensors"), { tensors, metadata: { format: "pt" } });
  await writeFile(join(folder, "own.onnx"), deployedModel(loaded({ interpolation: "hamming" })));
  const preprocessing = {
    ...(half as object),
    cropRatio: 1,
    resize: "squash",
    interpolation: "lanczos",
  } as const;
  for (const file of ["bare.safetensors", "own.onnx"]) {
    const found = await seen(join(folder, file), { preprocessing, model: "deit_w64d4_patch4_32" });
    expect(found).toEqual({ bytes: planes(to(32, 32, "lanczos")), normalisation: half });
  }
  await using bare = await openClassifier(join(folder, "bare.safetensors"));
  expect(bare.notes).toEqual([
    expect.stringMatching(/do not determine the number of attention heads/),
    expect.stringMatching(/does not specify preprocessing: assumed shorter side to 36/),
  ]);
  await using own = await openClassifier(join(folder, "own.onnx"));
  expect(own.notes).toEqual([]);
});

const cases = new URL("../../../../../shared/cases/", import.meta.url);
describe.skipIf(!existsSync(cases))("a folder without a crop (needs ../shared/cases)", () => {
  test("its own settings see green", async () => {
    const path = (name: string): string => fileURLToPath(new URL(name, cases));
    const [first] = await predict({
      checkpoint: path("no-crop-processor"),
      images: [path("pictures/red-middle.png")],
      device: "cpu",
    });
    expect(first?.predictions[0]).toMatchObject({ label: "green" });
    expect(first?.predictions[0]?.score).toBeCloseTo(0.878, 3);
  });
});
