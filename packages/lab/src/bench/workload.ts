/** What benchmarks run: the forward pass of a deployed model, and a training step, on images of noise. */
import type { Model, Runtime } from "deit-ts";
import { IMAGENET_NORMALISATION } from "deit-ts/data";
import { createRandom, ops } from "deit-ts/graph";
import type { Precision, Program, TensorData } from "deit-ts/graph";
import {
  adamW,
  deployedProgram,
  groupSize,
  hyperFeeds,
  initialVectors,
  largestGroup,
  modelLayout,
  restoreProgress,
  smoothTargets,
  softTargetCrossEntropy,
  stepProgram,
  unpackTensors,
} from "deit-ts/models";
import { choosePrecision, optimizerIn } from "deit-ts/studies";
import type { Task, Tensors } from "deit-ts/models";

const { add, mul } = ops;

/** A program with feeds for it, ready to run again and again. */
export interface Workload {
  readonly program: Program;
  readonly feeds: Readonly<Record<string, TensorData>>;
  /** Floating-point operations of one image, in forward passes. */
  readonly passes: number;
  /** How many runs go together as training steps do on this device; undefined for what is not a training step. */
  readonly stepsPerRun?: number;
}

/** What a workload is made for. */
export interface WorkloadContext {
  readonly model: Model;
  readonly batchSize: number;
  readonly runtime: Runtime;
}

/** How a training step is computed. */
export interface StepForm {
  /** Of activations and products. */
  readonly precision?: Precision | "auto";
  /** Blocks are computed again in the backward pass. */
  readonly recompute?: boolean;
  /** Steps handed to the device together; default: as many as a run does there. Profiles are of single steps. */
  readonly stepsPerRun?: number;
}

/** Forward passes of the deployed model: weights inside the program, joint logits out. */
export async function inferWorkload({ model, batchSize, runtime }: WorkloadContext): Promise<Workload> {
  return {
    program: deployedProgram(model, randomWeights(model), { batchSize, target: runtime.target }),
    feeds: { pixel_values: randomPixels(batchSize, model.config.inputSize) },
    passes: 1,
  };
}

/** Weights as a training would begin with. */
export function randomWeights(model: Model): Tensors {
  const layout = modelLayout(model);
  return unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
}

/** Normalised images [B, 3, H, W] of noise. */
export function randomPixels(batchSize: number, [height, width]: readonly [number, number]): Float32Array {
  const random = createRandom(0, "images");
  return Float32Array.from({ length: batchSize * 3 * height * width }, () => random.normal());
}

/** Training steps: forward, backward, AdamW, without stochastic depth; both heads of a distilled model learn. */
export async function trainWorkload(
  { model, batchSize, runtime }: WorkloadContext,
  { precision: asked = "float32", recompute = false, stepsPerRun }: StepForm = {},
): Promise<Workload> {
  const layout = modelLayout(model);
  const { precision } = await choosePrecision(asked, runtime.device);
  const optimizer = optimizerIn(adamW(), precision);
  const together = { stepsPerRun: stepsPerRun ?? null, accumulationSteps: 1 };
  const program = stepProgram(
    {
      model,
      layout,
      batchSize,
      target: runtime.target,
      normalisation: IMAGENET_NORMALISATION,
    },
    { task: everyHead, optimizer, recompute, ahead: largestGroup(together, runtime.device) },
  );
  const weights = initialVectors(layout, createRandom(0, "weights"));
  await restoreProgress({ runtime, layout, optimizer }, { saved: null, initial: async () => weights });
  const [height, width] = model.config.inputSize;
  const random = createRandom(0, "images");
  const labels = Int32Array.from({ length: batchSize }, () => random.integer(model.config.numClasses));
  return {
    program,
    feeds: {
      images: Uint8Array.from({ length: batchSize * 3 * height * width }, () => random.integer(256)),
      targets: smoothTargets(labels, model.config.numClasses, 0.1),
      ...hyperFeeds({ layout, optimizer, program }, { update: 1000, lr: 1e-6 }),
    },
    passes: 3,
    stepsPerRun: groupSize(together, { device: runtime.device, step: program }),
  };
}

/** The loss of the timed step: true labels on every head, so that every parameter gets a gradient. */
const everyHead: Task = ({ heads, targets }) => {
  const byClass = softTargetCrossEntropy(heads.class, targets);
  if (heads.distillation === undefined) return { loss: byClass };
  return { loss: mul(add(byClass, softTargetCrossEntropy(heads.distillation, targets)), 0.5) };
};
