/**
 * Sums of the columns of a part, as the gradient of the queries' bias is: a part of the sums of the whole. The gradients of
 * queries, keys and values are one value where attention is an operation of our own, and need not be cut then.
 */
import type { Value } from "../graph.ts";
import { at } from "../graph.ts";
import { sum, unshaped } from "../ops/broadcast.ts";
import { slice } from "../ops/layout.ts";
import { rewrite } from "./rewrite.ts";

export function sumsOfParts(outputs: readonly Value[]): readonly Value[] {
  return rewrite(outputs, (node, [x]) => {
    if (node.op.name !== "sum" || x === undefined || at(node.outputs, 0).shape.length !== 1) return undefined;
    const { axes } = node.attributes as { axes?: readonly number[] };
    const part = unshaped(x);
    const { axis, sizes = [] } = part.node.attributes as { axis?: number; sizes?: readonly number[] };
    const columns = part.shape.at(-1);
    const isCut = part.node.op.name === "split" && axis === part.shape.length - 1;
    if (!isCut || x.shape.at(-1) !== columns || axes?.includes(x.shape.length - 1) !== false)
      return undefined;
    const whole = at(part.node.inputs, 0);
    const leading = whole.shape.slice(0, -1).map((_, i) => i);
    const start = sizes.slice(0, part.index).reduce((total, size) => total + size, 0);
    return [slice(sum(whole, leading), { axis: 0, start, end: start + at(sizes, part.index) })];
  }).outputs;
}
