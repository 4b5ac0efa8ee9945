/** The feed-forward network of a block (§3): D → ratio·D → D, GELU between. */
import type { Value } from "../graph/graph.ts";
import { gelu } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import type { ForwardContext } from "./context.ts";
import { linear } from "./linear.ts";
import type { Scope } from "./parameters.ts";

export interface MlpOptions {
  readonly ratio: number;
  /** Where it is, `blocks.0`: dropout has a mask of its own at every site. */
  readonly site: string;
}

/** x: [..., D] → [..., D]. */
export function mlp(x: Value, scope: Scope, { ratio, site }: MlpOptions, context: ForwardContext): Value {
  const features = dimAt(x.shape, -1);
  const hidden = linear(x, scope.at("fc1"), { outFeatures: Math.round(features * ratio) });
  const activated = context.dropout(gelu(hidden), `${site}.fc1`);
  const y = linear(activated, scope.at("fc2"), { outFeatures: features });
  return context.dropout(y, `${site}.fc2`);
}
