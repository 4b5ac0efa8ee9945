/** DeiT III's recipes, unchanged but for the images, the size and the length of the run. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { loadRecipe } from "../../src/config/recipe.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { train } from "../../src/api/train.ts";
import { readRun } from "../../src/training/run/run-folder.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "./photos.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  await writePhotos(join(root, "photos"), { perClass: 8 });
});

test.each(["deit3-small-imagenet", "deit3-base-imagenet"])("%s trains", async (name) => {
  const { values } = await loadRecipe(name);
  const outputDir = join(root, name);
  await train({
    ...values,
    dataPath: join(root, "photos"),
    outputDir,
    model: "vit_w64d2h1_ls_pp_patch8_32",
    inputSize: 32,
    epochs: 2,
    batchSize: 4,
    accumulationSteps: 2,
    valSplit: 0.25,
    warmupEpochs: 0,
    workers: 0,
  });
  const { log: losses } = await readRun(outputDir);
  expect(losses.length).toBe(2);
  expect(losses.every(({ train_loss: loss }) => loss > 0 && loss < 1)).toBe(true); // binary: log 2 at the start
  const { tensors } = await readCheckpoint(join(outputDir, "last.safetensors"));
  const factors = tensors.get("blocks.0.ls1.gamma")?.data ?? new Float32Array();
  expect(factors.length).toBe(64);
  expect(factors.every((x) => Number.isFinite(x) && x !== Math.fround(1e-4))).toBe(true); // they learn
});
