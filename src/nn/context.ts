/**
 * How a forward pass is to run: for training or evaluation, where its randomness comes from, and which
 * intermediate results to keep. Always an argument, never hidden state.
 */
import type { Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { mul, reshape, slice } from "../graph/ops.ts";

export interface ForwardContext {
  readonly training: boolean;
  /**
   * Stochastic depth (Huang et al. 2016): drops a residual branch for whole samples. x: [N, B, D], tokens
   * first. `branch` is the row of the mask. The identity in evaluation.
   */
  dropPath(x: Value, branch: number): Value;
  /** Whether intermediate results are wanted; then nothing may be left out as a shortcut. */
  readonly recording: boolean;
  /** Keeps an intermediate result under a name like `blocks.0.attn`. */
  record(name: string, value: Value): void;
}

/** Evaluation; `records`, when given, receives the intermediate results. */
export function evaluationContext(records?: Map<string, Value>): ForwardContext {
  return {
    training: false,
    dropPath: (x) => x,
    recording: records !== undefined,
    record: (name, value) => void records?.set(name, value),
  };
}

/** Name of the program input that holds the stochastic-depth mask. */
export const DROP_PATH_INPUT = "dropPathMask";

/**
 * Training. `dropPathRates` has a rate for every residual branch; unless all are 0 the program gets an input
 * `dropPathMask` [branches, B] that holds 0 (dropped) or 1 / (1 − rate) (kept): see `dropPathMask`.
 */
export function trainingContext({
  batchSize,
  dropPathRates,
}: {
  batchSize: number;
  dropPathRates: readonly number[];
}): ForwardContext {
  const mask = dropPathRates.some((rate) => rate > 0)
    ? input(DROP_PATH_INPUT, "float32", [dropPathRates.length, batchSize])
    : undefined;
  return {
    training: true,
    dropPath: (x, branch) => {
      if (mask === undefined || (dropPathRates[branch] ?? 0) === 0) return x;
      const row = slice(mask, { axis: 0, start: branch, end: branch + 1 });
      return mul(x, reshape(row, [batchSize, 1])); // [N, B, D] · [B, 1]
    },
    recording: false,
    record: () => {},
  };
}

/**
 * Draws a mask [branches, B] as timm's DropPath does: per sample and branch floor(keep + U[0, 1)) / keep.
 * `uniform(branch, row)` gives the draws.
 */
export function dropPathMask(
  rates: readonly number[],
  batchSize: number,
  uniform: (branch: number, row: number) => number,
): Float32Array {
  const mask = new Float32Array(rates.length * batchSize);
  for (const [branch, rate] of rates.entries()) {
    const keep = 1 - rate;
    for (let row = 0; row < batchSize; row++) {
      mask[branch * batchSize + row] = rate === 0 ? 1 : Math.floor(keep + uniform(branch, row)) / keep;
    }
  }
  return mask;
}
