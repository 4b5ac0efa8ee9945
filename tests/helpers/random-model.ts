/** A checkpoint of ours with random weights that knows its classes, for pictures of 16 × 16. */
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createModel } from "../../src/models/registry.ts";
import { createLayout, initialVectors, unpackTensors } from "../../src/nn/layout.ts";
import { decayGroups } from "../../src/optim/groups.ts";
import { createRandom } from "../../src/random.ts";

/** Writes `file`. Without `classes` the file says nothing of itself. */
export async function writeRandomModel(
  file: string,
  {
    model: name,
    classes,
    numClasses = classes?.length ?? 3,
    seed = 0,
  }: { model: string; classes?: readonly string[]; numClasses?: number; seed?: number },
): Promise<void> {
  const model = createModel(name, { numClasses, inputSize: 16 });
  const layout = createLayout(model.parameters, { groupOf: decayGroups(model.noWeightDecay) });
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
          inputSize: [16, 16],
          mean: [0.5, 0.5, 0.5],
          std: [0.2, 0.2, 0.2],
          epoch: 0,
          metrics: {},
          extra: { crop_ratio: "1" },
        });
  await writeCheckpoint(file, { tensors, metadata });
}
