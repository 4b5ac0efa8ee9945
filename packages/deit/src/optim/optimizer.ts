/**
 * What an optimizer is: a rule over one flat vector, written in graph values, so that a whole group of
 * parameters is updated by a dozen operations. Its changing numbers come in as one small input a step.
 */
import type { Value } from "../graph/graph.ts";
import type { ParameterGroup, ParameterVector } from "../nn/parameters.ts";
import type { LossScale } from "./loss-scale.ts";

export interface Optimizer {
  readonly name: string;
  /** Vectors of state kept for every parameter vector, all starting at 0. */
  readonly slots: readonly string[];
  /** The numbers of update `step` (1, 2, …) for a group, in the order that `update` reads them. */
  hyper(step: number, lr: number, group: ParameterGroup): readonly number[];
  /** Largest global norm of a gradient where the run names none: part of the optimizer. Default: gradients are left alone. */
  readonly maxNorm?: number;
  /** New parameters and slots from the old ones, [L] each; `hyper` are scalars, `vector` says which parameters they are. */
  update(state: {
    readonly weight: Value;
    readonly grad: Value;
    readonly slots: readonly Value[];
    readonly hyper: readonly Value[];
    readonly vector: Pick<ParameterVector, "group" | "segments">;
  }): {
    readonly weight: Value;
    readonly slots: readonly Value[];
  };
  /** How the loss is scaled, when the network computes in float16 (optim/loss-scale.ts). */
  readonly lossScale?: LossScale;
  /** The average that is kept of the weights, also of vectors that are not trained (BatchNorm's statistics). */
  readonly average?: {
    readonly slot: string;
    update(state: { readonly average: Value; readonly next: Value; readonly hyper: readonly Value[] }): Value;
  };
}
