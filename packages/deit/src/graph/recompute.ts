/**
 * Recomputation (Chen et al. 2016, "sublinear memory cost"): the inner values of a segment of the graph, a transformer's
 * block, are not kept until the gradient needs them but computed again from the segment's input. The gradient is written
 * over copies of the segment's nodes. They read their input through `after` (ops/execution-order.ts): no runtime can compute them
 * before the gradient has come back so far, and no pass finds them equal to the first ones. The gradient in turn leaves
 * the segment only when those of its weights are done, so that nothing of the copies is kept longer.
 */
import type { Node, Value } from "./graph.ts";
import { at, atScope, createNode, topologicalOrder } from "./graph.ts";
import { after } from "./ops/execution-order.ts";

/** Scopes of what a gradient adds begin with this; the rest is the scope of what is differentiated. */
export const GRADIENT_SCOPE = "gradient";

/** The nodes that lead from one value to another; what else they read (weights, masks) lies outside. */
export interface Segment {
  readonly input: Value;
  readonly output: Value;
  /** False for the last one before the loss: its gradient comes first, while all of it is still there. */
  readonly recompute: boolean;
}

/** A segment while it is being differentiated. */
export interface BackwardPart {
  /** To be called before a node's gradient: the inputs and outputs that it should be written over. */
  enter(node: Node): Pick<Node, "inputs" | "outputs">;
  /** To be called after it. */
  leave(node: Node): void;
}

/** The part that each node of a segment belongs to. `grads`: the gradients so far by value, which leaving a segment holds back. */
export function backwardParts(
  segments: readonly Segment[],
  grads: Map<Value, Value>,
): ReadonlyMap<Node, BackwardPart> {
  const parts = new Map<Node, BackwardPart>();
  for (const segment of segments) {
    const nodes = innerNodes(segment);
    const part = backwardPart(segment, { nodes, grads });
    for (const node of nodes) parts.set(node, part);
  }
  return parts;
}

function backwardPart(
  { input, recompute }: Segment,
  { nodes, grads }: { nodes: readonly Node[]; grads: Map<Value, Value> },
): BackwardPart {
  const inner = new Set(nodes);
  let copies: ReadonlyMap<Node, Node> | undefined;
  let left = 0;
  return {
    enter(node) {
      if (!recompute) return node;
      copies ??= copiesOf(nodes, input, after(input, gradsOf(node.outputs, grads)));
      return copies.get(node) ?? node;
    },
    leave() {
      if (++left < nodes.length) return;
      const grad = grads.get(input);
      const outside = new Set(nodes.flatMap(({ inputs }) => inputs.filter(({ node }) => !inner.has(node))));
      outside.delete(input);
      if (grad !== undefined) grads.set(input, after(grad, gradsOf(outside, grads)));
    },
  };
}

function gradsOf(values: Iterable<Value>, grads: ReadonlyMap<Value, Value>): Value[] {
  return [...values].map((value) => grads.get(value)).filter((grad) => grad !== undefined);
}

/** The nodes between a segment's input and its output, inputs before users. */
function innerNodes({ input, output }: Segment): Node[] {
  const inner = new Set<Node>();
  for (const node of topologicalOrder([output])) {
    if (node.inputs.some((value) => value === input || inner.has(value.node))) inner.add(node);
  }
  return [...inner];
}

/** The same nodes once more, over another input. */
function copiesOf(nodes: readonly Node[], input: Value, again: Value): Map<Node, Node> {
  const copies = new Map<Node, Node>();
  const copyOf = (value: Value): Value => {
    if (value === input) return again;
    const copy = copies.get(value.node);
    return copy === undefined ? value : at(copy.outputs, value.index);
  };
  for (const node of nodes) {
    const { op, inputs, attributes, scope } = node;
    const copy = atScope(`${GRADIENT_SCOPE}/${scope}`, () =>
      createNode(op, inputs.map(copyOf), attributes, { recomputes: node }),
    );
    copies.set(node, copy);
  }
  return copies;
}
