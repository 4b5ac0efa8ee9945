/**
 * Elementwise operations one after another as one operation of our own (native/chain.c): what lies between them is never
 * written to memory. Made by passes/chains.ts as the last thing before a program is written; the interpreter never meets it.
 */
import type { Node, OpDefinition, Value } from "../graph.ts";
import { at, createNode } from "../graph.ts";
import { sizeOf } from "../shape.ts";

/** Of our own operations. */
export const CHAIN_DOMAIN = "deit";

/** Operations that a chain can hold, at the number that stands for each. */
export const CHAINABLE: readonly string[] = ["add", "sub", "mul", "div", "neg", "exp", "sqrt", "erf"];

/** Operations of a chain, at most: with two operands each they have the 64 inputs that the kernel takes. */
export const LONGEST_CHAIN = 32;

/** What an operand has a number for. */
export type Role = "element" | "row" | "column" | "one";
const ROLES: readonly Role[] = ["element", "row", "column", "one"];

interface ChainAttributes extends Readonly<Record<string, unknown>> {
  readonly rows: number;
  readonly columns: number;
  readonly roles: readonly Role[];
  /** The operation, and its operands as registers: the inputs, then the results of the operations. */
  readonly code: readonly (readonly number[])[];
  /** The results that are outputs. */
  readonly results: readonly { readonly value: Value; readonly register: number }[];
}

const chainOp: OpDefinition<ChainAttributes> = {
  name: "chain",
  infer: (_, { results }) => results.map(({ value: { dtype, shape } }) => ({ dtype, shape })),
  onnx: (_, { rows, columns, roles, code, results }) => ({
    type: "Chain",
    domain: CHAIN_DOMAIN,
    attributes: {
      rows,
      columns,
      roles: roles.map((role) => ROLES.indexOf(role)),
      code: code.flat(),
      outs: results.map(({ register }) => register),
      ranks: results.map(({ value }) => value.shape.length),
      dims: results.flatMap(({ value }) => value.shape),
    },
  }),
};

/** How an operand meets rows of so many columns; undefined where it has another shape. */
export function roleOf(
  { shape }: Value,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): Role | undefined {
  const size = sizeOf(shape);
  if (size === rows * columns) return "element";
  if (size === 1) return "one";
  if (shape.length === 1 && size === columns) return "column";
  return size === rows && shape.at(-1) === 1 ? "row" : undefined;
}

/** `nodes` (in their order, operands as roleOf) as one operation that returns `results`; `find` gives what comes from outside. */
export function chain(
  nodes: readonly Node[],
  {
    rows,
    columns,
    results,
    find,
  }: { rows: number; columns: number; results: readonly Value[]; find: (value: Value) => Value },
): readonly Value[] {
  const inside = new Set(nodes.flatMap(({ outputs }) => outputs));
  const outside = [...new Set(nodes.flatMap(({ inputs }) => inputs))].filter((value) => !inside.has(value));
  const registers = new Map(
    [...outside, ...nodes.map(({ outputs }) => at(outputs, 0))].map((value, i) => [value, i]),
  );
  const registerOf = (value: Value | undefined): number => (value && registers.get(value)) ?? 0;
  return createNode(chainOp, outside.map(find), {
    rows,
    columns,
    roles: outside.map((value) => roleOf(value, { rows, columns }) ?? "element"),
    code: nodes.map(({ op, inputs: [a, b] }) => [CHAINABLE.indexOf(op.name), registerOf(a), registerOf(b)]),
    results: results.map((value) => ({ value, register: registerOf(value) })),
  }).outputs;
}
