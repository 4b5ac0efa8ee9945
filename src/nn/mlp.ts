/** The feed-forward network of a block (§3): D → ratio·D → D, GELU between. */
import type { Value } from "../graph/graph.ts";
import { geluMlp } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Affine } from "./linear.ts";
import { foldNorm, linearWeights } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface MlpOptions {
  /** Weight and bias of the normalisation before it, which x comes without. */
  readonly norm: Affine;
  readonly ratio?: number;
}

/** x: [..., D], normalised → [..., D]. */
export function mlp(x: Value, scope: Scope, { norm, ratio = 4 }: MlpOptions): Value {
  const features = dimAt(x.shape, -1);
  const hidden = Math.round(features * ratio);
  const fc1 = foldNorm(norm, linearWeights(scope.at("fc1"), features, hidden));
  const fc2 = linearWeights(scope.at("fc2"), hidden, features);
  return geluMlp(x, { weight1: fc1.weight, bias1: fc1.bias, weight2: fc2.weight, bias2: fc2.bias });
}
