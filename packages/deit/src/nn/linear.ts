/** Fully connected layer and layer normalisation, with timm's parameter names and the paper's initialisation. */
import type { Value } from "../graph/graph.ts";
import { layerNorm as layerNormOp, linear as linearOp } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Initializer, Scope } from "./parameters.ts";

/** Truncated normal of std 0.02 (§6; facts of the reference code). */
export const TRUNC_NORMAL: Initializer = { kind: "truncNormal", std: 0.02 };
export const ZEROS: Initializer = { kind: "zeros" };
export const ONES: Initializer = { kind: "ones" };

/** x·Wᵀ + b. x: [..., in] → [..., outFeatures]. */
export function linear(x: Value, scope: Scope, { outFeatures }: { outFeatures: number }): Value {
  const weight = scope.parameter("weight", [outFeatures, dimAt(x.shape, -1)], TRUNC_NORMAL);
  const bias = scope.parameter("bias", [outFeatures], ZEROS);
  return linearOp(x, weight, bias);
}

/** Layer normalisation over the last axis, eps 1e-6 as the published weights were trained with. */
export function layerNorm(x: Value, scope: Scope): Value {
  const features = dimAt(x.shape, -1);
  const weight = scope.parameter("weight", [features], ONES);
  const bias = scope.parameter("bias", [features], ZEROS);
  return layerNormOp(x, weight, bias);
}
