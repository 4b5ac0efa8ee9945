/**
 * The programs of training: a model, a task and an optimizer, traced, differentiated and compiled.
 * `step` does it all in one run. `grad` and `apply` are its two halves, for accumulation and for several processes.
 */
import type { ProgramOptions } from "../../evaluation/evaluation-program.ts";
import { imagesInput, TEACHER_INPUT } from "../../evaluation/evaluation-program.ts";
import { at, inScope, input } from "../../graph/graph.ts";
import type { Value } from "../../graph/graph.ts";
import { gradient } from "../../graph/gradient.ts";
import {
  abs,
  add,
  cast,
  div,
  full,
  gather,
  minimum,
  mul,
  reshape,
  select,
  slice,
  sub,
  sum,
} from "../../graph/ops.ts";
import { optimizeForward } from "../../graph/passes/forward.ts";
import type { Precision } from "../../graph/precision.ts";
import { inFloat32 } from "../../graph/precision.ts";
import type { Program } from "../../graph/program.ts";
import type { Segment } from "../../graph/recompute.ts";
import { compile } from "../../graph/program.ts";
import type { ForwardContext } from "../../nn/context.ts";
import { evaluationContext, isDropoutMask, trainingContext } from "../../nn/context.ts";
import type { Layout, ParameterVector } from "../../nn/parameters.ts";
import { bindParameters, frozenVectors, nextVector, trainedVectors } from "../../nn/parameters.ts";
import {
  isFiniteNorm,
  LOSS_SCALE_LENGTH,
  LOSS_SCALE_STATE,
  scaleOf,
  skippedOf,
} from "../../optim/loss-scale.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import { clipGlobalNorm, globalNorm } from "../../optim/clip.ts";
import { ERASING_INPUT, MIX_INPUT, preparePixels } from "./pixels.ts";
import type { Task } from "../task.ts";

/** Inputs of a batch besides images and targets. */
export interface BatchInputs {
  /** Noise codes of erased pixels. */
  readonly erasing?: boolean;
  /** Mixup and CutMix. */
  readonly mixing?: boolean;
}

export interface TrainingOptions extends BatchInputs {
  readonly task: Task;
  /** With a loss scale, the network computes in float16. */
  readonly optimizer: Optimizer;
  /**
   * The teacher's logits [B, K], or embeddings [B, D], for the student's pixels [B, 3, H, W]: computed inside the program by this function,
   * or an input `teacher`.
   */
  readonly teacher?: ((pixels: Value) => Value) | "input" | undefined;
  /** Forward as in evaluation: nothing is dropped, and BatchNorm keeps its statistics. */
  readonly evaluationMode?: boolean;
  /** Stochastic depth, dropout and dropout of attention weights. */
  readonly dropPath?: number;
  readonly drop?: number;
  readonly attnDrop?: number;
  /** Blocks are computed again in the backward pass, so that what lies inside them need not be kept. */
  readonly recompute?: boolean;
  /** Largest global norm of a gradient; undefined leaves gradients alone. */
  readonly clipGrad?: number | undefined;
  /** With a loss scale: how many steps may be handed over before it is known which of them were skipped. */
  readonly ahead?: number;
}

/** Input []: how many updates had been skipped when a step was handed over. The state knows how many have been since. */
export const SKIPPED_INPUT = "skipped";

/**
 * One optimizer step in one run. Inputs: images [B, 3, H, W] (0 to 255), targets [B, K], hyper.<vector>, and
 * when used, erasing [B, 3, H, W], mix [B, 6] (pixels.ts), teacher [B, K] or [B, D] and the masks of nn/context.ts. State: W, and the optimizer's slots, by vector. Outputs: the task's losses, gradNorm.
 * With a loss scale also the state of it, and the outputs lossScale (of this step) and overflow (1: it changed nothing).
 * Handed over `ahead` steps at a time, it has hyper.<vector> in rows: for none, one, … skipped since `skipped` were.
 */
