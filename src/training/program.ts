/**
 * The programs of training: a model, a task and an optimizer, traced, differentiated and compiled.
 * `step` does it all in one run. `grad` and `apply` are its two halves, for accumulation and for several processes.
 */
import type { ProgramOptions } from "../evaluation/program.ts";
import { imagesInput } from "../evaluation/program.ts";
import { at, inScope, input } from "../graph/graph.ts";
import type { Value } from "../graph/graph.ts";
import { gradient } from "../graph/gradient.ts";
import { add, full, mul, reshape, slice } from "../graph/ops.ts";
import type { Program } from "../graph/program.ts";
import { compile } from "../graph/program.ts";
import { evaluationContext, trainingContext } from "../nn/context.ts";
import type { Layout, ParameterVector } from "../nn/layout.ts";
import { bindParameters, frozenVectors, nextVector, trainedVectors } from "../nn/layout.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { clipGlobalNorm, globalNorm } from "../optim/clip.ts";
import { ERASING_INPUT, MIX_INPUT, preparePixels } from "./pixels.ts";
import type { Task } from "./task.ts";

/** Inputs of a batch besides images and targets. */
export interface BatchInputs {
  /** Noise codes of erased pixels. */
  readonly erasing?: boolean;
  /** Mixup and CutMix. */
  readonly mixing?: boolean;
}

export interface TrainingOptions extends BatchInputs {
  readonly task: Task;
  readonly optimizer: Optimizer;
  /**
   * The teacher's logits [B, K] for the student's pixels [B, 3, H, W]: computed inside the program by this function,
   * or an input `teacher`.
   */
  readonly teacher?: ((pixels: Value) => Value) | "input" | undefined;
  /** Forward as in evaluation: nothing is dropped, and BatchNorm keeps its statistics. */
  readonly evaluationMode?: boolean;
  /** Stochastic depth, dropout and dropout of attention weights. */
  readonly dropPath?: number;
  readonly drop?: number;
  readonly attnDrop?: number;
  /** Largest global norm of a gradient; undefined leaves gradients alone. */
  readonly clipGrad?: number | undefined;
}

/** Input [B, K] of the teacher's logits, where they are not computed in the program. */
export const TEACHER_INPUT = "teacher";

/**
 * One optimizer step in one run. Inputs: images [B, 3, H, W] (0 to 255), targets [B, K], hyper.<vector>, and
 * when used, erasing [B, 3, H, W], mix [B, 6] (pixels.ts), teacher [B, K] and the masks of nn/context.ts. State: W, and the optimizer's slots, by vector. Outputs: the task's losses, gradNorm.
 */
export function stepProgram(options: ProgramOptions, training: TrainingOptions): Program {
  const { losses, ...traced } = traceGradients(options, training);
  const { outputs, state } = inScope("optimizer", () => update(options.layout, training, traced));
  return compile({
    name: `${options.model.name}.step`,
    target: options.target,
    outputs: { ...losses, ...outputs },
    state,
  });
}

/** Adds the gradient of one batch, divided by `batches`, to the state G. Inputs as `step`; outputs the losses. */
export function gradProgram(
  options: ProgramOptions,
  training: TrainingOptions,
  { batches }: { batches: number },
): Program {
  const { losses, grads, frozen } = traceGradients(options, training);
  const state: Record<string, Value | null> = Object.fromEntries(
    Object.entries(frozen).map(([name, next]) => [`W.${name}`, next]),
  );
  for (const [i, { name, length }] of trainedVectors(options.layout).entries()) {
    state[`W.${name}`] = null;
    state[`G.${name}`] = add(input(`G.${name}`, "float32", [length]), mul(at(grads, i), 1 / batches));
  }
  return compile({ name: `${options.model.name}.grad`, target: options.target, outputs: losses, state });
}

/** Applies the gradient G to the state and clears it. Input: hyper.<vector>; output: gradNorm. */
export function applyProgram({ model, layout, target }: ProgramOptions, training: TrainingOptions): Program {
  const weight = ({ name, length }: ParameterVector): [string, Value] => [
    name,
    input(`W.${name}`, "float32", [length]),
  ];
  const trained = trainedVectors(layout);
  const grads = trained.map(({ name, length }) => input(`G.${name}`, "float32", [length]));
  const { outputs, state } = update(layout, training, {
    weights: Object.fromEntries(layout.vectors.map(weight)),
    grads,
    frozen: Object.fromEntries(frozenVectors(layout).map(weight)),
  });
  const cleared = trained.map(({ name, length }) => [`G.${name}`, full([length], 0)]);
  return compile({
    name: `${model.name}.apply`,
    target,
    outputs,
    state: { ...state, ...Object.fromEntries(cleared) },
  });
}

