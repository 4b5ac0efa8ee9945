/** What a run will take on this machine, from a few of its real steps. */
import { TEACHER_INPUT } from "../evaluation/evaluation-program.ts";
import { sizeOf } from "../graph/shape.ts";
import type { Loader } from "../data/loading/loader.ts";
import type { Precision } from "../graph/precision.ts";
import type { GivenParts } from "./given-parts.ts";
import { initialVectors } from "../nn/parameters.ts";
import { createRandom } from "../random.ts";
import { batchFeeds, hyperFeeds } from "./loop/step-feeds.ts";
import { loadPrograms } from "./loop/load-programs.ts";
import { planMemory, withMemoryAdvice } from "./memory-needs.ts";
import type { TrainingPlan } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { clearGradients, restoreProgress } from "./loop/run-progress.ts";
import { trainingState } from "./loop/training-programs.ts";
import { withAnswers } from "./loop/teacher-answers.ts";
import { inGroups, runSteps } from "./loop/step-groups.ts";

export interface Estimate {
  readonly model: string;
  readonly parameters: number;
  /** Batches an epoch, and in all. */
  readonly stepsPerEpoch: number;
  readonly steps: number;
  /** Of training steps, images being read and prepared as they are in the run. */
  readonly imagesPerSecond: number;
  /** Of the whole run, validation included. */
  readonly seconds: number;
  /** Of this process after the steps: memory does not grow during a run. */
  readonly peakRssMiB: number;
  /** Planned, on the device: weights, moments and averages; and what a batch wants beside them. */
  readonly stateMiB: number;
  readonly batchMiB: number;
  /** What activations and products are computed in. */
  readonly precision: Precision;
  /** Of a finished run folder. */
  readonly diskMiB: number;
}

/** Groups of steps that are run first and not timed, and the time that is spent on timed ones. */
const WARM_UP = 2;
const TIMED_SECONDS = 4;
const TIMED_VALIDATION_SECONDS = 1;
/** Where the first steps alone take that many times as long, the last of them must do. */
const PATIENCE = 6;

/** Times the first steps of a run; writes nothing. @throws what `train` would throw before its first step */
export async function estimate(plan: TrainingPlan, given: GivenParts = {}): Promise<Estimate> {
  await using prepared = await prepare(plan, {}, given);
  const { model, layout, teacher, runtime, loaders, optimizer, precision } = prepared;
  const { batches, loop } = plan;
  try {
    // No cache: a teacher's answers take their time.
    const executables = await loadPrograms(runtime, { plan, model, layout, optimizer, teacher });
    const weights = initialVectors(layout, createRandom(batches.seed, "weights"));
    await restoreProgress({ runtime, layout, optimizer }, { saved: null, initial: async () => weights });
    await clearGradients({ runtime, layout });
    const { program } = executables.batch;
    const hyper = hyperFeeds({ layout, optimizer, program }, { update: 1, lr: 0 });
    const feedsOf = async function* (group: readonly LoadedBatch[]) {
      for (const batch of group) {
        const made = batchFeeds({ plan, model, program }, batch);
        const { epoch, step } = batch;
        const feeds = await withAnswers(executables.teacher, { epoch, step, feeds: made });
        yield executables.apply ? feeds : { ...feeds, ...hyper };
      }
    };
    const secondsPerStep = await secondsPerBatch(
      loaders.training,
      { enough: TIMED_SECONDS, together: executables.group?.count ?? 1 },
      async (group) => {
        const { failure } = await runSteps(executables, feedsOf(group), group.length);
        if (failure !== undefined) throw failure.error;
        if (executables.apply && (group[0].step + 1) % batches.accumulationSteps === 0)
          await executables.apply.run(hyper);
      },
    );
    // A teacher's embeddings of validation images are computed once in a run: here zeros stand for them.
    const asked = executables.evaluate.program.inputs[TEACHER_INPUT];
    const embeddings = asked && { [TEACHER_INPUT]: new Float32Array(sizeOf(asked.shape)) };
    const secondsPerValidationStep = await secondsPerBatch(
      loaders.validation,
      { enough: TIMED_VALIDATION_SECONDS, together: 1 },
      async ([{ images }]) => {
        await executables.evaluate.run({ images, ...embeddings });
      },
    );
    const memory = planMemory(executables, { layout, optimizer });
    const stepsPerEpoch = loaders.training.steps;
    const steps = stepsPerEpoch * loop.epochs;
    const kinds = optimizer.average ? 2 : 1; // of weights: the trained ones and their average
    const validations = kinds * Math.ceil(loop.epochs / loop.evalEvery);
    const stateFloats = trainingState(layout, optimizer).reduce((total, { length }) => total + length, 0);
    return {
      model: model.name,
      parameters: layout.parameters,
      stepsPerEpoch,
      steps,
      imagesPerSecond: batches.batchSize / secondsPerStep,
      seconds: steps * secondsPerStep + validations * loaders.validation.steps * secondsPerValidationStep,
      stateMiB: memory.state / 2 ** 20,
      batchMiB: memory.batch / 2 ** 20,
      precision,
      peakRssMiB: process.resourceUsage().maxRSS / 1024,
      diskMiB: (4 * (stateFloats + (1 + kinds) * layout.parameters)) / 2 ** 20, // the state, the best and the last models
    };
  } catch (error) {
    throw withMemoryAdvice(error, { ...batches, ...plan.machine });
  }
}

type LoadedBatch = Parameters<typeof batchFeeds>[1];

/** Mean time of a batch, so many going together, its making included; epoch after epoch until `enough` seconds are timed. */
async function secondsPerBatch(
  loader: Loader,
  { enough, together }: { enough: number; together: number },
  work: (group: readonly [LoadedBatch, ...LoadedBatch[]]) => Promise<void>,
): Promise<number> {
  const times: number[] = [];
  const batches: number[] = [];
  let last = performance.now();
  for (let epoch = 0; ; epoch++) {
    for await (const [first, ...rest] of inGroups(loader.epoch(epoch), () => together)) {
      await work([{ epoch, ...first }, ...rest.map((batch) => ({ epoch, ...batch }))]);
      const now = performance.now();
      times.push((now - last) / 1000);
      batches.push(1 + rest.length);
      last = now;
      const timed = times.slice(WARM_UP);
      if (sum(timed) > enough) return sum(timed) / sum(batches.slice(WARM_UP));
      if (sum(times) > PATIENCE * enough) return (times.at(-1) ?? 0) / (batches.at(-1) ?? 1);
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
