/**
 * Two biases that attention does not need on every token. One on the keys adds the same number to all scores of a query:
 * softmax does not see it, and its gradient is 0. One on the values adds itself to every attended token, as probabilities
 * sum to 1, unless some are dropped: it can as well be added afterwards, where a projection takes it in (fold-affine.ts).
 */
import type { Value } from "../graph.ts";
import { output } from "../graph.ts";
import { add } from "../ops/elementwise.ts";
import { withVector } from "./patterns.ts";
import type { Pass } from "./rewrite.ts";
import { rewrite, sameNode } from "./rewrite.ts";

export const attentionBiases: Pass = (outputs) =>
  rewrite(outputs, (node, inputs) => {
    const [q, k, v, ...mask] = inputs;
    if (node.op.name !== "attention" || q === undefined || k === undefined || v === undefined)
      return undefined;
    const onKeys = withVector(k, "add");
    const onValues = mask.length === 0 ? withVector(v, "add") : undefined;
    if (onKeys === undefined && onValues === undefined) return undefined;
    const made = sameNode(node, [q, onKeys?.rest ?? k, onValues?.rest ?? v, ...mask]);
    const [attended = output(node, 0), ...others]: readonly Value[] = made;
    return [onValues === undefined ? attended : add(attended, onValues.vector), ...others];
  });
