/**
 * How alike class and distillation token are (§4): their cosine, as learned parameters and as the heads see them after
 * the last layer. The paper: 0.06 and 0.93; 0.999 for two class tokens without a teacher.
 */
import type { Value } from "../graph/graph.ts";
import { div, mul, reshape, slice, sqrt, sum } from "../graph/ops.ts";
import type { Scope } from "../nn/parameters.ts";
import { TRUNC_NORMAL } from "../nn/linear.ts";

/** tokens: [2, B, D] after the final norm → cosine of each picture's two tokens, [B]. */
export function tokenSimilarity(tokens: Value): Value {
  const [, batch = 1, width = 1] = tokens.shape;
  const token = (index: number): Value =>
    reshape(slice(tokens, { axis: 0, start: index, end: index + 1 }), [batch, width]);
  return cosine(token(0), token(1));
}

/** Cosine of the two tokens as parameters, [1]. `width` is the model's. */
export function parameterSimilarity(scope: Scope, width: number): Value {
  const token = (name: string): Value =>
    reshape(scope.parameter(name, [1, 1, width], TRUNC_NORMAL), [1, width]);
  return cosine(token("cls_token"), token("dist_token"));
}

/** a, b: [N, D] → [N]. */
function cosine(a: Value, b: Value): Value {
  const dot = (x: Value, y: Value): Value => sum(mul(x, y), -1);
  return div(dot(a, b), sqrt(mul(dot(a, a), dot(b, b))));
}
