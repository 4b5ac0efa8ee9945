/**
 * An ONNX model with its numbers in float16: half the size, and faster where the hardware computes with halves. Inputs and
 * outputs stay float32, so that nobody who uses it has to know. Normalisations keep their sums in float32 by their own
 * definition (stash_type); runtimes without a half kernel for an operation compute that one in float32.
 */
import { CheckpointError } from "../errors.ts";
import type { NodeProto, TensorProto, ValueInfoProto } from "../graph/generated/onnx_pb.ts";
import type { OnnxEdit } from "./onnx-edit.ts";
import { attributeOf, closeOnnx, floatsOf, nodeOf, openOnnx, tensorOf, TYPE } from "./onnx-edit.ts";

/** The largest float16. */
const LARGEST = 65504;

/** Operations whose float input is not data: Resize reads its scales and region as float32. */
const KEPT_INPUTS: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2] };

/** @throws FormatError for bytes that are not a model; CheckpointError for weights beyond float16's range */
export function toFloat16(model: Uint8Array): Uint8Array {
  const edit = openOnnx(model);
  const { graph, constants } = edit;
  const kept = new Set(
    graph.node.flatMap(({ opType, input }) => (KEPT_INPUTS[opType] ?? []).map((i) => input[i] ?? "")),
  );
  for (const [name, tensor] of constants)
    if (tensor.dataType === TYPE.float32 && !kept.has(name)) constants.set(name, halved(tensor));
  const inputs = graph.input.filter((info) => isFloat(info) && !constants.has(info.name));
  const before = inputs.map(({ name }) => castInput(edit, name));
  for (const node of graph.node) retarget(node);
  const after = graph.output.filter(isFloat).map(({ name }) => castOutput(edit, name));
  graph.node = [...before, ...graph.node, ...after];
  return closeOnnx(edit);
}

function isFloat({ type }: ValueInfoProto): boolean {
  return type?.value.case === "tensorType" && type.value.value.elemType === TYPE.float32;
}

function halved(tensor: TensorProto): TensorProto {
  const values = floatsOf(tensor);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest > LARGEST && Number.isFinite(largest)) {
    throw new CheckpointError(`${tensor.name} has a value of ${largest}, beyond the ${LARGEST} of float16`, {
      code: "export/not-float16",
      hint: "Such a model stays in float32.",
    });
  }
  return tensorOf(tensor.name, Float16Array.from(values), tensor.dims.map(Number));
}

/** What read the input reads it as float16. */
function castInput({ graph, unique }: OnnxEdit, name: string): NodeProto {
  const half = unique(`${name}_float16`);
  for (const node of graph.node) node.input = node.input.map((input) => (input === name ? half : input));
  return nodeOf("Cast", { inputs: [name], outputs: [half], attributes: { to: TYPE.float16 } });
}

/** The output under its own name again, as float32. */
function castOutput({ graph, unique }: OnnxEdit, name: string): NodeProto {
  const half = unique(`${name}_float16`);
  for (const node of graph.node) {
    node.input = node.input.map((input) => (input === name ? half : input));
    node.output = node.output.map((output) => (output === name ? half : output));
  }
  return nodeOf("Cast", { inputs: [half], outputs: [name], attributes: { to: TYPE.float32 } });
}

/** Nodes that say a type themselves. */
function retarget(node: NodeProto): void {
  const to = node.opType === "Cast" ? attributeOf(node, "to") : undefined;
  if (to !== undefined && Number(to.i) === TYPE.float32) to.i = BigInt(TYPE.float16);
  const value = node.opType === "ConstantOfShape" ? attributeOf(node, "value") : undefined;
  if (value?.t?.dataType === TYPE.float32) value.t = halved(value.t);
}
