/**
 * Simplification: constants folded, equal expressions shared, needless ones removed. Dead code needs no pass: what the
 * outputs do not reach is never written.
 */
import type { Node, Value } from "../graph.ts";
import { at, constant, constantData, inputName, isInput, operands, toFloat64 } from "../graph.ts";
import { sameShape, sizeOf } from "../shape.ts";
import { rewrite, sameInputs, sameNode } from "./rewrite.ts";

/** Folding makes no constant larger than this many elements: a program should not carry expanded zeros. */
const LARGEST_FOLDED = 1 << 24;

/** Folds constants, applies each operation's own simplifications, and shares equal expressions. */
export function simplify(values: readonly Value[]): readonly Value[] {
  const known = new Map<string, readonly Value[]>();
  return rewrite(values, (node, inputs) => {
    const simpler = node.op.simplify?.(operands(inputs), node.attributes);
    if (simpler !== undefined && sameShape(simpler.shape, at(node.outputs, 0).shape)) return [simpler];
    const folded = fold(node, inputs);
    const outputs = folded ?? (sameInputs(node, inputs) ? node.outputs : undefined);
    const key = expressionKey(node, inputs, folded);
    if (key === undefined) return outputs;
    const twin = known.get(key);
    if (twin !== undefined) return twin;
    const made = outputs ?? sameNode(node, inputs);
    known.set(key, made);
    return made;
  }).outputs;
}

/** Evaluates a node whose inputs are all constants. */
function fold(node: Node, inputs: readonly Value[]): readonly Value[] | undefined {
  const { evaluate, name } = node.op;
  // An expanded constant is cheaper to expand at run time than to carry.
  if (evaluate === undefined || inputs.length === 0 || name === "expand") return undefined;
  if (node.outputs.some((value) => sizeOf(value.shape) > LARGEST_FOLDED)) return undefined;
  const known = inputs.flatMap((input) => constantData(input) ?? []);
  if (known.length < inputs.length) return undefined;
  const tensors = inputs.map(({ shape }, i) => ({ shape, data: toFloat64(at(known, i)) }));
  const results = evaluate(operands(tensors), node.attributes, node.outputs);
  return node.outputs.map((value, i) => constant(at(results, i), value.shape, value.dtype));
}

/** Small constants are compared by content, as are those of one number; other ones by identity. */
const COMPARED_CONSTANT = 64;

/** A text that is equal for equal expressions, or undefined where sharing is not tried. */
function expressionKey(
  node: Node,
  inputs: readonly Value[],
  folded: readonly Value[] | undefined,
): string | undefined {
  if (isInput(node))
    return `input ${inputName(node)} ${at(node.outputs, 0).dtype} [${at(node.outputs, 0).shape.join()}]`;
  const value = folded?.length === 1 ? folded[0] : inputs.length === 0 ? node.outputs[0] : undefined;
  if (value !== undefined) {
    const data = constantData(value);
    const contents = data && contentsOf(data);
    return contents && `constant ${value.dtype} [${value.shape.join()}] ${contents}`;
  }
  if (folded !== undefined) return undefined;
  const operandKeys = inputs.map((input) => `${input.node.id}.${input.index}`);
  return `${node.op.name} ${JSON.stringify(node.attributes, spellOut)} ${operandKeys.join()}`;
}

/** JSON writes every number that is not finite as null. */
function spellOut(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** A text that is equal for equal contents; undefined for what is large and not all one number. */
function contentsOf(data: ArrayLike<number | bigint>): string | undefined {
  if (data.length <= COMPARED_CONSTANT) return Array.from(data, String).join();
  for (let i = 1; i < data.length; i++) if (data[i] !== data[0]) return undefined;
  return `all ${data[0]}`;
}
