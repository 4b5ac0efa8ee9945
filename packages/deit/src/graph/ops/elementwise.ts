/** Arithmetic with broadcasting and elementwise functions. */
import type { Attributes, DType, OpDefinition, Operand, TensorType, Value } from "../graph.ts";
import { apply, blockOf, constant, constantNumber, operand, operands, scalar } from "../graph.ts";
import { DeitError, ShapeError } from "../../errors.ts";
import { erf as erf64 } from "../erf.ts";
import { broadcastShapes, sizeOf } from "../shape.ts";
import { broadcastData, expand, sumTo } from "./broadcast.ts";

type None = Readonly<Record<string, never>>;
const NONE: None = {};

/** Result type of two operands that broadcast. */
export function binaryType(name: string, a: TensorType, b: TensorType, dtype?: DType): TensorType {
  if (a.dtype !== b.dtype)
    throw new ShapeError(name, [a.shape, b.shape], `one dtype, not ${a.dtype} and ${b.dtype}`);
  return { dtype: dtype ?? a.dtype, shape: broadcastShapes(name, a.shape, b.shape) };
}

/** Evaluates elementwise over operands broadcast to `to`. */
export function map2(
  a: { shape: readonly number[]; data: Float64Array },
  b: { shape: readonly number[]; data: Float64Array },
  to: readonly number[],
  f: (x: number, y: number) => number,
): Float64Array {
  const right = broadcastData(b.data, b.shape, to);
  return broadcastData(a.data, a.shape, to).map((x, i) => f(x, right[i] ?? Number.NaN));
}

interface Binary {
  readonly name: string;
  readonly onnx: string;
  readonly evaluate: (x: number, y: number) => number;
  /** Gradients by both operands, before they are summed back to the operands' shapes. */
  readonly gradient: (context: { a: Value; b: Value; y: Value; grad: Value }) => readonly [Value, Value];
  readonly simplify?: (a: Value, b: Value) => Value | undefined;
}

function binary({ name, onnx, evaluate, gradient, simplify }: Binary): (a: Operand, b: Operand) => Value {
  const op: OpDefinition<None> = {
    name,
    infer: ([a, b]) => [binaryType(name, a, b)],
    gradient: ({ inputs: [a, b], outputs: [y], grad }) => {
      const [byA, byB] = gradient({ a, b, y, grad });
      return [sumTo(byA, a.shape), sumTo(byB, b.shape)];
    },
    evaluate: ([a, b], _, types) => [map2(a, b, types[0]?.shape ?? [], evaluate)],
    onnx: () => ({ type: onnx }),
    ...(simplify && { simplify: ([a, b]) => simplify(a, b) }),
  };
  return (a, b) => apply(op, [operand(a, b), operand(b, a)], NONE);
}

/** `a`, expanded to the result's shape, when every element of `b` is the neutral one. */
function unless(a: Value, b: Value, neutral: number): Value | undefined {
  const filled = b.node.op.name === "expand" ? operands(b.node.inputs)[0] : b;
  return constantNumber(filled) === neutral
    ? expand(a, broadcastShapes("simplify", a.shape, b.shape))
    : undefined;
}

export const add = binary({
  name: "add",
  onnx: "Add",
  evaluate: (x, y) => x + y,
  gradient: ({ grad }) => [grad, grad],
  simplify: (a, b) => unless(a, b, 0) ?? unless(b, a, 0),
});

export const sub = binary({
  name: "sub",
  onnx: "Sub",
  evaluate: (x, y) => x - y,
  gradient: ({ grad }) => [grad, neg(grad)],
  simplify: (a, b) => unless(a, b, 0),
});

export const mul = binary({
  name: "mul",
  onnx: "Mul",
  evaluate: (x, y) => x * y,
  gradient: ({ a, b, grad }) => [mul(grad, b), mul(grad, a)],
  simplify: (a, b) => unless(a, b, 1) ?? unless(b, a, 1),
});

export const div = binary({
  name: "div",
  onnx: "Div",
  evaluate: (x, y) => x / y,
  gradient: ({ b, y, grad }) => {
    const byA = div(grad, b);
    return [byA, neg(mul(byA, y))];
  },
  simplify: (a, b) => unless(a, b, 1),
});

