/** Fully connected layer and layer normalisation, with timm's parameter names and the paper's initialisation. */
import type { Value } from "../graph/graph.ts";
import { add, layerNorm as layerNormOp, linear as linearOp, mul } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Initializer, Scope } from "./parameters.ts";

/** Truncated normal of std 0.02 (§6; facts of the reference code). */
export const TRUNC_NORMAL: Initializer = { kind: "truncNormal", std: 0.02 };
export const ZEROS: Initializer = { kind: "zeros" };
export const ONES: Initializer = { kind: "ones" };

/** weight [out, in] and bias [out] of a linear layer; weight and bias [D] of a normalisation. */
export interface Affine {
  readonly weight: Value;
  readonly bias: Value;
}

/** The parameters of a linear layer. */
export function linearWeights(scope: Scope, inFeatures: number, outFeatures: number): Affine {
  return {
    weight: scope.parameter("weight", [outFeatures, inFeatures], TRUNC_NORMAL),
    bias: scope.parameter("bias", [outFeatures], ZEROS),
  };
}

/** The parameters of a layer normalisation. */
export function normWeights(scope: Scope, features: number): Affine {
  return {
    weight: scope.parameter("weight", [features], ONES),
    bias: scope.parameter("bias", [features], ZEROS),
  };
}

/** x·Wᵀ + b. x: [..., in] → [..., outFeatures]. */
export function linear(x: Value, scope: Scope, { outFeatures }: { outFeatures: number }): Value {
  const { weight, bias } = linearWeights(scope, dimAt(x.shape, -1), outFeatures);
  return linearOp(x, weight, bias);
}

/** Layer normalisation over the last axis, eps 1e-6 as the published weights were trained with. */
export function layerNorm(x: Value, scope: Scope): Value {
  const { weight, bias } = normWeights(scope, dimAt(x.shape, -1));
  return layerNormOp(x, weight, bias);
}

/**
 * The linear layer that takes a normalised x̂ where `layer` takes x̂·γ + β: (x̂·γ + β)·Wᵀ + b = x̂·(W·γ)ᵀ + (β·Wᵀ + b).
 * Weights are small beside activations, so this makes a normalisation's γ and β, and their gradients, nearly free.
 */
export function foldNorm(norm: Affine, layer: Affine): Affine {
  return { weight: mul(layer.weight, norm.weight), bias: add(linearOp(norm.bias, layer.weight), layer.bias) };
}
