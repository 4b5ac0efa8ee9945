/** A lowered graph as an ONNX model: nodes, initialisers and typed inputs and outputs, as protobuf bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import { DeitError } from "../errors.ts";
import type { AttributeProto, NodeProto, TensorProto, ValueInfoProto } from "./generated/onnx_pb.ts";
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from "./generated/onnx_pb.ts";
import type { ConstantData, DType, OnnxNode, OnnxWriter, TensorType, Value } from "./graph.ts";
import { at, constantData, inputName, isInput, operands, toFloat64, topologicalOrder } from "./graph.ts";
import { BLOCKED_DOMAIN } from "./ops/blocked.ts";
import { CHAIN_DOMAIN } from "./ops/chain.ts";
import { ONNX_DTYPE } from "./ops/elementwise.ts";
import type { Shape } from "./shape.ts";

/**
 * Version of the operators: 18 has all but Gelu, which came with 20. A provider's kernel that names no last version fits its first one
 * alone: ONNX Runtime's CUDA provider had such for Pad, Equal and ReduceMax up to 18, and none for what 19 and 20 made of them.
 */
const [OPSET, OPSET_WITH_GELU] = [18, 20];
const IR_VERSION = 9n;
const LARGEST_FLOAT16 = 65504;
/** AttributeProto.AttributeType */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

export interface OnnxModelOptions {
  /** Output values by name; lowered already. */
  readonly outputs: Readonly<Record<string, Value>>;
  readonly name: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Writes the model. Inputs are those that the outputs depend on, under their own names. */
export function onnxModel({ outputs, name, metadata = {} }: OnnxModelOptions): Uint8Array {
  const order = topologicalOrder(Object.values(outputs));
  const names = new Map<Value, string>();
  const used = new Set<Value>(Object.values(outputs));
  for (const node of order) for (const value of node.inputs) used.add(value);

  const initializers = new Map<string, TensorProto>();
  const int64 = (values: readonly number[] | number): string => {
    const list = typeof values === "number" ? [values] : values;
    const key = `int64${typeof values === "number" ? "" : "s"}_${list.join("_") || "none"}`.replaceAll(
      "-",
      "m",
    );
    const data = BigInt64Array.from(list, BigInt);
    initializers.set(key, tensorProto(key, data, typeof values === "number" ? [] : [list.length], "int64"));
    return key;
  };
  const scalar = (value: number, dtype: DType = "float32"): string => {
    const half = dtype === "float16";
    const key = `${half ? "half" : "float"}_${value}`;
    const held = half ? Math.min(Math.max(value, -LARGEST_FLOAT16), LARGEST_FLOAT16) : value;
    initializers.set(key, tensorProto(key, Float32Array.of(held), [], half ? "float16" : "float32"));
    return key;
  };
  const nameOf = (value: Value): string => names.get(value) ?? unnamed(value);
  const writer: OnnxWriter = { name: nameOf, int64, scalar };

  const nodes: NodeProto[] = [];
  const inputs: ValueInfoProto[] = [];
  for (const node of order) {
    const first = at(node.outputs, 0);
    const data = constantData(first);
    if (isInput(node)) {
      names.set(first, inputName(node));
      inputs.push(valueInfo(inputName(node), first));
    } else if (data !== undefined) {
      const key = `constant_${initializers.size}`;
      names.set(first, key);
      initializers.set(key, tensorProto(key, data, first.shape, first.dtype));
    } else {
      if (node.op.onnx === undefined)
        throw new DeitError(`${node.op.name} was not lowered: it has no ONNX form`, {
          code: "graph/no-form",
        });
      const label = `${node.op.name}_${nodes.length}`;
      // Only what is there for the gradient to reuse may be left out: a Split that lacks an output crashes.
      const { differentiableOutputs: needed = node.outputs.length } = node.op;
      for (const [i, value] of node.outputs.entries()) {
        if (i < needed || used.has(value)) names.set(value, i === 0 ? label : `${label}.${i}`);
      }
      nodes.push(
        nodeProto(node.op.onnx(operands(node.inputs), node.attributes, writer), {
          name: node.scope === "" ? label : `${node.scope}/${label}`,
          inputs: node.inputs.map(nameOf),
          outputs: trimmed(node.outputs.map((value) => names.get(value) ?? "")),
        }),
      );
    }
  }

  // An output is a copy under its public name, unless its node's own output can carry that name.
  const results: ValueInfoProto[] = [];
  const renamed = new Map<string, string>();
  for (const [publicName, value] of Object.entries(outputs)) {
    const inner = nameOf(value);
    const leaf = isInput(value.node) || constantData(value) !== undefined;
    if (leaf || renamed.has(inner)) {
      nodes.push(
        create(NodeProtoSchema, {
          opType: "Identity",
          name: `output_${publicName}`,
          input: [renamed.get(inner) ?? inner],
          output: [publicName],
        }),
      );
    } else {
      renamed.set(inner, publicName);
    }
    results.push(valueInfo(publicName, value));
  }
  for (const node of nodes) {
    node.input = node.input.map((input) => renamed.get(input) ?? input);
    node.output = node.output.map((result) => renamed.get(result) ?? result);
  }

  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "deit-ts",
    opsetImport: [
      {
        domain: "",
        version: BigInt(nodes.some(({ opType }) => opType === "Gelu") ? OPSET_WITH_GELU : OPSET),
      },
      { domain: "com.microsoft", version: 1n },
      // Plain models must not ask for what only the CPU's own programs use.
      ...[BLOCKED_DOMAIN, CHAIN_DOMAIN]
        .filter((own) => nodes.some(({ domain }) => domain === own))
        .map((domain) => ({ domain, version: 1n })),
    ],
    graph: { name, node: nodes, initializer: [...initializers.values()], input: inputs, output: results },
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, model);
}