/** Elementwise larger value; where both are equal the first one gets the gradient. */
export const maximum = binary({
  name: "maximum",
  onnx: "Max",
  evaluate: Math.max,
  gradient: ({ a, b, grad }) => {
    const first = step(sub(b, a)); // 1 where b > a
    return [mul(grad, sub(1, first)), mul(grad, first)];
  },
});

/** Elementwise smaller value; where both are equal the first one gets the gradient. */
export const minimum = binary({
  name: "minimum",
  onnx: "Min",
  evaluate: Math.min,
  gradient: ({ a, b, grad }) => {
    const second = step(sub(a, b)); // 1 where a > b
    return [mul(grad, sub(1, second)), mul(grad, second)];
  },
});

interface Unary {
  readonly name: string;
  readonly onnx: string;
  readonly evaluate: (x: number) => number;
  readonly gradient?: (context: { x: Value; y: Value; grad: Value }) => Value;
}

function unary({ name, onnx, evaluate, gradient }: Unary): (x: Value) => Value {
  const op: OpDefinition<None> = {
    name,
    infer: ([x]) => [x],
    ...(gradient && { gradient: ({ inputs: [x], outputs: [y], grad }) => [gradient({ x, y, grad })] }),
    evaluate: ([x]) => [x.data.map(evaluate)],
    onnx: () => ({ type: onnx }),
  };
  return (x) => apply(op, [x], NONE);
}

export const neg = unary({
  name: "neg",
  onnx: "Neg",
  evaluate: (x) => -x,
  gradient: ({ grad }) => neg(grad),
});

export const exp = unary({
  name: "exp",
  onnx: "Exp",
  evaluate: Math.exp,
  gradient: ({ y, grad }) => mul(grad, y),
});

/** Natural logarithm. */
export const log = unary({
  name: "log",
  onnx: "Log",
  evaluate: Math.log,
  gradient: ({ x, grad }) => div(grad, x),
});

export const sqrt = unary({
  name: "sqrt",
  onnx: "Sqrt",
  evaluate: Math.sqrt,
  gradient: ({ y, grad }) => div(mul(grad, 0.5), y),
});

export const erf = unary({
  name: "erf",
  onnx: "Erf",
  evaluate: erf64,
  gradient: ({ x, grad }) => mul(grad, mul(2 / Math.sqrt(Math.PI), exp(neg(mul(x, x))))),
});

export const tanh = unary({
  name: "tanh",
  onnx: "Tanh",
  evaluate: Math.tanh,
  gradient: ({ y, grad }) => mul(grad, sub(1, mul(y, y))),
});

export const sigmoid = unary({
  name: "sigmoid",
  onnx: "Sigmoid",
  evaluate: (x) => 1 / (1 + Math.exp(-x)),
  gradient: ({ y, grad }) => mul(grad, mul(y, sub(1, y))),
});

export const relu = unary({
  name: "relu",
  onnx: "Relu",
  evaluate: (x) => Math.max(x, 0),
  gradient: ({ y, grad }) => mul(grad, step(y)),
});

/** z·Φ(z) with the exact error function: Gaussian error linear unit (Hendrycks and Gimpel 2016). */
export const gelu = unary({
  name: "gelu",
  onnx: "Gelu",
  evaluate: (x) => 0.5 * x * (1 + erf64(x * Math.SQRT1_2)),
  gradient: ({ x, grad }) => {
    const cdf = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
    const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return mul(grad, add(cdf, mul(x, density)));
  },
});

/** Absolute value; gradient 0 at 0. */
export const abs = unary({
  name: "abs",
  onnx: "Abs",
  evaluate: Math.abs,
  gradient: ({ x, grad }) => mul(grad, sub(step(x), step(neg(x)))),
});

const ceil = unary({ name: "ceil", onnx: "Ceil", evaluate: Math.ceil });

/** Times the smallest float32 that is not a subnormal (ONNX Runtime takes those for 0), more than 1. */
const STEEP = 1e38;

/** max(0, min(1, STEEP·x)): the step in one pass, in float32. */
const steepSigmoidOp: OpDefinition<None> = {
  name: "steepSigmoid",
  infer: ([x]) => [x],
  evaluate: ([x]) => [x.data.map((value) => Math.max(0, Math.min(1, STEEP * value)))],
  onnx: () => ({ type: "HardSigmoid", attributes: { alpha: { float: STEEP }, beta: { float: 0 } } }),
};