export function stepProgram(options: ProgramOptions, training: TrainingOptions): Program {
  const { losses, ...traced } = traceGradients(options, training);
  const { outputs, state } = inScope("optimizer", () => update(options.layout, training, traced));
  return compile({
    name: `${options.model.name}.step`,
    target: options.target,
    outputs: { ...losses, ...outputs },
    state,
    precision: precisionOf(training),
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
  if (training.optimizer.lossScale) state[LOSS_SCALE_STATE] = null;
  for (const [i, { name, length }] of trainedVectors(options.layout).entries()) {
    state[`W.${name}`] = null;
    state[`G.${name}`] = add(input(`G.${name}`, "float32", [length]), mul(at(grads, i), 1 / batches));
  }
  return compile({
    name: `${options.model.name}.grad`,
    target: options.target,
    outputs: losses,
    state,
    precision: precisionOf(training),
  });
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
  {
    task,
    optimizer: { lossScale },
    teacher,
    evaluationMode,
    recompute,
    dropPath = 0,
    drop = 0,
    attnDrop = 0,
    ...inputs
  }: TrainingOptions,
): Traced & { losses: Record<string, Value> } {
  const { model, layout, batchSize } = options;
  const { weights, scope, values } = bindParameters(layout);
  const bufferUpdates = new Map<Value, Value>();
  const segments: Segment[] = [];
  const mode = evaluationMode
    ? evaluationContext()
    : trainingContext({
        bufferUpdates,
        batchSize,
        dropPathRates: model.dropPathRates(dropPath),
        drop,
        attnDrop,
      });
  const context = recompute ? segmented(mode, segments) : mode;
  const pixels = inScope("pixels", () => batchPixels(options, inputs));
  const forLoss = lossScale ? inFloat32 : (x: Value): Value => x;
  const heads = model.forward(pixels, scope, context);
  const logits = [batchSize, model.config.numClasses];
  const answers =
    teacher === "input"
      ? input(TEACHER_INPUT, "float32", heads.embedding?.shape ?? logits)
      : inScope("teacher", () => teacher?.(pixels));
  const traced = inScope("loss", () =>
    task({
      heads: {
        class: forLoss(heads.class),
        ...(heads.distillation && { distillation: forLoss(heads.distillation) }),
        ...(heads.embedding && { embedding: forLoss(heads.embedding) }),
      },
      targets: input("targets", "float32", logits),
      teacher: answers && forLoss(answers),
    }),
  );
  const statistics = frozenVectors(layout).map((vector) => {
    const weight = weights[vector.name] ?? traced.loss;
    const next = nextVector(vector, { weight, values, updates: bufferUpdates });
    // Statistics of images that were too much for float16 are none.
    const isNew = lossScale !== undefined && next !== weight;
    return [vector.name, isNew ? select(isFiniteNorm(sum(abs(next))), next, weight) : next] as const;
  });
  const { find } = optimizeForward([...Object.values(traced), ...statistics.map(([, next]) => next)], {
    mayShrink: isDropoutMask,
  });
  const loss = find(traced.loss);
  const trained = trainedVectors(layout).map(({ name }) => weights[name] ?? loss);
  const scale = lossScale && scaleOf(lossScaleInput());
  const grads = gradient(scale ? mul(loss, scale) : loss, trained, {
    segments: segments.map((segment) => ({
      ...segment,
      input: find(segment.input),
      output: find(segment.output),
    })),
  });
  return {
    losses: Object.fromEntries(Object.entries(traced).map(([name, value]) => [name, find(value)])),
    weights,
    grads: scale ? grads.map((grad) => mul(grad, div(1, scale))) : grads,
    frozen: Object.fromEntries(statistics.map(([name, next]) => [name, find(next)])),
  };
}

/** What the network computes in: a loss is scaled because of float16. */
function precisionOf({ optimizer }: TrainingOptions): Precision {
  return optimizer.lossScale === undefined ? "float32" : "float16";
}

/** How many updates were skipped since this step was handed over, below `ahead`. */
function skippedSince(ahead: number): Value {
  const skipped = sub(skippedOf(lossScaleInput()), input(SKIPPED_INPUT, "float32", []));
  return cast(minimum(skipped, ahead - 1), "int32");
}

function lossScaleInput(): Value {
  return input(LOSS_SCALE_STATE, "float32", [LOSS_SCALE_LENGTH]);
}

/** The same context, which notes the ends of every segment. The last one is kept: its gradient is what comes next. */
function segmented(context: ForwardContext, segments: Segment[]): ForwardContext {
  return {
    ...context,
    noteSegment(input, output) {
      const before = segments.pop();
      if (before !== undefined) segments.push({ ...before, recompute: true });
      segments.push({ input, output, recompute: false });
    },
  };
}

/** What the model sees of a batch, [B, 3, H, W]: normalised, erased and mixed. */
export function batchPixels(
  { model, batchSize, normalisation }: Omit<ProgramOptions, "layout" | "target">,
  { erasing = false, mixing = false }: BatchInputs,
): Value {
  return preparePixels({
    images: imagesInput({ model, batchSize }),
    normalisation,
    ...(erasing && { erasing: imagesInput({ model, batchSize }, ERASING_INPUT) }),
    ...(mixing && { mix: input(MIX_INPUT, "float32", [batchSize, 6]) }),
  });
}

/** Names of the state vectors that training keeps, with their lengths. */
export function trainingState(
  layout: Layout,
  optimizer: Optimizer,
): { readonly name: string; readonly length: number }[] {
  const vectors = layout.vectors.flatMap(({ name, length, group }) => {
    const slots = group.frozen ? (optimizer.average ? [optimizer.average.slot] : []) : optimizer.slots;
    return ["W", ...slots].map((slot) => ({ name: `${slot}.${name}`, length }));
  });
  return optimizer.lossScale ? [...vectors, { name: LOSS_SCALE_STATE, length: LOSS_SCALE_LENGTH }] : vectors;
}

function update(
  layout: Layout,
  { optimizer, clipGrad, ahead = 1 }: TrainingOptions,
  { weights, grads, frozen }: Traced,
): { outputs: Record<string, Value>; state: Record<string, Value | null> } {
  const maxNorm = clipGrad ?? optimizer.maxNorm;
  const { clipped, norm } =
    maxNorm === undefined ? { clipped: grads, norm: globalNorm(grads) } : clipGlobalNorm(grads, maxNorm);
  const state: Record<string, Value | null> = {};
  const { lossScale } = optimizer;
  const isFinite = isFiniteNorm(norm);
  /** The new value, unless the gradient overflowed. */
  const unlessOverflow = (next: Value, before: Value): Value =>
    lossScale ? select(isFinite, next, before) : next;
  const hyperOf = ({ name, group }: ParameterVector): Value[] => {
    const count = optimizer.hyper(1, 0, group).length;
    const hyper =
      lossScale && ahead > 1
        ? gather(input(`hyper.${name}`, "float32", [ahead, count]), skippedSince(ahead), 0)
        : input(`hyper.${name}`, "float32", [count]);
    return Array.from({ length: count }, (_, k) =>
      reshape(slice(hyper, { axis: 0, start: k, end: k + 1 }), []),
    );
  };
  for (const [i, vector] of trainedVectors(layout).entries()) {
    const { name, length } = vector;
    const before = {
      weight: weights[name] ?? input(`W.${name}`, "float32", [length]),
      slots: optimizer.slots.map((slot) => input(`${slot}.${name}`, "float32", [length])),
    };
    const grad = at(clipped, i);
    const { weight, slots } = optimizer.update({ ...before, grad, hyper: hyperOf(vector), vector });
    state[`W.${name}`] = unlessOverflow(weight, before.weight);
    for (const [k, slot] of optimizer.slots.entries())
      state[`${slot}.${name}`] = unlessOverflow(at(slots, k), at(before.slots, k));
  }
  for (const vector of frozenVectors(layout)) {
    const { name, length } = vector;
    const next = frozen[name];
    if (next === undefined) continue;
    state[`W.${name}`] = next === weights[name] ? null : next;
    if (optimizer.average === undefined || !vector.segments.some(({ buffer }) => buffer)) continue;
    const { slot, update: average } = optimizer.average;
    const before = input(`${slot}.${name}`, "float32", [length]);
    state[`${slot}.${name}`] = unlessOverflow(
      average({ average: before, next, hyper: hyperOf(vector) }),
      before,
    );
  }
  if (lossScale === undefined) return { outputs: { gradNorm: norm }, state };
  const scaling = lossScaleInput();
  state[LOSS_SCALE_STATE] = lossScale.next(scaling, isFinite);
  return {
    outputs: { gradNorm: norm, lossScale: scaleOf(scaling), overflow: select(isFinite, 0, 1) },
    state,
  };
}
