/**
 * Evaluation's preparation of images as part of an ONNX model: resized (antialiased), centre cut out, normalised.
 * Every image of a batch has the same size. ONNX Runtime's filter is Pillow's without its fixed-point
 * arithmetic: pixels differ by 1 of 255 at most.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Preprocessing } from "../augmentation/preprocessing.ts";
import { describePreprocessing, resizedSizeOf } from "../augmentation/preprocessing.ts";
import type { Interpolation } from "../augmentation/resize.ts";
import type { AttributeProto, NodeProto, TensorProto } from "../graph/generated/onnx_pb.ts";
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
} from "../graph/generated/onnx_pb.ts";
import { ConfigError, DeitError } from "../errors.ts";

/** What Resize can do of Pillow's filters. */
const FILTERS: Partial<Record<Interpolation, Readonly<Record<string, AttributeValue>>>> = {
  bicubic: { mode: "cubic", cubic_coeff_a: { float: -0.5 }, antialias: 1, exclude_outside: 1 }, // Pillow's
  bilinear: { mode: "linear", antialias: 1, exclude_outside: 1 },
  nearest: { mode: "nearest", nearest_mode: "round_prefer_ceil" },
};

const TYPES = { float32: 1, uint8: 2, int64: 7, bool: 9 } as const;
/** Name of the new input. */
const IMAGES = "images";

/** Images of so few pixels that have the model's size already are seen whole, as by evaluation. */
const SMALL = 32;

/** Products over the other sides: cut to whole numbers for square targets, else rounded half to even (transform.ts). */
function scaled([height, width]: readonly [number, number]): NodeProto[] {
  const [products, others, result] = ["image_products", "image_other_sides", "image_scaled"] as const;
  if (height === width) return [node("Div", [products, others], result)];
  return [
    node("Cast", [products], `${products}_float`, { to: TYPES.float32 }),
    node("Cast", [others], `${others}_float`, { to: TYPES.float32 }),
    node("Div", [`${products}_float`, `${others}_float`], `${result}_float`),
    node("Round", [`${result}_float`], `${result}_rounded`),
    node("Cast", [`${result}_rounded`], result, { to: TYPES.int64 }),
  ];
}

/** `image_covering`: the sides of an image that has the size already, `image_larger` for others. */
function keptWhole(size: string): NodeProto[] {
  return [
    node("Equal", ["image_sides", size], "image_same_sides"),
    node("Cast", ["image_same_sides"], "image_same_numbers", { to: TYPES.int64 }),
    node("ReduceMin", ["image_same_numbers"], "image_same_number", { keepdims: 1 }),
    node("Cast", ["image_same_number"], "image_same", { to: TYPES.bool }),
    node("Where", ["image_same", size, "image_larger"], "image_covering"),
  ];
}

/**
 * The model with input `images`, uint8 [batch, height, width, 3], RGB, in place of its own.
 * @throws ConfigError for preprocessing that ONNX's operators cannot do
 */