const stepOp: OpDefinition<None> = {
  name: "step",
  infer: ([x]) => [x],
  evaluate: ([x]) => [x.data.map((value) => (value > 0 ? 1 : 0))],
  // (Sign has no kernel on WebGPU, and is slow on the CPU.)
  lower: ([x], _, target) => [
    blockOf(target) !== undefined && x.dtype === "float32"
      ? apply(steepSigmoidOp, [x], NONE)
      : ceil(clip(x, 0, 1)),
  ],
};

/** 1 where x > 0, else 0. No gradient. */
export function step(x: Value): Value {
  return apply(stepOp, [x], NONE);
}

const clipOp: OpDefinition<{ low: number; high: number }> = {
  name: "clip",
  infer: ([x]) => [x],
  gradient: ({ inputs: [x], grad, attributes: { low, high } }) => [
    mul(grad, mul(sub(1, step(sub(low, x))), sub(1, step(sub(x, high))))),
  ],
  evaluate: ([x], { low, high }) => [x.data.map((value) => Math.min(Math.max(value, low), high))],
  onnx: ([x], { low, high }, writer) => ({
    type: "Clip",
    inputs: [writer.name(x), writer.scalar(low, x.dtype), writer.scalar(high, x.dtype)],
  }),
};

/** Limits x to [low, high]; the gradient passes inside, bounds included. */
export function clip(x: Value, low: number, high: number): Value {
  if (!(low <= high))
    throw new DeitError(`clip: low ${low} is above high ${high}`, { code: "graph/argument" });
  return apply(clipOp, [x], { low, high });
}

/** ONNX's numbers of the element types. */
export const ONNX_DTYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};

const bytesToFloatOp: OpDefinition<None> = {
  name: "bytesToFloat",
  infer: ([x]) => [{ dtype: "float32", shape: x.shape }],
  evaluate: ([x]) => [x.data],
  onnx: ([x, ...zero], _, writer) => ({
    type: "DequantizeLinear",
    inputs: [writer.name(x), writer.scalar(1), ...zero.map((value) => writer.name(value))],
  }),
};

/**
 * Bytes as the float32 numbers that they are. WebGPU's provider takes bytes in one operation, (x − zero) · scale, four at a
 * time where their number allows it. It holds the shaders of both ways for the same one, unless one has a zero of its own.
 */
function bytesToFloat(x: Value): Value {
  const zero = sizeOf(x.shape) % 4 === 0 ? [] : [constant(Uint8Array.of(0), [], "uint8")];
  return apply(bytesToFloatOp, [x, ...zero], NONE);
}

const castOp: OpDefinition<{ to: DType }> = {
  name: "cast",
  infer: ([x], { to }) => [{ dtype: to, shape: x.shape }],
  lower: ([x], { to }, target) =>
    x.dtype === "uint8" && target === "webgpu" ? [cast(bytesToFloat(x), to)] : undefined,
  gradient: ({ inputs: [x], grad }) => [x.dtype.startsWith("float") ? cast(grad, x.dtype) : undefined],
  evaluate: ([x], { to }) => [castData(x.data, to)],
  onnx: (_, { to }) => ({ type: "Cast", attributes: { to: ONNX_DTYPE[to] } }),
  // There and back again: nothing is lost on a detour through float32.
  simplify: ([x], { to }) => {
    const [before] = x.node.op === (castOp as OpDefinition<Attributes>) ? x.node.inputs : [];
    return x.dtype === "float32" && before?.dtype === "float16" && to === "float16" ? before : undefined;
  },
};

/** Converts to another element type; floats become integers by truncation, anything but 0 becomes true. */
export function cast(x: Value, to: DType): Value {
  return x.dtype === to ? x : apply(castOp, [x], { to });
}

function castData(data: Float64Array, to: DType): Float64Array {
  if (to === "bool") return data.map((x) => (x === 0 ? 0 : 1));
  if (to === "float16") return Float64Array.from(Float16Array.from(data));
  return to.startsWith("float") ? data : data.map(Math.trunc);
}

/** A float32 tensor of one number. */
export function full(shape: readonly number[], value: number): Value {
  return expand(scalar(value), shape);
}
