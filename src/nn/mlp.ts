/** The feed-forward network of a block (§3): D → ratio·D → D, GELU between. */
import type { Value } from "../graph/graph.ts";
import { gelu, geluMlp, linear } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Affine } from "./linear.ts";
import { foldNorm, linearWeights } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface MlpOptions {
  /** Weight and bias of the normalisation before it, which x comes without. */
  readonly norm: Affine;
  readonly ratio?: number;
  /** Dropout of the hidden activations [..., ratio·D], if any. */
  readonly dropHidden?: ((hidden: Value) => Value) | undefined;
}

/** x: [..., D], normalised → [..., D]. */
export function mlp(x: Value, scope: Scope, { norm, ratio = 4, dropHidden }: MlpOptions): Value {
  const features = dimAt(x.shape, -1);
  const hidden = Math.round(features * ratio);
  const fc1 = foldNorm(norm, linearWeights(scope.at("fc1"), features, hidden));
  const fc2 = linearWeights(scope.at("fc2"), hidden, features);
  if (dropHidden !== undefined)
    return linear(dropHidden(gelu(linear(x, fc1.weight, fc1.bias))), fc2.weight, fc2.bias);
  return geluMlp(x, { weight1: fc1.weight, bias1: fc1.bias, weight2: fc2.weight, bias2: fc2.bias });
}
