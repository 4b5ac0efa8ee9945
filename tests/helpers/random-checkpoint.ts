/** Checkpoints of models that learnt nothing: random weights, large enough for answers that differ. */
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createModel } from "../../src/models/registry.ts";
import type { Tensors } from "../../src/nn/layout.ts";
import { initialVectors, unpackTensors } from "../../src/nn/layout.ts";
import { modelLayout } from "../../src/optim/groups.ts";
import { createRandom } from "../../src/random.ts";

export interface RandomCheckpoint {
  readonly model: string;
  readonly classes: readonly string[];
  readonly inputSize: number;
}

/** Writes one that knows its classes, and returns the tensors. */
export async function writeRandomCheckpoint(
  path: string,
  { model: name, classes, inputSize }: RandomCheckpoint,
): Promise<Tensors> {
  const model = createModel(name, { numClasses: classes.length, inputSize });
  const layout = modelLayout(model);
  const vectors = initialVectors(layout, createRandom(0));
  const random = createRandom(1);
  for (const vector of Object.values(vectors))
    for (const i of vector.keys()) vector[i] = (vector[i] ?? 0) + random.normal(0, 0.1);
  const tensors = unpackTensors(layout, vectors);
  await writeCheckpoint(path, {
    tensors,
    metadata: encodeModelMetadata({
      model: name,
      classes,
      inputSize: [inputSize, inputSize],
      mean: [0.5, 0.5, 0.5],
      std: [0.2, 0.2, 0.2],
      epoch: 0,
      metrics: {},
      extra: { crop_ratio: "1" },
    }),
  });
  return tensors;
}
