/** Exports for timm: what real timm loaded (tests/golden/timm-export), and refusals where it could not. */
import { completePreprocessing } from "../../src/augmentation/preprocessing.ts";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { DeitError } from "../../src/errors.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import type { LoadedModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { checkTimmFolder, timmModel } from "../../src/export/timm.ts";
import { WEIGHTS, writeTimm } from "../../src/export/weights.ts";
import { timmConfig } from "../../src/formats/huggingface.ts";
import { createModel, listModels, modelOf } from "../../src/models/registry.ts";
import type { Model } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";

const file = new URL("../golden/timm-export/expected.json", import.meta.url);
const { models: recorded } = JSON.parse(await readFile(file, "utf8")) as {
  models: Readonly<Record<string, { config: unknown; difference: string }>>;
};
const PREPARED = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.25], cropRatio: 0.9 } as const;
const CLASSES = ["cat", "dog", "bird"];

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

const code = async (work: () => unknown): Promise<string> => {
  const error: unknown = await Promise.resolve()
    .then(work)
    .then(
      () => undefined,
      (cause: unknown) => cause,
    );
  expect(error).toBeInstanceOf(DeitError);
  return (error as DeitError).code;
};

function loadedOf(model: Model): LoadedModel {
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
  const preprocessing = completePreprocessing(model.config.inputSize, PREPARED);
  const metadata = { classes: CLASSES };
  return { model, tensors, metadata, preprocessing, file: "x", notes: [] };
}

describe("config.json of every model is one that timm loaded, with the same logits", () => {
  test.each(listModels().map(({ name }) => name))("%s", async (name) => {
    const model = createModel(name, { numClasses: 3 });
    const entry = recorded[name];
    if (entry === undefined && /^(?:deit3|vit)_/.test(name)) {
      const known =
        name.includes("_avg_") || name === "deit3_medium_patch16_384" ? "deit_tiny_patch16_224" : name;
      expect(timmModel(model).architecture).toBe(known); // as those of its kind that are recorded
      return;
    }
    if (entry === undefined) {
      expect(name).toMatch(/_32$|^resnet/); // no timm model computes these
      expect(await code(() => timmModel(model))).toBe("export/no-counterpart");
      return;
    }
    const prepared = { ...PREPARED, inputSize: model.config.inputSize, classes: CLASSES };
    expect(timmConfig(timmModel(model), prepared)).toEqual(entry.config);
    expect(Number(entry.difference)).toBeLessThan(1e-3);
  });

  test("dimensions and heads of nobody's, and images that are not squares, come back", async () => {
    const config = createModel("deit_w64d4_distilled_patch4_32", { numClasses: 3 }).transformer;
    if (config === undefined) throw new Error("unreachable");
    const odd = modelOf("odd", { ...config, embedDim: 48, numHeads: 3, depth: 2, inputSize: [16, 24] });
    const folder = join(root, "odd");
    await mkdir(folder);
    const loaded = loadedOf(odd);
    await writeTimm(folder, loaded);
    await checkTimmFolder(folder, { weights: WEIGHTS, model: odd });
    const back = await loadModel(folder);
    expect(back.model.transformer).toEqual(odd.transformer);
    expect(back.metadata.classes).toEqual(CLASSES);
    expect(back.tensors.get("head.weight")?.data).toEqual(loaded.tensors.get("head.weight")?.data);
  });
});

describe("a folder that timm would not load as the model is found out:", () => {
  const model = createModel("deit_w64d4_patch4_32", { numClasses: 3 });
  type Config = Record<string, unknown> & { model_args: Record<string, unknown> };
  test.each<[string, (config: Config) => unknown, string]>([
    ["a name that timm has not", (config) => (config["architecture"] = model.name), "export/wrong-answers"],
    [
      "without arguments",
      (config) => delete (config as Record<string, unknown>)["model_args"],
      "export/wrong-answers",
    ],
    [
      "other heads, the same tensors",
      (config) => (config.model_args["num_heads"] = 4),
      "export/wrong-answers",
    ],
    ["other classes", (config) => (config["num_classes"] = 4), "export/wrong-answers"],
    [
      "an argument that is not checked",
      (config) => (config.model_args["qk_norm"] = true),
      "checkpoint/damaged-settings",
    ],
  ])("%s", async (name, change, expected) => {
    const folder = join(root, name);
    await mkdir(folder);
    await writeTimm(folder, loadedOf(model));
    await checkTimmFolder(folder, { weights: WEIGHTS, model });
    const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as Config;
    change(config);
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    expect(await code(async () => checkTimmFolder(folder, { weights: WEIGHTS, model }))).toBe(expected);
  });
});
