/** Batch normalisation (Ioffe & Szegedy 2015) with timm's names: by the batch in training, by its running statistics after. */
import type { Value } from "../graph/graph.ts";
import { add, batchNormInference, batchNormTraining, mul } from "../graph/ops.ts";
import { foldedBatchNorm } from "../graph/ops/batch-norm.ts";
import { dimAt, sizeOf } from "../graph/shape.ts";
import type { ForwardContext } from "./context.ts";
import { ONES, ZEROS } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface BatchNormOptions {
  /** Part of the batch's statistics that goes into the running ones. PyTorch: 0.1. */
  readonly momentum?: number;
  readonly epsilon?: number;
  /** Scale starts at 0, not 1: a residual branch that starts as nothing. */
  readonly zeroInit?: boolean;
}

/** x: [N, C, H, W] → the same. The running variance takes the unbiased one, as PyTorch's. */
export function batchNorm(
  x: Value,
  scope: Scope,
  { momentum = 0.1, epsilon = 1e-5, zeroInit = false }: BatchNormOptions,
  context: ForwardContext,
): Value {
  const shape = [dimAt(x.shape, 1)];
  const gamma = scope.parameter("weight", shape, zeroInit ? ZEROS : ONES);
  const beta = scope.parameter("bias", shape, ZEROS);
  const runningMean = scope.buffer("running_mean", shape, ZEROS);
  const runningVariance = scope.buffer("running_var", shape, ONES);
  if (!context.training) {
    const statistics = [gamma, beta, runningMean, runningVariance] as const;
    return foldedBatchNorm(x, statistics, { epsilon }) ?? batchNormInference(x, ...statistics, { epsilon });
  }
  const { y, mean, variance } = batchNormTraining(x, gamma, beta, { epsilon });
  const count = sizeOf(x.shape) / dimAt(x.shape, 1);
  const mixed = (running: Value, batch: Value, factor: number): Value =>
    add(mul(running, 1 - momentum), mul(batch, momentum * factor));
  context.updateBuffer(runningMean, mixed(runningMean, mean, 1));
  context.updateBuffer(runningVariance, mixed(runningVariance, variance, count / Math.max(1, count - 1)));
  return y;
}
