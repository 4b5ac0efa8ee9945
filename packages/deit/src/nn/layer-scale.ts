/** LayerScale (Touvron et al. 2021, CaiT, eq. 4): a residual branch is scaled channel by channel, by factors that start small. */
import type { Value } from "../graph/graph.ts";
import { mul } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { Scope } from "./parameters.ts";

/** x·γ with γ [D], all `start` at the beginning. x: [..., D] → [..., D]. Like every vector γ is not decayed. */
export function layerScale(x: Value, scope: Scope, start: number): Value {
  return mul(x, scope.parameter("gamma", [dimAt(x.shape, -1)], { kind: "constant", value: start }));
}