export function withPreprocessing(model: Uint8Array, preprocessing: Preprocessing): Uint8Array {
  const { inputSize, resize, interpolation, mean, std, smallWhole } = preprocessing;
  const target = resizedSizeOf(preprocessing);
  const filter = FILTERS[interpolation];
  const isCovered = target.every((length, i) => length >= (inputSize[i] ?? 0));
  if (filter === undefined || !isCovered || resize === "longer-side" || resize === "none") {
    throw new ConfigError(
      "preprocessing",
      `images are prepared in a way that ONNX's operators do not have: ${describePreprocessing(preprocessing)}`,
      {
        code: "export/no-counterpart",
        hint: "Export without --preprocessing, and prepare images before the model.",
      },
    );
  }
  const proto = fromBinary(ModelProtoSchema, model);
  const { graph } = proto;
  const input = graph?.input[0];
  if (graph === undefined || input?.type?.value.case !== "tensorType")
    throw new DeitError("a model without an input takes no images", { code: "export/no-counterpart" });
  const constants: TensorProto[] = [];
  const int64 = (name: string, values: readonly number[]): string => {
    const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    constants.push(
      create(TensorProtoSchema, { name, dims: [BigInt(values.length)], dataType: TYPES.int64, rawData }),
    );
    return name;
  };
  const float32 = (name: string, values: readonly number[], dims: readonly number[]): string => {
    const rawData = new Uint8Array(Float32Array.from(values).buffer);
    constants.push(
      create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: TYPES.float32, rawData }),
    );
    return name;
  };
  const small = smallWhole && Math.max(...inputSize) <= SMALL;
  const covering = small ? "image_larger" : "image_covering";
  const channels = [1, 3, 1, 1];
  const size = int64("image_size", inputSize);
  const steps: NodeProto[] = [
    node("Cast", [IMAGES], "image_floats", { to: TYPES.float32 }),
    node("Transpose", ["image_floats"], "image_planes", { perm: [0, 3, 1, 2] }),
    node("Shape", ["image_planes"], "image_sides", { start: 2, end: 4 }),
    ...(resize === "squash"
      ? [node("Identity", [int64("image_target", target)], covering)]
      : [
          // The smallest size of the same proportions that covers the target: max(target, sides · other target / other side).
          node("Gather", ["image_sides", int64("image_others", [1, 0])], "image_other_sides", {
            axis: 0,
          }),
          node("Mul", ["image_sides", int64("image_other_target", target.toReversed())], "image_products"),
          ...scaled(target),
          node("Max", ["image_scaled", int64("image_target", target)], covering),
        ]),
    ...(small ? keptWhole(size) : []),
    node("Resize", ["image_planes", "", "", "image_covering"], "image_resized", {
      ...filter,
      axes: [2, 3],
    }),
    node("Round", ["image_resized"], "image_rounded"),
    node(
      "Clip",
      ["image_rounded", float32("image_low", [0], []), float32("image_high", [255], [])],
      "image_bytes",
    ),
    node("Shape", ["image_bytes"], "image_shape", { start: 2, end: 4 }),
    node("Sub", ["image_shape", size], "image_margin"),
    node("Cast", ["image_margin"], "image_margin_float", { to: TYPES.float32 }),
    node("Mul", ["image_margin_float", float32("image_half", [0.5], [])], "image_offset_float"),
    node("Round", ["image_offset_float"], "image_offset_rounded"), // half to even, as torchvision
    node("Cast", ["image_offset_rounded"], "image_start", { to: TYPES.int64 }),
    node("Add", ["image_start", size], "image_end"),
    node("Slice", ["image_bytes", "image_start", "image_end", int64("image_axes", [2, 3])], "image_cropped"),
    node(
      "Sub",
      [
        "image_cropped",
        float32(
          "image_mean",
          mean.map((m) => 255 * m),
          channels,
        ),
      ],
      "image_centred",
    ),
    node(
      "Div",
      [
        "image_centred",
        float32(
          "image_std",
          std.map((s) => 255 * s),
          channels,
        ),
      ],
      input.name,
    ),
  ];
  graph.node = [...steps, ...graph.node];
  graph.initializer = [...constants, ...graph.initializer];
  const tensor = input.type.value.value;
  const [batch] = tensor.shape?.dim ?? [];
  input.name = IMAGES;
  tensor.elemType = TYPES.uint8;
  if (tensor.shape !== undefined && batch !== undefined) {
    const dims = [
      { case: "dimParam", value: "height" },
      { case: "dimParam", value: "width" },
      { case: "dimValue", value: 3n },
    ] as const;
    tensor.shape.dim = [batch, ...dims.map((value) => create(TensorShapeProto_DimensionSchema, { value }))];
  }
  return toBinary(ModelProtoSchema, proto);
}

type AttributeValue = number | string | readonly number[] | { readonly float: number };

function node(
  opType: string,
  inputs: string[],
  output: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name: output,
    input: inputs,
    output: [output],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: 3, s: new TextEncoder().encode(value) });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: 1, f: value.float });
  return create(AttributeProtoSchema, { name, type: 7, ints: value.map(BigInt) });
}
