/**
 * What an ONNX file of any maker costs: its parameters, from its constants, and its multiply-accumulates, counted as those
 * of the registered models are (convolutions and matrix products, both of attention included). Shapes come from a run, so
 * files without any are counted, too. Node only.
 */
import type { InferenceSession as Session } from "onnxruntime-node";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { create } from "@bufbuild/protobuf";
import type { NodeProto, TensorProto } from "../../graph/generated/onnx_pb.ts";
import { ValueInfoProtoSchema } from "../../graph/generated/onnx_pb.ts";
import { sizeOf } from "../../graph/shape.ts";
import type { OnnxEdit } from "../../interop/onnx-edit.ts";
import { attributeOf, closeOnnx, openOnnx, TYPE } from "../../interop/onnx-edit.ts";
import type { OnnxModel } from "./third-party-model.ts";

export interface OnnxCost {
  readonly parameters: number;
  /** Of one image; null where an operation does work that is not counted, or the file cannot be run so. */
  readonly macs: number | null;
}

type Shape = readonly number[];
type ShapeOf = (name: string | undefined) => Shape;

/** float64, bfloat16. */
const OTHER_FLOATS: readonly number[] = [11, 16];
const WEIGHTS: readonly number[] = [TYPE.float32, TYPE.float16, TYPE.int8, TYPE.uint8, ...OTHER_FLOATS];

/** Operands that are not parameters: running statistics, scales and zero points, sizes. */
const NO_PARAMETERS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  QuantizeLinear: [1, 2],
  DequantizeLinear: [1, 2],
  MatMulInteger: [2, 3],
  ConvInteger: [2, 3],
  MatMulIntegerToFloat: [2, 3, 4, 5],
  DynamicQuantizeMatMul: [2, 3],
  QLinearConv: [1, 2, 4, 5, 6, 7],
  QLinearMatMul: [1, 2, 4, 5, 6, 7],
  Resize: [1, 2, 3],
  Upsample: [1],
};

/** Multiply-accumulates of an operation, from the shapes of its operands and of its result. */
type Rule = (node: NodeProto, shape: ShapeOf) => number;

/** Every element of the result sums over one window of the kernel. */
const convolution =
  (weight: number): Rule =>
  ({ input, output }, shape) =>
    sizeOf(shape(output[0])) * sizeOf(shape(input[weight]).slice(1));

const product: Rule = (node, shape) => {
  const rows = shape(node.input[0]);
  const transposed = attributeOf(node, "transA")?.i === 1n;
  return sizeOf(shape(node.output[0])) * (rows.at(transposed ? -2 : -1) ?? 0);
};

const RULES: Readonly<Record<string, Rule>> = {
  Conv: convolution(1),
  FusedConv: convolution(1),
  ConvInteger: convolution(1),
  QLinearConv: convolution(3),
  ConvTranspose: ({ input }, shape) => sizeOf(shape(input[0])) * sizeOf(shape(input[1]).slice(1)),
  Gemm: product,
  MatMul: product,
  FusedMatMul: product,
  MatMulInteger: product,
  MatMulIntegerToFloat: product,
  DynamicQuantizeMatMul: product,
  QLinearMatMul: product,
};

/** Operations with products inside that no rule counts. */
const UNCOUNTED = /^(?:Q?Attention|.*Attention|Einsum|LSTM|GRU|RNN|DeformConv|MatMulNBits|Loop|If|Scan)$/;
const DOMAINS: readonly string[] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

/** Parameters and multiply-accumulates of a classifier. */
export async function onnxCost(model: OnnxModel): Promise<OnnxCost> {
  const edit = openOnnx(model.onnx.model);
  return { parameters: countParameters(edit), macs: await countMacs(edit, model) };
}

function countParameters({ graph, constants }: OnnxEdit): number {
  const used = new Set(
    graph.node.flatMap(({ opType, input }) =>
      input.filter((_, i) => !(NO_PARAMETERS[opType] ?? []).includes(i)),
    ),
  );
  return [...constants.values()]
    .filter(({ name, dims, dataType }) => used.has(name) && dims.length > 0 && WEIGHTS.includes(dataType))
    .reduce((total, tensor) => total + sizeOf(shapeOf(tensor)), 0);
}

function shapeOf({ dims }: TensorProto): number[] {
  return dims.map(Number);
}

async function countMacs(edit: OnnxEdit, model: OnnxModel): Promise<number | null> {
  const { graph, constants } = edit;
  if (graph.node.some(({ opType, domain }) => UNCOUNTED.test(opType) || !DOMAINS.includes(domain)))
    return null;
  const counted = graph.node.filter(({ opType }) => opType in RULES);
  const shapes = new Map<string, Shape>([...constants].map(([name, tensor]) => [name, shapeOf(tensor)]));
  const wanted = new Set(counted.flatMap(({ input, output }) => [...input, ...output]));
  const there = new Set([...graph.input, ...graph.output].map(({ name }) => name));
  const asked = [...wanted].filter((name) => name !== "" && !shapes.has(name) && !there.has(name));
  graph.output.push(...asked.map((name) => create(ValueInfoProtoSchema, { name })));
  const images = imagesFor(model);
  const results = await runOnce(closeOnnx(edit), { [model.onnx.input.name]: images });
  if (results === undefined) return null;
  for (const [name, { dims }] of Object.entries({ ...results, [model.onnx.input.name]: images }))
    shapes.set(name, dims);
  const ofNode = (node: NodeProto): number =>
    RULES[node.opType]?.(node, (name) => shapes.get(name ?? "") ?? [0]) ?? 0;
  const total = counted.reduce((sum, node) => sum + ofNode(node), 0);
  return total / (model.onnx.input.batch ?? 1);
}

/** Black images, as many as the file wants. */
function imagesFor({ onnx: { input }, inputSize: [height, width] }: OnnxModel): Tensor {
  const batch = input.batch ?? 1;
  const shape = input.layout === "NCHW" ? [batch, 3, height, width] : [batch, height, width, 3];
  return new Tensor("float32", new Float32Array(sizeOf(shape)), shape);
}

async function runOnce(model: Uint8Array, feeds: Session.FeedsType): Promise<Session.ReturnType | undefined> {
  try {
    const session = await InferenceSession.create(model, {
      executionProviders: ["cpu"],
      graphOptimizationLevel: "basic",
      logSeverityLevel: 4,
    });
    try {
      return await session.run(feeds);
    } finally {
      await session.release();
    }
  } catch {
    return undefined; // an operation of another device, say: the file may work there
  }
}
