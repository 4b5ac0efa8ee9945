/**
 * Checks of a program and its feeds before anything is sent to a device, so that a mistake is named in the
 * caller's words (program, input, dtype, shape) and not in ONNX Runtime's.
 */

import { DeitError } from "../errors.ts";
import type { DType, Program, ProgramFacts, TensorType } from "../graph/program.ts";
import type { TensorData } from "./runtime.ts";

const arrayOf: Readonly<Record<DType, string>> = {
  float32: "Float32Array",
  float16: "Uint16Array",
  int64: "BigInt64Array",
  int32: "Int32Array",
  bool: "Uint8Array",
  uint8: "Uint8Array",
};

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** Zeroed host memory for a tensor. */
export function allocate({ dtype, shape }: TensorType): TensorData {
  const length = elementCount(shape);
  switch (dtype) {
    case "float32":
      return new Float32Array(length);
    case "float16":
      return new Uint16Array(length);
    case "int64":
      return new BigInt64Array(length);
    case "int32":
      return new Int32Array(length);
    case "bool":
    case "uint8":
      return new Uint8Array(length);
  }
}

/** Throws when `program.state` is not what runtimes keep: float32 inputs, replaced by outputs of the same shape. */
export function checkProgram(program: Program): void {
  for (const [name, next] of Object.entries(program.state)) {
    const input = program.inputs[name];
    if (input === undefined)
      throw new DeitError(`program "${program.name}": state "${name}" is not among its inputs`, {
        code: "program/state",
      });
    if (input.dtype !== "float32") {
      throw new DeitError(
        `program "${program.name}": state "${name}" is ${input.dtype}; state vectors are float32`,
        { code: "program/state" },
      );
    }
    if (next === null) continue;
    const output = program.outputs[next];
    if (output === undefined) {
      throw new DeitError(
        `program "${program.name}": "${next}", which should replace state "${name}", is not among its outputs`,
        { code: "program/state" },
      );
    }
    if (output.dtype !== "float32" || elementCount(output.shape) !== elementCount(input.shape)) {
      throw new DeitError(
        `program "${program.name}": output "${next}" is ${describe(output)} and cannot replace state "${name}", ${describe(input)}`,
        { code: "program/state" },
      );
    }
  }
}

/** Throws when feeds are missing, unexpected, of a wrong type or length. */
export function checkFeeds(program: ProgramFacts, feeds: Readonly<Record<string, TensorData>>): void {
  for (const [name, type] of Object.entries(program.inputs)) {
    if (Object.hasOwn(program.state, name)) continue;
    const data = Object.hasOwn(feeds, name) ? feeds[name] : undefined;
    if (data === undefined) {
      throw new DeitError(
        `program "${program.name}": input "${name}" is missing; expected ${describe(type)}`,
        { code: "program/feeds" },
      );
    }
    const given = data.constructor.name;
    if (given !== arrayOf[type.dtype]) {
      throw new DeitError(
        `program "${program.name}": input "${name}" is ${describe(type)} and takes a ${arrayOf[type.dtype]}; got a ${given}`,
        { code: "program/feeds" },
      );
    }
    if (data.length !== elementCount(type.shape)) {
      throw new DeitError(
        `program "${program.name}": input "${name}" is ${describe(type)}, ${elementCount(type.shape)} elements; got ${data.length}`,
        { code: "program/feeds" },
      );
    }
  }
  for (const name of Object.keys(feeds)) {
    if (Object.hasOwn(program.state, name)) {
      throw new DeitError(`program "${program.name}": "${name}" is state of the runtime and cannot be fed`, {
        code: "program/state",
        hint: `Set it with setState("${name}", …) before the run.`,
      });
    }
    if (!Object.hasOwn(program.inputs, name)) {
      const inputs = Object.keys(program.inputs).filter((input) => !Object.hasOwn(program.state, input));
      throw new DeitError(
        `program "${program.name}" has no input "${name}"; its inputs are ${inputs.join(", ") || "none"}`,
        { code: "program/feeds" },
      );
    }
  }
}

/** Throws when a state vector is missing or does not have the length that the program wants. */
export function checkState(program: Program, name: string, length: number | undefined): void {
  const type = program.inputs[name];
  if (type === undefined)
    throw new DeitError(`program "${program.name}" has no input "${name}"`, { code: "program/feeds" });
  if (length === undefined) {
    throw new DeitError(
      `program "${program.name}" needs the state vector "${name}" (${describe(type)}), which is not set`,
      { code: "program/state", hint: `Call setState("${name}", …) before the run.` },
    );
  }
  if (length !== elementCount(type.shape)) {
    throw new DeitError(
      `program "${program.name}": state "${name}" has ${length} elements; the program expects ${describe(type)}, ${elementCount(type.shape)} elements`,
      { code: "program/state" },
    );
  }
}

function describe({ dtype, shape }: TensorType): string {
  return `${dtype} [${shape.join(", ")}]`;
}
