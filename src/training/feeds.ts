/** What the programs of training are fed with. All chance comes from (seed, epoch, step): resuming needs nothing from here. */
import type { TrainOptions } from "../config/schema.ts";
import type { Batch } from "../data/loader.ts";
import type { Model } from "../models/registry.ts";
import { dropPathMask, DROP_PATH_INPUT } from "../nn/context.ts";
import type { Layout } from "../nn/layout.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { createRandom } from "../random.ts";
import type { TensorData } from "../runtime/runtime.ts";
import type { Executables } from "./executables.ts";
import { smoothTargets } from "./task.ts";

interface BatchContext {
  readonly options: TrainOptions;
  readonly model: Model;
  readonly executables: Executables;
}

/** Feeds of `executables.batch`, but for the optimizer's numbers. */
export function batchFeeds(
  { options, model, executables }: BatchContext,
  { epoch, step, images, labels }: Pick<Batch, "step" | "images" | "labels"> & { readonly epoch: number },
): Record<string, TensorData> {
  const targets = smoothTargets(labels, model.config.numClasses, options.smoothing);
  if (!(DROP_PATH_INPUT in executables.batch.program.inputs)) return { images, targets };
  const random = createRandom(options.seed, "dropPath", epoch, step);
  const rates = model.dropPathRates(options.dropPath);
  return { images, targets, [DROP_PATH_INPUT]: dropPathMask(rates, labels.length, () => random.uniform()) };
}

/** The optimizer's numbers for update `update` (1, 2, …), by vector. */
export function hyperFeeds(
  { layout, optimizer }: { layout: Layout; optimizer: Optimizer },
  { update, lr }: { update: number; lr: number },
): Record<string, TensorData> {
  return Object.fromEntries(
    layout.vectors.map(({ name, group }) => [
      `hyper.${name}`,
      Float32Array.from(optimizer.hyper(update, lr, group)),
    ]),
  );
}
