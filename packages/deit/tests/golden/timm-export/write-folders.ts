/**
 * Writes every registered model, with random weights, as `deit export --format timm` does, and beside it what ONNX Runtime
 * answers for its ONNX export: for record.py beside this file. Large ones are gigabytes; `MODEL…` writes these alone.
 */
import { completePreprocessing } from "../../../src/augmentation/preprocessing.ts";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { DeitError } from "../../../src/errors.ts";
import { deployedModel } from "../../../src/export/onnx.ts";
import { checkTimmFolder } from "../../../src/export/timm.ts";
import { WEIGHTS, writeTimm } from "../../../src/export/weights.ts";
import { writeCheckpoint } from "../../../src/formats/safetensors-file.ts";
import { createModel, listModels } from "../../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../../src/nn/parameters.ts";
import { createRandom } from "../../../src/random.ts";

const [root, ...names] = process.argv.slice(2);
if (root === undefined) throw new Error("npx node tests/golden/timm-export/write-folders.ts FOLDER [MODEL…]");

for (const name of names.length > 0 ? names : listModels().map((model) => model.name)) {
  const model = createModel(name, { numClasses: 3 });
  const layout = modelLayout(model);
  const vectors = initialVectors(layout, createRandom(1, name));
  const random = createRandom(2, name);
  const tensors = unpackTensors(layout, vectors);
  for (const [parameter, { data }] of tensors)
    if (!parameter.endsWith("running_var"))
      for (const i of data.keys()) data[i] = (data[i] ?? 0) + random.normal(0, 0.02);
  const loaded = {
    model,
    tensors,
    metadata: { classes: ["cat", "dog", "bird"] },
    preprocessing: completePreprocessing(model.config.inputSize, {
      mean: [0.5, 0.4, 0.3],
      std: [0.2, 0.3, 0.25],
      cropRatio: 0.9,
    }),
    file: name,
    notes: [],
  } as const;
  const folder = join(root, name);
  try {
    await mkdir(folder, { recursive: true });
    await writeTimm(folder, loaded);
    await checkTimmFolder(folder, { weights: WEIGHTS, model });
  } catch (error) {
    if (!(error instanceof DeitError)) throw error;
    console.log(`${name}: ${error.message.replace("\n", " ")}`);
    continue;
  }
  const shape = [2, 3, ...model.config.inputSize];
  const images = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal(0, 1));
  const session = await InferenceSession.create(deployedModel(loaded));
  const [inputName = ""] = session.inputNames;
  const { logits } = await session.run({ [inputName]: new Tensor("float32", images, shape) });
  await writeCheckpoint(join(folder, "expected.st"), {
    tensors: new Map([
      ["images", { shape, data: images }],
      ["logits", { shape: [2, 3], data: logits?.data as Float32Array }],
    ]),
    metadata: {},
  });
  await session.release();
  console.log(name);
}
