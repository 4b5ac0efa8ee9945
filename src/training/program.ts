/**
 * The programs of training: a model, a task and an optimizer, traced, differentiated and compiled.
 * `step` does it all in one run. `grad` and `apply` are its two halves, for accumulation and for several processes.
 */
import type { ProgramOptions } from "../evaluation/program.ts";
import { imagesInput } from "../evaluation/program.ts";
import { at, input } from "../graph/graph.ts";
import type { Value } from "../graph/graph.ts";
import { gradient } from "../graph/gradient.ts";
import { add, full, mul, reshape, slice } from "../graph/ops.ts";
import type { Program } from "../graph/program.ts";
import { compile } from "../graph/program.ts";
import { trainingContext } from "../nn/context.ts";
import type { Layout } from "../nn/layout.ts";
import { bindParameters } from "../nn/layout.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { clipGlobalNorm, globalNorm } from "../optim/clip.ts";
import { ERASING_INPUT, MIX_INPUT, preparePixels } from "./pixels.ts";
import type { Task } from "./task.ts";

export interface TrainingOptions {
  readonly task: Task;
  readonly optimizer: Optimizer;
  /** Stochastic depth, dropout and dropout of attention weights. */
  readonly dropPath?: number;
  readonly drop?: number;
  readonly attnDrop?: number;
  /** Inputs of the batch besides images and targets: noise codes of erased pixels, Mixup and CutMix. */
  readonly erasing?: boolean;
  readonly mixing?: boolean;
  /** Largest global norm of a gradient; undefined leaves gradients alone. */
  readonly clipGrad?: number | undefined;
}

/**
 * One optimizer step in one run. Inputs: images [B, 3, H, W] (0 to 255), targets [B, K], hyper.<vector>, and
 * when used, erasing [B, 3, H, W], mix [B, 6] (pixels.ts) and the masks of nn/context.ts. State: W, and the optimizer's slots, by vector. Outputs: the task's losses, gradNorm.
 */
export function stepProgram(options: ProgramOptions, training: TrainingOptions): Program {
  const { losses, weights, grads } = traceGradients(options, training);
  const { outputs, state } = update(options.layout, training, { weights, grads });
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
  const { losses, grads } = traceGradients(options, training);
  const state: Record<string, Value | null> = {};
  for (const [i, { name, length }] of options.layout.vectors.entries()) {
    state[`W.${name}`] = null;
    state[`G.${name}`] = add(input(`G.${name}`, "float32", [length]), mul(at(grads, i), 1 / batches));
  }
  return compile({ name: `${options.model.name}.grad`, target: options.target, outputs: losses, state });
}

/** Applies the gradient G to the state and clears it. Input: hyper.<vector>; output: gradNorm. */
export function applyProgram({ model, layout, target }: ProgramOptions, training: TrainingOptions): Program {
  const weights = Object.fromEntries(
    layout.vectors.map(({ name, length }) => [name, input(`W.${name}`, "float32", [length])]),
  );
  const grads = layout.vectors.map(({ name, length }) => input(`G.${name}`, "float32", [length]));
  const { outputs, state } = update(layout, training, { weights, grads });
  const cleared = layout.vectors.map(({ name, length }) => [`G.${name}`, full([length], 0)]);
  return compile({
    name: `${model.name}.apply`,
    target,
    outputs,
    state: { ...state, ...Object.fromEntries(cleared) },
  });
}

function traceGradients(
  { model, layout, batchSize, target, normalisation }: ProgramOptions,
  { task, dropPath = 0, drop = 0, attnDrop = 0, erasing = false, mixing = false }: TrainingOptions,
): { losses: Record<string, Value>; weights: Readonly<Record<string, Value>>; grads: Value[] } {
  const { weights, scope } = bindParameters(layout);
  const context = trainingContext({
    batchSize,
    target,
    dropPathRates: model.dropPathRates(dropPath),
    drop,
    attnDrop,
  });
  const images = preparePixels({
    images: imagesInput({ model, batchSize, target }),
    normalisation,
    ...(erasing && { erasing: imagesInput({ model, batchSize, target }, ERASING_INPUT) }),
    ...(mixing && { mix: input(MIX_INPUT, "float32", [batchSize, 6]) }),
  });
  const heads = model.forward(images, scope, context);
  const losses = task(heads, input("targets", "float32", [batchSize, model.config.numClasses]));
  return { losses: { ...losses }, weights, grads: gradient(losses.loss, Object.values(weights)) };
}

/** Names of the state vectors that training keeps, with their lengths. */
export function trainingState(
  layout: Layout,
  optimizer: Optimizer,
): { readonly name: string; readonly length: number }[] {
  return layout.vectors.flatMap(({ name, length }) =>
    ["W", ...optimizer.slots].map((slot) => ({ name: `${slot}.${name}`, length })),
  );
}

function update(
  layout: Layout,
  { optimizer, clipGrad }: TrainingOptions,
  { weights, grads }: { weights: Readonly<Record<string, Value>>; grads: readonly Value[] },
): { outputs: Record<string, Value>; state: Record<string, Value> } {
  const { clipped, norm } =
    clipGrad === undefined ? { clipped: grads, norm: globalNorm(grads) } : clipGlobalNorm(grads, clipGrad);
  const state: Record<string, Value> = {};
  for (const [i, { name, length, group }] of layout.vectors.entries()) {
    const slotInputs = optimizer.slots.map((slot) => input(`${slot}.${name}`, "float32", [length]));
    const count = optimizer.hyper(1, 0, group).length;
    const hyper = input(`hyper.${name}`, "float32", [count]);
    const { weight, slots } = optimizer.update({
      weight: weights[name] ?? input(`W.${name}`, "float32", [length]),
      grad: at(clipped, i),
      slots: slotInputs,
      hyper: Array.from({ length: count }, (_, k) =>
        reshape(slice(hyper, { axis: 0, start: k, end: k + 1 }), []),
      ),
    });
    state[`W.${name}`] = weight;
    for (const [k, slot] of optimizer.slots.entries()) state[`${slot}.${name}`] = at(slots, k);
  }
  return { outputs: { gradNorm: norm }, state };
}
