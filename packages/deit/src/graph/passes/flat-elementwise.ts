/**
 * Elementwise operations over large values as operations over matrices of the same rows, so that a change of shape between two
 * of them, as between a bias and the residual that follows, keeps them out of no chain (chains.ts).
 */
import type { Value } from "../graph.ts";
import { at, createNode } from "../graph.ts";
import { reshape } from "../ops/broadcast.ts";
import { roleOf } from "../ops/chain.ts";
import { sizeOfChain } from "./chains.ts";
import { rewrite } from "./rewrite.ts";

export function flatElementwise(outputs: readonly Value[]): readonly Value[] {
  return rewrite(outputs, (node, inputs) => {
    const { shape } = at(node.outputs, 0);
    const size = sizeOfChain(node);
    if (size === undefined || shape.length < 3) return undefined;
    const { rows, columns } = size;
    const shapes = { element: [rows, columns], row: [rows, 1], column: [columns], one: [] };
    const flat = inputs.map((value) => reshape(value, shapes[roleOf(value, size) ?? "element"]));
    const [result] = createNode(node.op, flat, node.attributes).outputs;
    return result && [reshape(result, shape)];
  }).outputs;
}
