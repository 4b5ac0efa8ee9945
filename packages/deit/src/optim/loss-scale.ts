/**
 * Dynamic loss scaling, as torch.amp.GradScaler (Micikevicius et al. 2018, §3.2): gradients of a float16 network would often
 * be too small for float16, so the loss is multiplied by a scale that keeps them in range. A gradient that is not finite
 * halves the scale, and its update is skipped; after many good ones the scale is doubled. All of it happens in the program.
 */
import type { Value } from "../graph/graph.ts";
import {
  add,
  greaterOrEqual,
  lessOrEqual,
  minimum,
  mul,
  reshape,
  select,
  slice,
  concat,
} from "../graph/ops.ts";
import type { Optimizer } from "./optimizer.ts";

export interface LossScaleOptions {
  readonly start?: number;
  readonly growth?: number;
  /** Good updates in a row after which the scale grows. */
  readonly interval?: number;
}

export interface LossScale {
  /** The state at the start of a run. */
  readonly start: readonly number[];
  /** The state after an update. */
  next(state: Value, isFinite: Value): Value;
}

/** State vector [scale, good updates since it changed, updates skipped since the start]. */
export const LOSS_SCALE_STATE = "S.lossScale";
export const LOSS_SCALE_LENGTH = 3;

/** The largest power of two in float32: there PyTorch, too, stops to double. */
const LARGEST_SCALE = 2 ** 127;
/** Norms up to this one are finite. Not infinity itself, which shaders may take for impossible. */
const LARGEST_NORM = 3e38;

/** The same optimizer for a network that computes in float16. */
export function withLossScale(optimizer: Optimizer, options: LossScaleOptions = {}): Optimizer {
  return { ...optimizer, lossScale: lossScale(options) };
}

/** The scale in a state, []. */
export function scaleOf(state: Value): Value {
  return reshape(slice(state, { axis: 0, end: 1 }), []);
}

/** How many updates were skipped since the start of the run, by a state, []. */
export function skippedOf(state: Value): Value {
  return reshape(slice(state, { axis: 0, start: 2 }), []);
}

/** Whether a norm, [], is a finite number. */
export function isFiniteNorm(norm: Value): Value {
  return lessOrEqual(norm, LARGEST_NORM);
}

function lossScale({ start = 65536, growth = 2, interval = 2000 }: LossScaleOptions): LossScale {
  return {
    start: [start, 0, 0],
    next(state, isFinite) {
      const part = (i: number): Value => slice(state, { axis: 0, start: i, end: i + 1 });
      const [scale, good, skipped] = [part(0), add(part(1), 1), part(2)];
      const isDue = greaterOrEqual(good, interval);
      const grown = select(isDue, minimum(mul(scale, growth), LARGEST_SCALE), scale);
      return concat(
        [
          select(isFinite, grown, mul(scale, 0.5)),
          select(isFinite, select(isDue, 0, good), 0),
          select(isFinite, skipped, add(skipped, 1)),
        ],
        0,
      );
    },
  };
}
