/**
 * `deit-ts/graph`: describe a computation over symbolic values, differentiate it, compile it to an ONNX program. For anything
 * that is trained, images or not. Runs in browsers as well as in Node; in Node it has `createRuntime`, too, which runs programs.
 */

// Values and operations.
export * as ops from "./graph/ops.ts";
export { constant, input, scalar } from "./graph/graph.ts";
export type { ConstantData, DType, Operand, Target, TensorType, Value } from "./graph/graph.ts";
export type { Shape } from "./graph/shape.ts";

// Gradients and programs.
export { gradient } from "./graph/gradient.ts";
export type { GradientOptions } from "./graph/gradient.ts";
export { optimizeOutputs } from "./graph/passes/forward.ts";
export { compile } from "./graph/program.ts";
export type { CompileOptions, Program, ProgramFacts } from "./graph/program.ts";
export type { Precision } from "./graph/precision.ts";

// The reference: values computed one by one in float64.
export { evaluate as interpret } from "./graph/interpreter.ts";

// What runs a program.
export type {
  DeviceName,
  Executable,
  LoadOptions,
  Runtime,
  RuntimeOptions,
  TensorData,
} from "./runtime/runtime.ts";

export { createRandom } from "./random.ts";
export type { Random } from "./random.ts";
export { DeitError, DeviceError, ShapeError } from "./errors.ts";
export type { ErrorCode } from "./error-codes.ts";

// Parts that analyses and benchmarks use.
export { GRADIENT_SCOPE } from "./graph/gradient.ts";
export { dimAt } from "./graph/shape.ts";
