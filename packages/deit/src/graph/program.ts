/** A program: a graph compiled for a target, with what a runtime must know to feed it and to keep its state. */
import { DeitError } from "../errors.ts";
import type { Node, Target, TensorType, Value } from "./graph.ts";
import { at, hasChains, inputName, isCpu, isInput, topologicalOrder } from "./graph.ts";
import { workingBytes } from "./memory.ts";
import { onnxModel } from "./onnx-model.ts";
import { inChains } from "./passes/chains.ts";
import { flatElementwise } from "./passes/flat-elementwise.ts";
import { lower } from "./passes/lower.ts";
import { simplify } from "./passes/simplify.ts";
import { sumsOfParts } from "./passes/sums-of-parts.ts";
import type { Precision } from "./precision.ts";
import { toFloat16 } from "./precision.ts";

export type { DType, Target, TensorType } from "./graph.ts";

export interface Program {
  /** For errors and profiles. */
  readonly name: string;
  readonly target: Target;
  /** ONNX bytes. */
  readonly model: Uint8Array;
  /** All inputs, state included. */
  readonly inputs: Readonly<Record<string, TensorType>>;
  /** All outputs, next state included. */
  readonly outputs: Readonly<Record<string, TensorType>>;
  /** State input name → output that replaces it after a run; null where it is only read. */
  readonly state: Readonly<Record<string, string | null>>;
  /** Whether it has operations of our own (ops/chain.ts, ops/fused-attention.ts), which only runtimes of its target know. */
  readonly hasChains?: boolean;
  /** What its inner values take at the worst time, estimated (memory.ts); unknown for models of others. */
  readonly workingBytes?: number;
}

/** All of a program but its bytes. */
export type ProgramFacts = Omit<Program, "model">;

export interface CompileOptions {
  readonly name: string;
  readonly target: Target;
  /** What a run returns, by name. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Inputs that the runtime keeps between runs, with the value that replaces each (null: read only). */
  readonly state?: Readonly<Record<string, Value | null>>;
  /** What products and activations are computed in. */
  readonly precision?: Precision;
}

/**
 * Lowers, simplifies and writes a graph. Inputs that nothing depends on are left out.
 * @throws DeitError when state that is replaced is not an input, or names are used twice
 */
export function compile({
  name,
  target,
  outputs,
  state = {},
  precision = "float32",
}: CompileOptions): Program {
  const updates = Object.entries(state).filter((entry): entry is [string, Value] => entry[1] !== null);
  const named = { ...outputs, ...Object.fromEntries(updates.map(([key, value]) => [nextName(key), value])) };
  const keys = Object.keys(named);
  // Lowering opens new simplifications, and folding before it keeps composite operands small.
  // Blocked convolutions know float32 alone.
  const form = precision === "float16" && isCpu(target) ? "cpu" : target;
  const lowered = simplify(lower(simplify(lower(Object.values(named), form)), form));
  const values =
    precision === "float16"
      ? simplify(toFloat16(lowered, { weights: new Set(Object.keys(state)), target }))
      : hasChains(target)
        ? inChains(simplify(flatElementwise(sumsOfParts(lowered))))
        : lowered;
  const results = Object.fromEntries(keys.map((key, i) => [key, at(values, i)]));
  const inputs: Record<string, TensorType> = {};
  for (const node of topologicalOrder(values).filter(isInput)) {
    const [key, type] = [inputName(node), typeOf(at(node.outputs, 0))];
    const other = inputs[key];
    if (other !== undefined) {
      throw new DeitError(
        `${name}: the input "${key}" is used as ${describe(other)} and as ${describe(type)}`,
        { code: "graph/names" },
      );
    }
    inputs[key] = type;
  }
  for (const [key] of updates) checkStateName(name, key, inputs);
  for (const key of Object.keys(inputs)) {
    if (key in results)
      throw new DeitError(`${name}: "${key}" names an input and an output; give them two names`, {
        code: "graph/names",
      });
  }
  return {
    name,
    target,
    model: onnxModel({ outputs: results, name }),
    ...(topologicalOrder(values).some(isOwn) && { hasChains: true }),
    workingBytes: workingBytes(values),
    inputs,
    outputs: Object.fromEntries(Object.entries(results).map(([key, value]) => [key, typeOf(value)])),
    state: Object.fromEntries(
      Object.entries(state)
        .filter(([key]) => Object.hasOwn(inputs, key))
        .map(([key, value]) => [key, value && nextName(key)]),
    ),
  };
}

/** State that is replaced but never read would be lost: its name is a mistake. */
function checkStateName(program: string, key: string, inputs: Readonly<Record<string, TensorType>>): void {
  if (Object.hasOwn(inputs, key)) return;
  throw new DeitError(
    `${program}: the state "${key}" is replaced but is not an input; inputs are ${Object.keys(inputs).join(", ") || "none"}`,
    { code: "graph/state", hint: "State has the name of the input that holds it, such as W.decay." },
  );
}

/** Whether an operation is one of our own (native/). */
function isOwn({ op: { name } }: Node): boolean {
  return name === "chain" || name === "fusedAttention" || name === "fusedAttentionGradient";
}

function nextName(key: string): string {
  return `${key}.next`;
}

function describe({ dtype, shape }: TensorType): string {
  return `${dtype} [${shape.join(", ")}]`;
}

function typeOf({ dtype, shape }: TensorType): TensorType {
  return { dtype, shape };
}
