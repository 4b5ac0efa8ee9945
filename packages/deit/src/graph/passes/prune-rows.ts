/**
 * Rows that nobody reads are not computed. The heads of a transformer read its class tokens alone, so of the last block
 * only their rows need a query, a projection and a feed-forward network; keys and values need every token. The pass asks
 * from the outputs backwards how many leading rows of each value are read, and on which axis, and rebuilds what computes
 * row by row over so many.
 */
import type { Node, Value } from "../graph.ts";
import { at, createNode, input, inputName, isInput, topologicalOrder } from "../graph.ts";
import { reshape } from "../ops/broadcast.ts";
import { slice, split } from "../ops/layout.ts";
import { linear, linearParts } from "../ops/matmul.ts";
import { dimAt, sizeOf } from "../shape.ts";
import type { Pass } from "./rewrite.ts";
import { rewrite } from "./rewrite.ts";

/** The first `end` entries of an axis. */
interface Rows {
  readonly axis: number;
  readonly end: number;
}

/** What is read of a value: some rows, or all of it. */
type Need = Rows | "all";

/** Each number of the result is made of those at its place in the operands, which may broadcast. */
const ELEMENTWISE = new Set(
  (
    "add sub mul div neg abs maximum minimum relu gelu tanh sigmoid erf exp log sqrt clip step cast " +
    "equal greater greaterOrEqual less lessOrEqual select inFloat32"
  ).split(" "),
);

export interface PruneOptions {
  /** Whether an input may be asked for fewer rows: random masks, which are drawn for the shape that a program has. */
  readonly mayShrink?: (inputName: string) => boolean;
}

export function pruneRows({ mayShrink = () => false }: PruneOptions = {}): Pass {
  return (outputs) => {
    const needs = needsOf(outputs);
    return rewrite(outputs, (node, inputs) => {
      const read = node.outputs.map((value) => needs.get(value));
      if (node.op.name === "linearParts") return narrowedParts(node, inputs, read.map(asRows));
      const rows = readTogether(node, read);
      return rows && narrowed(node, inputs, { rows, mayShrink });
    });
  };
}

function asRows(need: Need | undefined): Rows | undefined {
  return need === "all" ? undefined : need;
}

/** How much is read of each value. */
function needsOf(outputs: readonly Value[]): ReadonlyMap<Value, Need> {
  const needs = new Map<Value, Need>(outputs.map((value) => [value, "all"]));
  for (const node of topologicalOrder(outputs).toReversed()) {
    const rows = node.outputs.map((value) => needs.get(value));
    const asked = node.inputs.map((_, i) => needOfInput(node, i, rows));
    for (const [i, value] of node.inputs.entries())
      needs.set(value, union(needs.get(value), at(asked, i), value));
  }
  return needs;
}

function union(a: Need | undefined, b: Need, { shape }: Value): Need {
  if (a === undefined) return b;
  if (a === "all" || b === "all" || a.axis !== b.axis) return "all";
  const end = Math.max(a.end, b.end);
  return end >= dimAt(shape, a.axis) ? "all" : { axis: a.axis, end };
}

/** What a node reads of its operand `i` when so much of its outputs is read (undefined: nothing). */
function needOfInput(node: Node, i: number, outputs: readonly (Need | undefined)[]): Need {
  const { op, inputs, attributes } = node;
  const [first] = outputs;
  const { shape } = at(inputs, i);
  if (op.name === "slice") {
    const { axis, start, end } = attributes as { axis: number; start: number; end: number };
    if (first !== undefined && first !== "all" && first.axis === axis)
      return { axis, end: Math.min(end, start + first.end) };
    return end < dimAt(shape, axis) ? { axis, end } : "all";
  }
  const rows = readTogether(node, outputs);
  return rows === undefined ? "all" : (operandRows(node, i, rows) ?? "all");
}

/** The rows of a node's result, when no more of any output is read. */
function readTogether(node: Node, outputs: readonly (Need | undefined)[]): Rows | undefined {
  const read = outputs.filter((need) => need !== undefined);
  if (read.some((need) => need === "all")) return undefined;
  const rows = read.filter((need) => need !== "all");
  const [first] = rows;
  // Probabilities, the second output of attention, have other axes; the parts of a product have the same.
  if (first === undefined || rows.some(({ axis }) => axis !== first.axis)) return undefined;
  if (node.op.name === "attention" && outputs[1] !== undefined) return undefined;
  return { axis: first.axis, end: Math.max(...rows.map(({ end }) => end)) };
}

/**
 * The rows of operand `i` that those of the result are made of. Undefined: all of it; or, for operand 0, that the operation
 * does not work row by row.
 */
