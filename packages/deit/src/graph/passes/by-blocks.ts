/**
 * Elementwise operations one after another over large values, as GELU with its slope or AdamW, are bound by the memory that
 * each of them reads and writes. So they are computed for a block of rows at a time, which stays in the cache from the first
 * to the last. No number changes: every element is computed by the same operations in the same order.
 */
import type { Node, Value } from "../graph.ts";
import { at, atScope, createNode, input, inputName, isInput, topologicalOrder } from "../graph.ts";
import { reshape } from "../ops/broadcast.ts";
import { scan } from "../ops/scan.ts";
import type { Shape } from "../shape.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { unshaped } from "./patterns.ts";
import { sameNode } from "./rewrite.ts";

const ELEMENTWISE = new Set("add sub mul div neg exp sqrt erf".split(" "));

/** Values of fewer elements stay in the cache anyway. */
const LARGE = 1 << 19;
/** Elements of a block: some blocks fit the second-level cache of a core together. */
const BLOCK = 100_000;
/** Operations that are worth the blocks. */
const SHORTEST = 2;

/** Operations over values of one size: rows of so many columns; a vector is rows of 1. */
interface Chain {
  readonly rows: number;
  readonly columns: number;
  readonly count: number;
  readonly nodes: ReadonlySet<Node>;
}

/**
 * The same values, chains of elementwise operations block by block. `states`: for outputs that are the next value of a
 * state, its name. A state that is computed so comes and goes as [blocks, elements], or it would be copied for its shape.
 */
export function byBlocks(
  outputs: readonly Value[],
  states: readonly (string | undefined)[] = [],
): readonly Value[] {
  const order = topologicalOrder(outputs);
  const chainOf = findChains(order);
  if (chainOf.size === 0) return outputs;
  const readers = new Map<Value, Node[]>();
  for (const node of order)
    for (const value of node.inputs) readers.set(value, [...(readers.get(value) ?? []), node]);
  const kept = new Set(outputs);
  const stateShapes = new Map<string, Shape>();
  for (const [i, name] of states.entries()) {
    const chain = chainOf.get(at(outputs, i).node);
    if (name !== undefined && chain?.columns === 1)
      stateShapes.set(name, [chain.count, chain.rows / chain.count]);
  }
  const rebuilt = new Map<Value, Value>();
  const find = (value: Value): Value => rebuilt.get(value) ?? value;
  for (const unit of unitsInOrder(order, chainOf)) {
    const { scope } = at(unit, 0);
    const chain = chainOf.get(at(unit, 0));
    if (chain === undefined) {
      const node = at(unit, 0);
      const first = at(node.outputs, 0);
      const stateShape = isInput(node) ? stateShapes.get(inputName(node)) : undefined;
      const made =
        stateShape === undefined
          ? atScope(scope, () => sameNode(node, node.inputs.map(find)))
          : [reshape(input(inputName(node), first.dtype, stateShape), first.shape)];
      for (const [i, value] of node.outputs.entries()) rebuilt.set(value, at(made, i));
      continue;
    }
    const results = unit.flatMap(({ outputs: made }) =>
      made.filter(
        (value) => kept.has(value) || readers.get(value)?.some((reader) => !chain.nodes.has(reader)),
      ),
    );
    const made = atScope(scope, () => inBlocks(chain, { nodes: unit, results, find }));
    for (const [i, value] of results.entries()) rebuilt.set(value, at(made, i));
  }
  return outputs.map((value, i) => (stateShapes.has(states[i] ?? "") ? unshaped(find(value)) : find(value)));
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
    const size = sizeForBlocks(node);
    if (size === undefined) continue;
    let own: Chain = { ...size, nodes: new Set([node]) };
    for (const { node: source } of node.inputs) {
      const other = chains.get(source);
      if (other === undefined || other.nodes === own.nodes) continue;
      if (other.rows !== own.rows || other.columns !== own.columns) continue;
      const union = new Set([...other.nodes, ...own.nodes]);
      if (!isReadFromOutside(union, { chains, places })) own = { ...own, nodes: union };
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

/** Rows, columns and the number of blocks, for an operation that can be computed by blocks. */
function sizeForBlocks({ op, inputs, outputs }: Node): Omit<Chain, "nodes"> | undefined {
  const result = at(outputs, 0);
  if (!ELEMENTWISE.has(op.name) || result.dtype !== "float32" || sizeOf(result.shape) < LARGE)
    return undefined;
  const columns = result.shape.length === 1 ? 1 : dimAt(result.shape, -1);
  const rows = sizeOf(result.shape) / columns;
  if (inputs.some((value) => roleOf(value, { rows, columns }) === undefined)) return undefined;
  const count = blockCount(rows, columns);
  return count === undefined ? undefined : { rows, columns, count };
}

/** How an operand meets a block: cut into blocks itself, as a whole or by a number for each row; or the same for all. */
function roleOf(
  { shape }: Value,
  { rows, columns }: Pick<Chain, "rows" | "columns">,
): "block" | "row" | "same" | undefined {
  const size = sizeOf(shape);
  if (size === rows * columns) return "block";
  if (size === 1 || (shape.length === 1 && size === columns)) return "same";
  return size === rows && shape.at(-1) === 1 ? "row" : undefined;
}

/** The divisor of the rows that gives blocks nearest to BLOCK; undefined where none is near. */
function blockCount(rows: number, columns: number): number | undefined {
  const wanted = (rows * columns) / BLOCK;
  const distance = (count: number): number => Math.abs(Math.log(count / wanted));
  let best = 1;
  for (let count = 2; count <= Math.min(rows, 4 * wanted); count++)
    if (rows % count === 0 && distance(count) < distance(best)) best = count;
  return best > 1 && distance(best) < Math.log(2.5) ? best : undefined;
}

/** A chain as one `scan`; returns what `results` become, in their shapes. */
function inBlocks(
  { rows, columns, count }: Chain,
  {
    nodes,
    results,
    find,
  }: { nodes: readonly Node[]; results: readonly Value[]; find: (value: Value) => Value },
): Value[] {
  const inner = new Map<Value, Value>();
  const blocks: Value[] = [];
  const inputs: Value[] = [];
  const outside: Value[] = [];
  const isVector = columns === 1;
  const blockShape = (width: number): number[] => (isVector ? [rows / count] : [rows / count, width]);
  const enter = (value: Value): Value => {
    const known = inner.get(value);
    if (known !== undefined) return known;
    const given = find(value);
    const role = roleOf(value, { rows, columns });
    if (role === "same") {
      outside.push(given);
      inner.set(value, given);
      return given;
    }
    const shape = blockShape(role === "row" ? 1 : columns);
    const stand = input(`block.${given.node.id}.${given.index}`, value.dtype, shape);
    blocks.push(reshape(unshaped(given), [count, ...shape]));
    inputs.push(stand);
    inner.set(value, stand);
    return stand;
  };
  for (const node of nodes) {
    const copy = createNode(node.op, node.inputs.map(enter), node.attributes);
    for (const [i, value] of node.outputs.entries()) inner.set(value, at(copy.outputs, i));
  }
  const body = { inputs, outputs: results.map((value) => inner.get(value) ?? value) };
  const made = scan(blocks, { count, body, outside: [...new Set(outside)] });
  return results.map(({ shape }, i) => reshape(at(made, i), shape));
}
