/** The loaders of a run: training images as its recipe transforms them, validation images as evaluation prepares them. */
import type { ImageTransform } from "../../data/loading/batch.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { BatchPool, Loader } from "../../data/loading/loader.ts";
import { createLoader } from "../../data/loading/loader.ts";
import { createPlan, planBatches } from "../../data/loading/epoch-plan.ts";
import type { ImagePlan } from "../plan.ts";

export interface RunLoaders {
  readonly training: Loader;
  readonly validation: Loader;
}

/**
 * `size`: [height, width] of the model's input. `pool`: what makes the batches of a dataset; default: this thread.
 * @throws DataError, ConfigError for fewer training images than one update takes
 */
export function createLoaders(
  plan: Pick<ImagePlan, "batches" | "images" | "evaluation">,
  {
    training,
    validation,
    size,
    first,
    pool = () => undefined,
  }: {
    training: Dataset;
    validation: Dataset;
    size: readonly [number, number];
    /** What is done to a training image before the recipe's transform. */
    first?: ImageTransform | undefined;
    pool?: (dataset: Dataset) => BatchPool | undefined;
  },
): RunLoaders {
  const { batchSize, process } = plan.batches;
  return {
    training: createLoader({
      dataset: training,
      transform: { ...plan.images.transform, size },
      plan: planBatches(plan.batches, training.length),
      first,
      pool: pool(training),
    }),
    validation: createLoader({
      dataset: validation,
      transform: { ...plan.evaluation, size },
      plan: createPlan({
        mode: "evaluation",
        length: validation.length,
        batchSize,
        ...(process && { process }),
      }),
      pool: pool(validation),
    }),
  };
}