function operandRows({ op, inputs, outputs, attributes }: Node, i: number, rows: Rows): Rows | undefined {
  const operand = at(inputs, i);
  const result = at(outputs, 0);
  const { axis, end } = rows;
  if (ELEMENTWISE.has(op.name)) {
    const own = axis - (result.shape.length - operand.shape.length);
    return own < 0 || operand.shape[own] === 1 ? undefined : { axis: own, end };
  }
  switch (op.name) {
    case "normalize":
      return axis < result.shape.length - 1 ? rows : undefined;
    case "gemm":
      return i === 0 && axis === 0 && attributes["transA"] === false ? rows : undefined;
    case "linearParts":
    case "geluMlp":
      return i === 0 && axis === 0 ? rows : undefined;
    case "attention": // queries [Q, B, D], and a mask [B, heads, Q, N]
      return axis !== 0 ? undefined : i === 0 ? rows : i === 3 ? { axis: 2, end } : undefined;
    case "reshape":
      return reshapedRows(result.shape, operand.shape, rows);
    default:
      return undefined;
  }
}

/** The rows that hold the same numbers under another shape, if they are whole rows of one axis. */
function reshapedRows(from: readonly number[], to: readonly number[], { axis, end }: Rows): Rows | undefined {
  const outer = sizeOf(from.slice(0, axis));
  const length = end * sizeOf(from.slice(axis + 1));
  for (let i = to.length - 1; i >= 0; i--) {
    if (sizeOf(to.slice(0, i)) !== outer) continue;
    const size = sizeOf(to.slice(i + 1));
    return length % size === 0 ? { axis: i, end: length / size } : undefined;
  }
  return undefined;
}

/** The node over the rows that are read, or undefined where it has to compute them all. */
function narrowed(
  node: Node,
  inputs: readonly Value[],
  { rows, mayShrink }: { rows: Rows } & Required<PruneOptions>,
): readonly Value[] | undefined {
  const { dtype, shape } = at(node.outputs, 0);
  if (isInput(node)) {
    const name = inputName(node);
    return mayShrink(name) ? [input(name, dtype, shrunk(shape, rows))] : undefined;
  }
  if (node.op.name === "slice") {
    const { axis, start } = node.attributes as { axis: number; start: number };
    return axis === rows.axis ? [slice(at(inputs, 0), { axis, start, end: start + rows.end })] : undefined;
  }
  const wanted = node.inputs.map((_, i) => operandRows(node, i, rows));
  if (wanted.every((part) => part === undefined)) return undefined;
  const operands = inputs.map((value, i) => firstRows(value, wanted[i]));
  return node.op.name === "reshape"
    ? [reshape(at(operands, 0), shrunk(shape, rows))]
    : createNode(node.op, operands, node.attributes).outputs;
}

/** Parts of which so many rows are read each: neighbours that are read alike are computed together. */
function narrowedParts(
  node: Node,
  [x, weight]: readonly Value[],
  rows: readonly (Rows | undefined)[],
): readonly Value[] | undefined {
  const { sizes } = node.attributes as { sizes: readonly number[] };
  if (x === undefined || weight === undefined || rows.every((part) => part === undefined)) return undefined;
  const groups: { sizes: number[]; rows: Rows | undefined }[] = [];
  for (const [i, size] of sizes.entries()) {
    const last = groups.at(-1);
    if (last !== undefined && last.rows?.end === rows[i]?.end) last.sizes.push(size);
    else groups.push({ sizes: [size], rows: rows[i] });
  }
  const weights = split(
    weight,
    groups.map((group) => group.sizes.reduce((total, size) => total + size, 0)),
    0,
  );
  return groups.flatMap((group, i) => {
    const operand = firstRows(x, group.rows);
    const part = at(weights, i);
    return group.sizes.length === 1 ? [linear(operand, part)] : linearParts(operand, part, group.sizes);
  });
}

/** So many rows of a value, which may have no more already. Reshapes come after: what lies whole is cut. */
function firstRows(value: Value, rows: Rows | undefined): Value {
  if (rows === undefined || dimAt(value.shape, rows.axis) <= rows.end) return value;
  if (value.node.op.name === "reshape") {
    const source = at(value.node.inputs, 0);
    const inner = reshapedRows(value.shape, source.shape, rows);
    if (inner !== undefined) return reshape(firstRows(source, inner), shrunk(value.shape, rows));
  }
  return slice(value, { axis: rows.axis, end: rows.end });
}

function shrunk(shape: readonly number[], { axis, end }: Rows): readonly number[] {
  return shape.with(axis, end);
}
