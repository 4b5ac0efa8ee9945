/** Weights without a classifier, as DINOv2's: features, but no answers. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import type { Classifier } from "../../src/evaluation/classifier.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  const model = createModel("vit_w64d2h1_ls_reg4_pp_patch8_32", { numClasses: 3 });
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(1)));
  const without = new Map([...tensors].filter(([name]) => !name.startsWith("head.")));
  await writeCheckpoint(join(root, "whole.safetensors"), { tensors, metadata: {} });
  await writeCheckpoint(join(root, "headless.safetensors"), { tensors: without, metadata: {} });
});

const image = {
  width: 40,
  height: 40,
  data: Uint8Array.from({ length: 4800 }, (_, i) => (i * 37) % 256),
};
const features = async (classifier: Classifier): Promise<readonly number[]> =>
  Array.from((await classifier.features([image])).data);

test("features are those of the same weights with one; the note says that there are no answers", async () => {
  await using whole = await openClassifier(join(root, "whole.safetensors"), { intermediates: true });
  await using headless = await openClassifier(join(root, "headless.safetensors"), { intermediates: true });
  expect(await features(headless)).toEqual(await features(whole));
  expect(headless.notes.join("\n")).toContain("headless.safetensors has no classifier");
  expect(whole.notes.join("\n")).not.toContain("has no classifier");
});

test("to predict they are refused", async () => {
  await expect(openClassifier(join(root, "headless.safetensors"))).rejects.toThrow(
    /missing: head\.bias; head\.weight\nIt has no classifier.*deit finetune/,
  );
});
