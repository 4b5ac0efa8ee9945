/**
 * What every pass does: it walks a graph from its inputs to its outputs and rebuilds it, with other nodes where the pass
 * knows better ones. Nodes never change; what no output reaches any more is gone by itself.
 */
import type { Node, Value } from "../graph.ts";
import { atScope, createNode, topologicalOrder } from "../graph.ts";

/** A graph after a pass. */
export interface Rewritten {
  /** What the given outputs have become, in their order. */
  readonly outputs: readonly Value[];
  /** What any value of the graph has become; itself where nothing changed. */
  find(value: Value): Value;
}

export type Pass = (outputs: readonly Value[]) => Rewritten;

/** New outputs of a node, given its rebuilt inputs; undefined leaves it as it is, over these inputs. */
export type Visit = (node: Node, inputs: readonly Value[]) => readonly Value[] | undefined;

/** Rebuilds what `outputs` reach. New nodes belong to the scope of the node that they replace. */
export function rewrite(outputs: readonly Value[], visit: Visit): Rewritten {
  const rebuilt = new Map<Value, Value>();
  const find = (value: Value): Value => rebuilt.get(value) ?? value;
  for (const node of topologicalOrder(outputs)) {
    const inputs = node.inputs.map(find);
    const made = atScope(node.scope, () => visit(node, inputs) ?? sameNode(node, inputs));
    for (const [i, value] of node.outputs.entries()) {
      const replacement = made[i];
      if (replacement !== undefined) rebuilt.set(value, replacement);
    }
  }
  return { outputs: outputs.map(find), find };
}

/** The node's outputs over other inputs; its own where they are the same. */
export function sameNode(node: Node, inputs: readonly Value[]): readonly Value[] {
  return sameInputs(node, inputs) ? node.outputs : createNode(node.op, inputs, node.attributes).outputs;
}

export function sameInputs(node: Node, inputs: readonly Value[]): boolean {
  return inputs.every((input, i) => input === node.inputs[i]);
}

/** One pass after another. */
export function inOrder(passes: readonly Pass[]): Pass {
  return (outputs) => {
    const done: Rewritten[] = [];
    let current = outputs;
    for (const pass of passes) {
      const rewritten = pass(current);
      current = rewritten.outputs;
      done.push(rewritten);
    }
    return {
      outputs: current,
      find: (value) => done.reduce((found, { find }) => find(found), value),
    };
  };
}
