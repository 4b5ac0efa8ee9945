/** Linear, GELU, Linear, where nobody else reads what lies between: the one operation that computes GELU and its slope together. */
import { at } from "../graph.ts";
import { geluMlp } from "../ops/gelu-mlp.ts";
import { unshaped } from "../ops/broadcast.ts";
import { asLinear, madeBy, readersOf } from "./patterns.ts";
import type { Pass } from "./rewrite.ts";
import { rewrite } from "./rewrite.ts";

export const fuseMlp: Pass = (outputs) => {
  const readers = readersOf(outputs);
  return rewrite(outputs, (node, inputs) => {
    const second = asLinear(node);
    const activated = second && madeBy(unshaped(second.x), "gelu");
    const expanded = activated && unshaped(at(activated.inputs, 0));
    const isInner = expanded && [expanded, at(activated.outputs, 0)].every((x) => readers(x).length === 1);
    if (!isInner) return undefined;
    const [x, weight2, bias2] = inputs;
    const first = x && asLinear(unshaped(at(unshaped(x).node.inputs, 0)).node);
    if (first?.bias === undefined || weight2 === undefined || bias2 === undefined) return undefined;
    if (first.weight.shape[0] !== weight2.shape[1]) return undefined;
    return [geluMlp(first.x, { weight1: first.weight, bias1: first.bias, weight2, bias2 })];
  });
};
