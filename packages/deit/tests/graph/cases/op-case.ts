/** What a case of an operation is, and numbers for its inputs. */
import type { DType, Operands, Value } from "../../../src/graph/graph.ts";
import * as ops from "../../../src/graph/ops.ts";
import { sizeOf } from "../../../src/graph/shape.ts";
import { seededTensor } from "../../helpers/seeded.ts";

export interface CaseInput {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export interface OpCase {
  readonly op: keyof typeof ops;
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly build: (inputs: Operands<Value>) => Value | readonly Value[];
  /** Equal values by other operations. */
  readonly reference?: (inputs: Operands<Value>) => Value | readonly Value[];
  /** False where there is none; "devices" where finite differences make no sense. */
  readonly gradient?: false | "devices";
  /** Devices that have it, when not all. */
  readonly devices?: readonly string[];
  /** Relative to the largest element, when not ops.test.ts's own. */
  readonly tolerance?: number;
}

/** Seeded numbers in [low, high). Each case names its own streams by shape and bounds: no two need differ. */
export function floats(shape: readonly number[], { low = -2, high = 2, name = "x" } = {}): CaseInput {
  const kind = { offset: (low + high) / 2, scale: high - low };
  return { dtype: "float32", shape, data: seededTensor(`${name} ${shape.join()}`, sizeOf(shape), kind) };
}

/** A second operand that is not the first. */
export function others(shape: readonly number[], bounds: { low?: number; high?: number } = {}): CaseInput {
  return floats(shape, { ...bounds, name: "other" });
}

export function values(
  data: readonly number[],
  shape: readonly number[] = [data.length],
  dtype: DType = "float32",
): CaseInput {
  return { dtype, shape, data: dtype === "float32" ? Float32Array.from(data) : data };
}

export const positive = { low: 0.5, high: 3 };
// No two elements within 0.1 of each other, of zero or of a bound: nothing for finite differences to step over.
export const spaced = [-1.7, 0.4, 1.9, -0.6, 0.9, -2.3, 1.4, 2.6, -1.1, 0.2, -0.3, 3.1];
export const spacedOthers = [0.3, -0.5, 1.2, 0.6, -1.4, -1.8, 2.1, 1.7, -2.6, 0.8, -1.2, 0.1];

// Programs of ours count in int32; int64 is there for what ONNX wants, and WebGPU has hardly a kernel for it.
export const INT64 = { devices: ["cpu"] };

export type Build = OpCase["build"];
export type Options = Partial<Pick<OpCase, "reference" | "gradient" | "devices" | "tolerance">>;

export function opCase(
  op: OpCase["op"],
  name: string,
  inputs: readonly CaseInput[],
  build: Build,
  options: Options = {},
): OpCase {
  return { op, name, inputs, build, ...options };
}

/** 1, 2, 1, 2, … */
export function sizes(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 1 + (i % 2));
}

/** Title of a case. */
export function titleOf({ op, name }: Pick<OpCase, "op" | "name">): string {
  return name === "" ? op : `${op}, ${name}`;
}

/** GELU by other operations. */
export function gelu(x: Value): Value {
  return ops.mul(ops.mul(x, 0.5), ops.add(ops.erf(ops.mul(x, Math.SQRT1_2)), 1));
}
