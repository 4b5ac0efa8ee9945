/**
 * A linear layer whose result is only cut up, as the fused projection of attention is: one product for each part, which
 * leaves nothing to cut, and a part of the bias for each, which may then go another way (attention-biases.ts).
 */
import { at } from "../graph.ts";
import type { Value } from "../graph.ts";
import { reshape, unshaped } from "../ops/broadcast.ts";
import { add } from "../ops/elementwise.ts";
import { split } from "../ops/layout.ts";
import { linearParts } from "../ops/matmul.ts";
import { asLinear, readersOf } from "./patterns.ts";
import type { Pass } from "./rewrite.ts";
import { rewrite } from "./rewrite.ts";

export const splitLinear: Pass = (outputs) => {
  const readers = readersOf(outputs);
  return rewrite(outputs, (node, [whole]) => {
    const { axis, sizes } = node.attributes as { axis?: number; sizes?: readonly number[] };
    const given = at([...node.inputs, ...node.outputs], 0);
    if (node.op.name !== "split" || whole === undefined || sizes === undefined) return undefined;
    const product = unshaped(whole);
    const layer = asLinear(product.node);
    const isLast = axis === given.shape.length - 1 && given.shape.at(-1) === product.shape.at(-1);
    if (layer === undefined || !isLast || readers(unshaped(given)).length > 1) return undefined;
    const parts = linearParts(layer.x, layer.weight, sizes);
    const biases = layer.bias && split(layer.bias, sizes, 0);
    return parts.map((part, i): Value => {
      const shaped = reshape(part, at(node.outputs, i).shape);
      return biases === undefined ? shaped : add(shaped, at(biases, i));
    });
  });
};
