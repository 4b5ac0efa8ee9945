/** Comparisons (to bool) and selection by them. */
import type { OpDefinition, Operand, Value } from "../graph.ts";
import { apply, operand } from "../graph.ts";
import { ShapeError } from "../../errors.ts";
import { broadcastShapes } from "../shape.ts";
import { broadcastData, sumTo } from "./broadcast.ts";
import { binaryType, full, map2 } from "./elementwise.ts";

type None = Readonly<Record<string, never>>;
const NONE: None = {};

function comparison(name: string, onnx: string, test: (x: number, y: number) => boolean) {
  const op: OpDefinition<None> = {
    name,
    infer: ([a, b]) => [binaryType(name, a, b, "bool")],
    evaluate: ([a, b], _, types) => [map2(a, b, types[0]?.shape ?? [], (x, y) => Number(test(x, y)))],
    onnx: () => ({ type: onnx }),
  };
  return (a: Operand, b: Operand): Value => apply(op, [operand(a, b), operand(b, a)], NONE);
}

export const equal = comparison("equal", "Equal", (x, y) => x === y);
export const greater = comparison("greater", "Greater", (x, y) => x > y);
export const greaterOrEqual = comparison("greaterOrEqual", "GreaterOrEqual", (x, y) => x >= y);
export const less = comparison("less", "Less", (x, y) => x < y);
export const lessOrEqual = comparison("lessOrEqual", "LessOrEqual", (x, y) => x <= y);

const selectOp: OpDefinition<None> = {
  name: "select",
  infer: ([condition, a, b]) => {
    if (condition.dtype !== "bool") {
      throw new ShapeError("select", [condition.shape], `a bool condition, not ${condition.dtype}`);
    }
    const branches = binaryType("select", a, b);
    return [{ dtype: a.dtype, shape: broadcastShapes("select", condition.shape, branches.shape) }];
  },
  gradient: ({ inputs: [condition, a, b], grad }) => {
    const zero = full([], 0);
    return [
      undefined,
      sumTo(select(condition, grad, zero), a.shape),
      sumTo(select(condition, zero, grad), b.shape),
    ];
  },
  evaluate: ([condition, a, b], _, types) => {
    const shape = types[0]?.shape ?? [];
    const test = broadcastData(condition.data, condition.shape, shape);
    const yes = broadcastData(a.data, a.shape, shape);
    const no = broadcastData(b.data, b.shape, shape);
    return [test.map((flag, i) => (flag === 0 ? no[i] : yes[i]) ?? Number.NaN)];
  },
  onnx: () => ({ type: "Where" }),
};

/** `a` where the condition holds, else `b`; all three broadcast. */
export function select(condition: Value, a: Operand, b: Operand): Value {
  return apply(selectOp, [condition, operand(a, b), operand(b, a)], NONE);
}
