/** The feed-forward network of a block (§3): D → ratio·D → D, GELU between. */
import type { Value } from "../graph/graph.ts";
import { geluMlp } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import { linearWeights } from "./linear.ts";
import type { Scope } from "./parameters.ts";

/** x: [..., D] → [..., D]. */
export function mlp(x: Value, scope: Scope, { ratio = 4 }: { ratio?: number } = {}): Value {
  const features = dimAt(x.shape, -1);
  const hidden = Math.round(features * ratio);
  const { weight: weight1, bias: bias1 } = linearWeights(scope.at("fc1"), features, hidden);
  const { weight: weight2, bias: bias2 } = linearWeights(scope.at("fc2"), hidden, features);
  return geluMlp(x, { weight1, bias1, weight2, bias2 });
}
