/**
 * Scraps of ONNX that the runtime itself needs, written by hand because they are a dozen fields and the runtime
 * knows nothing else of the format: models that copy a vector of any length, that try float16 on it, and that try
 * blocked convolutions, and a prefix that gives a model one more, leading output. Field numbers are those of onnx.proto.
 */

export type Bytes = readonly number[];

const utf8 = new TextEncoder();
// Lengths take one byte, or two from 128 on; every other number here is small.
const length = (content: Bytes): Bytes =>
  content.length < 128 ? [content.length] : [(content.length & 127) | 128, content.length >> 7];
export const bytes = (field: number, content: Bytes): Bytes => [
  field * 8 + 2,
  ...length(content),
  ...content,
];
export const text = (field: number, content: string): Bytes => bytes(field, [...utf8.encode(content)]);
export const varint = (field: number, value: number): Bytes => [field * 8, value];

const FLOAT = 1;
// ValueInfoProto{name, TypeProto{tensor_type{float, [symbolic dimension]}}}
const vector = (name: string): Bytes => [
  ...text(1, name),
  ...bytes(2, bytes(1, [...varint(1, FLOAT), ...bytes(2, bytes(1, text(2, "length")))])),
];

/** ONNX model: y = x for float32 vectors of any length. */
export const identityModel: Uint8Array = Uint8Array.from([
  ...varint(1, 8), // ir_version
  ...bytes(8, varint(2, 17)), // opset_import
  ...bytes(7, [
    ...bytes(1, [...text(1, "x"), ...text(2, "y"), ...text(4, "Identity")]),
    ...text(2, "identity"),
    ...bytes(11, vector("x")),
    ...bytes(12, vector("y")),
  ]),
]);

const FLOAT16 = 10;
const cast = (from: string, to: string, type: number): Bytes =>
  bytes(1, [
    ...text(1, from),
    ...text(2, to),
    ...text(4, "Cast"),
    // AttributeProto{name, i, type = INT}; field 20 is the one number here that takes two bytes.
    ...bytes(5, [...text(1, "to"), ...varint(3, type), 0xa0, 0x01, 2]),
  ]);

/** ONNX model: y = −x for float32 vectors, computed in float16. */
export const float16Model: Uint8Array = Uint8Array.from([
  ...varint(1, 8),
  ...bytes(8, varint(2, 17)),
  ...bytes(7, [
    ...cast("x", "half", FLOAT16),
    ...bytes(1, [...text(1, "half"), ...text(2, "negative"), ...text(4, "Neg")]),
    ...cast("negative", "y", FLOAT),
    ...text(2, "float16"),
    ...bytes(11, vector("x")),
    ...bytes(12, vector("y")),
  ]),
]);

const BLOCKED = "com.microsoft.nchwc";
const blockedNode = (type: string, inputs: readonly string[], output: string): Bytes =>
  bytes(1, [
    ...inputs.flatMap((input) => text(1, input)),
    ...text(2, output),
    ...text(4, type),
    ...text(7, BLOCKED),
  ]);
/** A float32 tensor by its name and shape. */
export const shaped = (name: string, shape: Bytes): Bytes => [
  ...text(1, name),
  ...bytes(
    2,
    bytes(1, [
      ...varint(1, FLOAT),
      ...bytes(
        2,
        shape.flatMap((dim) => bytes(1, varint(1, dim))),
      ),
    ]),
  ),
];

/**
 * ONNX model: images x [1, 16, 1, 2] as ONNX Runtime's CPU lays channels in blocks, and y, their convolution with a
 * filter [16, 16, 1, 1], laid in the same way.
 */
export const blockedModel: Uint8Array = Uint8Array.from([
  ...varint(1, 8),
  ...bytes(8, varint(2, 17)),
  ...bytes(8, [...text(1, BLOCKED), ...varint(2, 1)]),
  ...bytes(7, [
    ...blockedNode("ReorderInput", ["x"], "blocks"),
    ...blockedNode("Conv", ["blocks", "filter"], "y"),
    ...text(2, "blocked"),
    ...bytes(11, shaped("x", [1, 16, 1, 2])),
    ...bytes(11, shaped("filter", [16, 16, 1, 1])),
    ...bytes(12, shaped("blocks", [1, 16, 1, 2])),
    ...bytes(12, shaped("y", [1, 16, 1, 2])),
  ]),
]);

/** Name of the output that `withLeadingSequence` adds. */
export const leadingSequence = "__sequence";

/**
 * The same model with a first output that is an empty sequence. Concatenated protobuf messages are merged, so the
 * model's own bytes follow untouched.
 */
export function withLeadingSequence(model: Uint8Array): Uint8Array<ArrayBuffer> {
  const prefix = bytes(7, [
    ...bytes(1, [...text(2, leadingSequence), ...text(4, "SequenceEmpty")]),
    ...bytes(12, [...text(1, leadingSequence), ...bytes(2, bytes(4, bytes(1, bytes(1, varint(1, FLOAT)))))]),
  ]);
  const merged = new Uint8Array(prefix.length + model.length);
  merged.set(prefix);
  merged.set(model, prefix.length);
  return merged;
}