/** What an update starts from. */
interface Traced {
  readonly weights: Readonly<Record<string, Value>>;
  /** Of the trained vectors, in their order. */
  readonly grads: readonly Value[];
  /** What vectors become that are not trained but follow the data: BatchNorm's statistics. */
  readonly frozen: Readonly<Record<string, Value>>;
}

function traceGradients(
  options: ProgramOptions,
  { task, teacher, evaluationMode, dropPath = 0, drop = 0, attnDrop = 0, ...inputs }: TrainingOptions,
): Traced & { losses: Record<string, Value> } {
  const { model, layout, batchSize, target } = options;
  const { weights, scope, values } = bindParameters(layout);
  const bufferUpdates = new Map<Value, Value>();
  const context = evaluationMode
    ? evaluationContext()
    : trainingContext({
        bufferUpdates,
        batchSize,
        target,
        dropPathRates: model.dropPathRates(dropPath),
        drop,
        attnDrop,
      });
  const pixels = inScope("pixels", () => batchPixels(options, inputs));
  const heads = model.forward(pixels, scope, context);
  const logits = [batchSize, model.config.numClasses];
  const answers =
    teacher === "input"
      ? input(TEACHER_INPUT, "float32", logits)
      : inScope("teacher", () => teacher?.(pixels));
  const losses = inScope("loss", () =>
    task({ heads, targets: input("targets", "float32", logits), teacher: answers }),
  );
  const trained = trainedVectors(layout).map(({ name }) => weights[name] ?? losses.loss);
  return {
    losses: { ...losses },
    weights,
    grads: gradient(losses.loss, trained),
    frozen: Object.fromEntries(
      frozenVectors(layout).map((vector) => [
        vector.name,
        nextVector(vector, { weight: weights[vector.name] ?? losses.loss, values, updates: bufferUpdates }),
      ]),
    ),
  };
}

/** What the model sees of a batch, [B, 3, H, W]: normalised, erased and mixed. */
export function batchPixels(
  { model, batchSize, target, normalisation }: Omit<ProgramOptions, "layout">,
  { erasing = false, mixing = false }: BatchInputs,
): Value {
  return preparePixels({
    images: imagesInput({ model, batchSize, target }),
    normalisation,
    ...(erasing && { erasing: imagesInput({ model, batchSize, target }, ERASING_INPUT) }),
    ...(mixing && { mix: input(MIX_INPUT, "float32", [batchSize, 6]) }),
  });
}

/** Names of the state vectors that training keeps, with their lengths. */
export function trainingState(
  layout: Layout,
  optimizer: Optimizer,
): { readonly name: string; readonly length: number }[] {
  return layout.vectors.flatMap(({ name, length, group }) => {
    const slots = group.frozen ? (optimizer.average ? [optimizer.average.slot] : []) : optimizer.slots;
    return ["W", ...slots].map((slot) => ({ name: `${slot}.${name}`, length }));
  });
}

function update(
  layout: Layout,
  { optimizer, clipGrad }: TrainingOptions,
  { weights, grads, frozen }: Traced,
): { outputs: Record<string, Value>; state: Record<string, Value | null> } {
  const { clipped, norm } =
    clipGrad === undefined ? { clipped: grads, norm: globalNorm(grads) } : clipGlobalNorm(grads, clipGrad);
  const state: Record<string, Value | null> = {};
  const hyperOf = ({ name, group }: ParameterVector): Value[] => {
    const count = optimizer.hyper(1, 0, group).length;
    const hyper = input(`hyper.${name}`, "float32", [count]);
    return Array.from({ length: count }, (_, k) =>
      reshape(slice(hyper, { axis: 0, start: k, end: k + 1 }), []),
    );
  };
  for (const [i, vector] of trainedVectors(layout).entries()) {
    const { name, length } = vector;
    const { weight, slots } = optimizer.update({
      weight: weights[name] ?? input(`W.${name}`, "float32", [length]),
      grad: at(clipped, i),
      slots: optimizer.slots.map((slot) => input(`${slot}.${name}`, "float32", [length])),
      hyper: hyperOf(vector),
    });
    state[`W.${name}`] = weight;
    for (const [k, slot] of optimizer.slots.entries()) state[`${slot}.${name}`] = at(slots, k);
  }
  for (const vector of frozenVectors(layout)) {
    const { name, length } = vector;
    const next = frozen[name];
    if (next === undefined) continue;
    state[`W.${name}`] = next === weights[name] ? null : next;
    if (optimizer.average === undefined || !vector.segments.some(({ buffer }) => buffer)) continue;
    const { slot, update: average } = optimizer.average;
    state[`${slot}.${name}`] = average({
      average: input(`${slot}.${name}`, "float32", [length]),
      next,
      hyper: hyperOf(vector),
    });
  }
  return { outputs: { gradNorm: norm }, state };
}
