/** Fully connected layer and layer normalisation, with timm's parameter names and the paper's initialisation. */
import type { Value } from "../graph/graph.ts";
import { layerNorm as layerNormOp, linear as linearOp } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Initializer, Scope } from "./parameters.ts";

/** Truncated normal of std 0.02 (§6; facts of the reference code). */
export const TRUNC_NORMAL: Initializer = { kind: "truncNormal", std: 0.02 };
export const ZEROS: Initializer = { kind: "zeros" };
export const ONES: Initializer = { kind: "ones" };

/** Weight [out, in] and bias [out] of a linear layer. */
export function linearWeights(scope: Scope, inFeatures: number, outFeatures: number): { weight: Value; bias: Value } {
  return {
    weight: scope.parameter("weight", [outFeatures, inFeatures], TRUNC_NORMAL),
    bias: scope.parameter("bias", [outFeatures], ZEROS),
  };
}

/** x·Wᵀ + b. x: [..., in] → [..., outFeatures]. */
export function linear(x: Value, scope: Scope, { outFeatures }: { outFeatures: number }): Value {
  const { weight, bias } = linearWeights(scope, dimAt(x.shape, -1), outFeatures);
  return linearOp(x, weight, bias);
}

/** Layer normalisation over the last axis, eps 1e-6 as the published weights were trained with. */
export function layerNorm(x: Value, scope: Scope, { epsilon = 1e-6 } = {}): Value {
  const features = dimAt(x.shape, -1);
  return layerNormOp(x, scope.parameter("weight", [features], ONES), scope.parameter("bias", [features], ZEROS), { epsilon });
}
