/** Checkpoints of models that learnt nothing: random weights, large enough for answers that differ. */
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createModel } from "../../src/models/registry.ts";
import type { Tensors } from "../../src/nn/parameters.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";

/** Writes `file`, and returns its tensors. Without `classes` the file says nothing of itself. */
export async function writeRandomModel(
  file: string,
  {
    model: name,
    classes,
    numClasses = classes?.length ?? 3,
    inputSize = 16,
    seed = 0,
    extra = {},
  }: {
    model: string;
    classes?: readonly string[];
    numClasses?: number;
    inputSize?: number;
    seed?: number;
    extra?: Readonly<Record<string, string>>;
  },
): Promise<Tensors> {
  const model = createModel(name, { numClasses, inputSize });
  const layout = modelLayout(model);
  const vectors = initialVectors(layout, createRandom(seed));
  const random = createRandom(seed, "noise");
  for (const vector of Object.values(vectors))
    for (const i of vector.keys()) vector[i] = (vector[i] ?? 0) + random.normal(0, 0.1);
  const tensors = unpackTensors(layout, vectors);
  const metadata =
    classes === undefined
      ? {}
      : encodeModelMetadata({
          model: name,
          classes,
          inputSize: [inputSize, inputSize],
          mean: [0.5, 0.5, 0.5],
          std: [0.2, 0.2, 0.2],
          epoch: 0,
          metrics: {},
          extra: { crop_ratio: "1", ...extra },
        });
  await writeCheckpoint(file, { tensors, metadata });
  return tensors;
}
