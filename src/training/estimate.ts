/** What a run will take on this machine, from a few of its real steps. */
import type { TrainOptions } from "../config/schema.ts";
import { openDatasets } from "../data/open.ts";
import { smoothTargets } from "./task.ts";
import { dropPathMask, DROP_PATH_INPUT } from "../nn/context.ts";
import { initialVectors } from "../nn/layout.ts";
import { createRandom } from "../random.ts";
import { loadPrograms } from "./executables.ts";
import { restoreProgress } from "./progress.ts";
import { trainingState } from "./program.ts";
import { checkBatch, loadersFor, modelFor, openRuntime, optimizerFor } from "./setup.ts";

export interface Estimate {
  readonly model: string;
  readonly parameters: number;
  readonly stepsPerEpoch: number;
  readonly steps: number;
  /** Of training steps, pictures being read and prepared as they are in the run. */
  readonly imagesPerSecond: number;
  /** Of the whole run, validation included. */
  readonly seconds: number;
  /** Of this process after the steps: memory does not grow during a run. */
  readonly peakRssMiB: number;
  /** Of a finished run folder. */
  readonly diskMiB: number;
}

/** Steps that are run first and not timed, and the time that is spent on timed ones. */
const WARM_UP = 2;
const TIMED_SECONDS = 5;

/** Times the first steps of a run; writes nothing. @throws what `train` would throw before its first step */
export async function estimate(options: TrainOptions): Promise<Estimate> {
  const { train: pictures, validation = pictures } = await openDatasets(options);
  checkBatch(options, pictures);
  const { model, layout } = modelFor(options, pictures.classes.length);
  const runtime = await openRuntime(options);
  const loaders = loadersFor(options, { model, pictures, validation });
  try {
    const optimizer = optimizerFor(options);
    const { batch, apply, evaluate } = await loadPrograms(runtime, { options, model, layout, optimizer });
    const weights = initialVectors(layout, createRandom(options.seed, "weights"));
    await restoreProgress({ runtime, layout, optimizer, saved: null, initial: async () => weights });
    const hyper = Object.fromEntries(
      layout.vectors.map(({ name, group }) => [`hyper.${name}`, Float32Array.from(optimizer.hyper(1, 0, group))]),
    );
    const rates = model.dropPathRates(options.dropPath);
    const needsMask = DROP_PATH_INPUT in batch.program.inputs;
    let start = performance.now();
    let steps = 0;
    let images: Uint8Array = new Uint8Array();
    for await (const next of loaders.training.epoch(0)) {
      if (next.step === WARM_UP) start = performance.now();
      images = next.images;
      const feeds = {
        images,
        targets: smoothTargets(next.labels, model.config.numClasses, options.smoothing),
        ...(needsMask && { [DROP_PATH_INPUT]: dropPathMask(rates, options.batchSize, () => 0.5) }),
      };
      await batch.run(apply ? feeds : { ...feeds, ...hyper });
      if (apply && (next.step + 1) % options.accumulationSteps === 0) await apply.run(hyper);
      steps = next.step + 1;
      if (steps > WARM_UP && (performance.now() - start) / 1000 > TIMED_SECONDS) break;
    }
    const timed = Math.max(1, steps - WARM_UP);
    const secondsPerStep = (performance.now() - start) / 1000 / timed;
    await evaluate.run({ images });
    start = performance.now();
    await evaluate.run({ images });
    const secondsPerValidation = ((performance.now() - start) / 1000) * loaders.validation.steps;

    const stateFloats = trainingState(layout, optimizer).reduce((total, { length }) => total + length, 0);
    const stepsPerEpoch = loaders.training.steps;
    const validations = Math.ceil(options.epochs / options.evalEvery);
    return {
      model: model.name,
      parameters: layout.parameters,
      stepsPerEpoch,
      steps: stepsPerEpoch * options.epochs,
      imagesPerSecond: options.batchSize / secondsPerStep,
      seconds: stepsPerEpoch * options.epochs * secondsPerStep + validations * secondsPerValidation,
      peakRssMiB: process.resourceUsage().maxRSS / 1024,
      diskMiB: (4 * (stateFloats + 2 * layout.parameters)) / 2 ** 20, // the state, the best and the last model
    };
  } finally {
    await Promise.all([loaders.training.close(), loaders.validation.close(), runtime.close()]);
  }
}