function unnamed(value: Value): never {
  throw new Error(`output ${value.index} of ${value.node.op.name} was used before it was written`);
}

/** Optional outputs at the end are left out. */
function trimmed(names: readonly string[]): string[] {
  return names.slice(0, names.findLastIndex((name) => name !== "") + 1);
}

function nodeProto(
  { type, domain = "", inputs, attributes = {} }: OnnxNode,
  node: { name: string; inputs: readonly string[]; outputs: string[] },
): NodeProto {
  return create(NodeProtoSchema, {
    opType: type,
    domain,
    name: node.name,
    input: [...(inputs ?? node.inputs)],
    output: node.outputs,
    attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
  });
}

function attributeProto(name: string, value: NonNullable<OnnxNode["attributes"]>[string]): AttributeProto {
  if (typeof value === "number")
    return create(AttributeProtoSchema, { name, type: ATTRIBUTE.int, i: BigInt(value) });
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: ATTRIBUTE.string, s: new TextEncoder().encode(value) });
  }
  if ("float" in value) return create(AttributeProtoSchema, { name, type: ATTRIBUTE.float, f: value.float });
  return create(AttributeProtoSchema, { name, type: ATTRIBUTE.ints, ints: value.map(BigInt) });
}

function tensorProto(name: string, data: ConstantData, shape: Shape, dtype: DType): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: ONNX_DTYPE[dtype],
    rawData: rawBytes(data, dtype),
  });
}

/** Little-endian bytes of a constant in its element type; no copy when it is held in that type already. */
function rawBytes(data: ConstantData, dtype: DType): Uint8Array {
  const typed = {
    float32: () => (data instanceof Float32Array ? data : new Float32Array(toFloat64(data))),
    float16: () => Float16Array.from(data as ArrayLike<number>, Number),
    int32: () => (data instanceof Int32Array ? data : Int32Array.from(data as ArrayLike<number>, Number)),
    int64: () =>
      data instanceof BigInt64Array ? data : BigInt64Array.from(data as ArrayLike<number>, BigInt),
    bool: () => Uint8Array.from(data as ArrayLike<number>, Number),
    uint8: () => Uint8Array.from(data as ArrayLike<number>, Number),
  }[dtype]();
  return new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength);
}

export function valueInfo(name: string, { dtype, shape }: TensorType): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: "tensorType",
        value: {
          elemType: ONNX_DTYPE[dtype],
          shape: {
            dim: shape.map((dim) =>
              create(TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: BigInt(dim) } }),
            ),
          },
        },
      },
    },
  });
}
