/** Models with weights from code: random, pretrained, saved, opened. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { createModel, saveModel } from "../../src/api/create-model.ts";
import type { CreateModelOptions } from "../../src/api/create-model.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { temporaryFolder } from "../data/temporary.ts";

const NAME = "deit_w64d4_patch4_32";
const IMAGE = { width: 40, height: 40, data: Uint8Array.from({ length: 4800 }, (_, i) => (i * 7) % 256) };

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

test("a model that is saved is the same when it is opened, and when it is opened from memory", async () => {
  const made = await createModel(NAME, { classes: ["a", "b", "c"], seed: 3 });
  const file = join(root, "made.safetensors");
  await saveModel(file, made);
  await using memory = await openClassifier(made);
  await using disk = await openClassifier(file);
  expect(disk.classes).toEqual(["a", "b", "c"]);
  expect(await disk.classify(IMAGE)).toEqual(await memory.classify(IMAGE));
});

test("weights differ with the seed, and are those of the checkpoint where one is named", async () => {
  const file = join(root, "seeded.safetensors");
  const made = await createModel(NAME, { classes: ["a", "b"], seed: 1 });
  await saveModel(file, made);
  const [other, again] = [
    await createModel(NAME, { numClasses: 2, seed: 2 }),
    await createModel(NAME, { pretrained: file, numClasses: 2, seed: 2 }),
  ];
  const weight = "blocks.0.attn.qkv.weight";
  expect(other.tensors.get(weight)).not.toEqual(made.tensors.get(weight));
  expect(again.tensors.get(weight)).toEqual(made.tensors.get(weight));
  expect(again.metadata.classes).toEqual(["a", "b"]);
  const five = await createModel(NAME, { pretrained: file, numClasses: 5 });
  expect(five.tensors.get("head.weight")?.shape).toEqual([5, 64]);
  expect(five.notes.join()).toContain("starts fresh: head.weight");
  expect(five.metadata.classes).toBeUndefined();
});

test("what is not there, or not known, is an error", async () => {
  await expect(createModel("deit_w64d4_patch4_33x")).rejects.toMatchObject({ code: "model/unknown-name" });
  await expect(createModel(NAME, { pretrained: true })).rejects.toMatchObject({
    code: "checkpoint/not-found",
  });
  const misspelt = { numclasses: 3 } as CreateModelOptions;
  await expect(createModel(NAME, misspelt)).rejects.toMatchObject({ code: "options/unknown" });
  const made = await createModel(NAME);
  const renamed = new Map([...made.tensors].map(([name, tensor]) => [`W.${name}`, tensor]));
  await expect(saveModel(join(root, "x.safetensors"), { ...made, tensors: renamed })).rejects.toMatchObject({
    code: "checkpoint/wrong-tensors",
  });
});
