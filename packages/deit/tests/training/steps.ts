/** Steps of small models on made-up images: for tests that compare two forms of the same training. */
import type { ProgramOptions } from "../../src/evaluation/evaluation-program.ts";
import type { ProgramFacts } from "../../src/graph/program.ts";
import type { Model } from "../../src/models/registry.ts";
import { createDeit, modelOf } from "../../src/models/registry.ts";
import { regnet } from "../../src/models/regnet.ts";
import { drawMasks } from "../../src/nn/context.ts";
import type { Layout } from "../../src/nn/parameters.ts";
import { initialVectors, modelLayout } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import type { Runtime, TensorData } from "../../src/runtime/runtime.ts";
import { hyperFeeds } from "../../src/training/loop/step-feeds.ts";
import type { TrainingOptions } from "../../src/training/loop/training-programs.ts";
import { TEACHER_INPUT } from "../../src/evaluation/evaluation-program.ts";
import { stepProgram, trainingState } from "../../src/training/loop/training-programs.ts";
import { restoreProgress } from "../../src/training/loop/run-progress.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";
import { loadStepGroup, runSteps as runTogether } from "../../src/training/loop/step-groups.ts";

export const BATCH = 4;
const CLASSES = 3;
export const NORMALISATION = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** Three blocks of width 16, two class tokens, for images of 16 pixels. */
export const transformer: Model = modelOf("small", {
  ...createDeit("deit_w64d4_distilled_patch4_32").config,
  embedDim: 16,
  numHeads: 2,
  depth: 3,
  inputSize: [16, 16],
  numClasses: CLASSES,
});

/** Three blocks with batch normalisation and squeeze-and-excitation. */
export const convolutional: Model = regnet("small-regnet", {
  w0: 8,
  wa: 8,
  wm: 2,
  groupWidth: 8,
  depth: 3,
  stemWidth: 8,
  stemStride: 1,
  inputSize: [16, 16],
  numClasses: CLASSES,
});

export interface Steps {
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
  readonly outputs: readonly Readonly<Record<string, TensorData>>[];
  /** All state vectors after the last step, by name. */
  readonly state: Readonly<Record<string, Float32Array>>;
}

export function programOptions(
  model: Model,
  { target }: Pick<Runtime, "target">,
): ProgramOptions & { readonly layout: Layout } {
  return { model, layout: modelLayout(model), batchSize: BATCH, target, normalisation: NORMALISATION };
}

/** The feeds of step `s` (1, 2, …): images whose brightness tells their class. */
export function stepFeeds(
  { model, layout }: Pick<ProgramOptions, "model" | "layout">,
  { optimizer, teacher, dropPath = 0, drop = 0, attnDrop = 0 }: TrainingOptions,
  { s, program, skipped = 0, lr = 3e-3 }: { s: number; program: ProgramFacts; skipped?: number; lr?: number },
): Record<string, TensorData> {
  const random = createRandom(s, "pictures");
  const labels = Int32Array.from({ length: BATCH }, () => random.integer(CLASSES));
  const pixels = model.config.inputSize.reduce((product, side) => product * side, 3);
  const logits = Float32Array.from({ length: BATCH * CLASSES }, () => random.normal());
  return {
    images: Uint8Array.from(
      { length: BATCH * pixels },
      (_, i) => 60 * (labels[Math.floor(i / pixels)] ?? 0) + random.integer(100),
    ),
    targets: smoothTargets(labels, CLASSES, 0.1),
    ...(teacher === "input" && { [TEACHER_INPUT]: logits }),
    ...drawMasks(program.inputs, { random, dropPathRates: model.dropPathRates(dropPath), drop, attnDrop }),
    ...hyperFeeds({ layout, optimizer, program }, { update: s - skipped, lr, skipped }),
  };
}

async function* inTurn<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** Trains from the same start for so many steps, `together` of them as training does: as one run (CUDA), or handed over (WebGPU). */
export async function runSteps(
  runtime: Runtime,
  model: Model,
  training: TrainingOptions,
  steps: number,
  { together = 1, asOne = false } = {},
): Promise<Steps> {
  const options = programOptions(model, runtime);
  const { layout } = options;
  const { optimizer } = training;
  const initial = async (): Promise<Record<string, Float32Array>> => initialVectors(layout, createRandom(5));
  await restoreProgress({ runtime, layout, optimizer }, { saved: null, initial });
  const program = stepProgram(options, { ...training, ahead: together });
  const step = await runtime.load(program);
  const inOneRun = asOne ? await loadStepGroup(runtime, program, together) : undefined;
  const outputs: Record<string, TensorData>[] = [];
  let skipped = 0;
  while (outputs.length < steps) {
    const from = outputs.length + 1;
    const group = Array.from({ length: Math.min(together, steps + 1 - from) }, (_, i) =>
      stepFeeds(options, training, { s: from + i, program, skipped }),
    );
    const { results, failure } = await runTogether(
      { batch: step, group: inOneRun },
      inTurn(group),
      group.length,
    );
    if (failure !== undefined) throw failure.error;
    outputs.push(...results);
    skipped += results.filter(({ overflow }) => overflow?.[0] === 1).length;
  }
  await step.release();
  await inOneRun?.executable?.release();
  const state: Record<string, Float32Array> = {};
  for (const { name } of trainingState(layout, optimizer)) state[name] = await runtime.getState(name);
  const numbers = (name: string): number[] => outputs.map((output) => Number(output[name]?.[0]));
  return { losses: numbers("loss"), gradNorms: numbers("gradNorm"), outputs, state };
}
