/**
 * Elementwise operations one after another, as GELU with its slope, the gradient of a normalisation or AdamW, are bound by the
 * memory that each of them reads and writes. On targets with chains they become one operation (ops/chain.ts). No number
 * changes: every element is computed by the same operations in the same order.
 */
import type { Node, Value } from "../graph.ts";
import { at, atScope, topologicalOrder } from "../graph.ts";
import { CHAINABLE, LONGEST_CHAIN, chain, roleOf } from "../ops/chain.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { sameNode } from "./rewrite.ts";

/** Elements of a value that is worth it: smaller ones take less time than their nodes. */
const LARGE = 1 << 12;
/** Operations that are worth it. */
const SHORTEST = 2;

/** Operations over values of one size: rows of so many columns; a vector is rows of 1. */
interface Chain {
  readonly rows: number;
  readonly columns: number;
  readonly nodes: ReadonlySet<Node>;
}

/** The same values, elementwise operations in chains. */
export function inChains(outputs: readonly Value[]): readonly Value[] {
  const order = topologicalOrder(outputs);
  const chainOf = findChains(order);
  if (chainOf.size === 0) return outputs;
  const readers = new Map<Value, Node[]>();
  for (const node of order)
    for (const value of node.inputs) readers.set(value, [...(readers.get(value) ?? []), node]);
  const kept = new Set(outputs);
  const rebuilt = new Map<Value, Value>();
  const find = (value: Value): Value => rebuilt.get(value) ?? value;
  for (const nodes of unitsInOrder(order, chainOf)) {
    const first = at(nodes, 0);
    const found = chainOf.get(first);
    const results = nodes.flatMap((node) =>
      node.outputs.filter(
        (value) =>
          !found || kept.has(value) || readers.get(value)?.some((reader) => !found.nodes.has(reader)),
      ),
    );
    const made = atScope(first.scope, () =>
      found ? chain(nodes, { ...found, results, find }) : sameNode(first, first.inputs.map(find)),
    );
    for (const [i, value] of results.entries()) rebuilt.set(value, at(made, i));
  }
  return outputs.map(find);
}

/** Nodes and whole chains, each after what it reads; the nodes of a chain in their order. */
function unitsInOrder(order: readonly Node[], chainOf: ReadonlyMap<Node, Chain>): Node[][] {
  const unitOf = new Map<Node, Node[]>();
  for (const node of order) {
    const chain = chainOf.get(node);
    const first = chain && chain.nodes.values().next().value;
    const unit = (first && unitOf.get(first)) ?? [];
    unit.push(node);
    unitOf.set(node, unit);
    if (first && first !== node) unitOf.set(first, unit);
  }
  const done = new Set<Node[]>();
  const result: Node[][] = [];
  for (const root of order) {
    const stack = [unitOf.get(root) ?? []];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const unit = top;
      const missing = unit
        .flatMap((node) => node.inputs.map((value) => unitOf.get(value.node) ?? []))
        .find((other) => other !== unit && !done.has(other));
      if (!done.has(unit) && missing !== undefined) {
        stack.push(missing);
        continue;
      }
      if (!done.has(unit)) result.push(unit);
      done.add(unit);
      stack.pop();
    }
  }
  return result;
}

/** The chain of each node that is in one. */
function findChains(order: readonly Node[]): ReadonlyMap<Node, Chain> {
  const chains = new Map<Node, Chain>();
  const places = new Map(order.map((node, i) => [node, i]));
  for (const node of order) {
    const size = sizeOfChain(node);
    if (size === undefined) continue;
    let own: Chain = { ...size, nodes: new Set([node]) };
    for (const { node: source } of node.inputs) {
      const other = chains.get(source);
      if (other === undefined || other.nodes === own.nodes) continue;
      if (other.rows !== own.rows || other.columns !== own.columns) continue;
      const union = new Set([...other.nodes, ...own.nodes]);
      if (union.size <= LONGEST_CHAIN && !isReadFromOutside(union, { chains, places }))
        own = { ...own, nodes: union };
      for (const member of own.nodes) chains.set(member, own);
    }
    chains.set(node, own);
  }
  for (const [node, { nodes }] of chains) if (nodes.size < SHORTEST) chains.delete(node);
  return chains;
}

/** Whether what these nodes read from others depends on one of them, also through chains that are computed as one. */
function isReadFromOutside(
  nodes: ReadonlySet<Node>,
  { chains, places }: { chains: ReadonlyMap<Node, Chain>; places: ReadonlyMap<Node, number> },
): boolean {
  const placeOf = (node: Node): number => places.get(node) ?? 0;
  const first = Math.min(...Array.from(nodes, placeOf));
  const seen = new Set<Node>(nodes);
  const stack = [...nodes].flatMap((node) => node.inputs.map((value) => value.node));
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    const unit = chains.get(node)?.nodes ?? new Set([node]);
    if (Math.max(...Array.from(unit, placeOf)) < first) continue;
    for (const member of unit) {
      seen.add(member);
      for (const value of member.inputs) {
        if (nodes.has(value.node)) return true;
        stack.push(value.node);
      }
    }
  }
  return false;
}

/** Rows and columns of an operation that can be part of a chain. */
export function sizeOfChain({ op, inputs, outputs }: Node): Omit<Chain, "nodes"> | undefined {
  const { dtype, shape } = at(outputs, 0);
  if (!CHAINABLE.includes(op.name) || dtype !== "float32" || sizeOf(shape) < LARGE) return undefined;
  const columns = shape.length === 1 ? 1 : dimAt(shape, -1);
  const size = { rows: sizeOf(shape) / columns, columns };
  return inputs.every((value) => roleOf(value, size) !== undefined) ? size : undefined;
}
