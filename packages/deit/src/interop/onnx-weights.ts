/**
 * The weights of an ONNX file as those of any other: named as its model names them (onnx-names.ts, onnx-own-names.ts), read
 * when asked for, from the file or from the one beside it that PyTorch puts them into. Node only.
 */
import { readFile } from "node:fs/promises";
import { DataError, FormatError } from "../errors.ts";
import type { FloatTensor, Tensor, TensorDType } from "../formats/safetensors.ts";
import { toFloat32 } from "../formats/safetensors.ts";
import { DTYPE_BYTES } from "../formats/safetensors-header.ts";
import type { TensorFile } from "../formats/tensor-source.ts";
import type { TensorProto } from "../graph/generated/onnx_pb.ts";
import type { OnnxEdit } from "./onnx-edit.ts";
import { openOnnx } from "./onnx-edit.ts";
import { externalBytes, isExternal } from "./onnx-external.ts";
import { dimsOf, exportedWeights } from "./onnx-names.ts";
import type { NamedWeight } from "./onnx-names.ts";
import { FOLDED_NOTE, isOurs, ownWeights } from "./onnx-own-names.ts";

/** TensorProto.DataType */
const DTYPES: Readonly<Record<number, TensorDType>> = { 1: "F32", 10: "F16", 11: "F64", 16: "BF16" };
const INTEGER_PRODUCT =
  /^(?:MatMulInteger|DynamicQuantizeLinear|DequantizeLinear|QLinear|ConvInteger|MatMulNBits)/;

/** @throws DataError when it cannot be read; FormatError for what is not an ONNX file, or holds integers */
export async function openOnnxWeights(path: string): Promise<TensorFile> {
  const edit = await openFile(path);
  const whole = edit.graph.node.find(({ opType }) => INTEGER_PRODUCT.test(opType));
  if (whole !== undefined) {
    throw new FormatError(path, `is quantized (${whole.opType}): its weights are rounded to integers`, {
      code: "checkpoint/unsupported",
      hint: "Give the file in float32 that it was made from; transformers.js calls it onnx/model.onnx.",
    });
  }
  const ours = isOurs(edit);
  const weights = ours ? ownWeights(edit, path) : exportedWeights(edit, path);
  if (weights.size === 0) {
    throw new FormatError(path, "has no constants that are named as a model's tensors", {
      code: "onnx/no-named-weights",
      hint: "It will do for eval, predict and --teacher-path. To go on training, give the weights that it was made from.",
    });
  }
  const find = (name: string): NamedWeight => {
    const weight = weights.get(name);
    if (weight !== undefined) return weight;
    throw new FormatError(path, `has no tensor ${JSON.stringify(name)}`, { code: "checkpoint/no-tensor" });
  };
  const read = async (name: string): Promise<Tensor> => readWeight(find(name), { path, name });
  const close = async (): Promise<void> => {};
  return {
    path,
    metadata: Object.fromEntries(edit.model.metadataProps.map(({ key, value }) => [key, value])),
    tensors: new Map(
      [...weights].map(([name, { shape, parts }]) => [name, { shape, dtype: dtypeOf(parts) }]),
    ),
    notes: ours ? [FOLDED_NOTE] : [],
    read,
    async readFloat32(name): Promise<FloatTensor> {
      const tensor = await read(name);
      return { shape: tensor.shape, data: toFloat32(tensor) };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function openFile(path: string): Promise<OnnxEdit> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(path, `cannot open ${path}: ${reason}`, {
      code: "checkpoint/unreadable",
      hint: "Check the path and its permissions.",
      cause,
    });
  }
  try {
    return openOnnx(bytes, { external: true });
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError(path, "is not an ONNX model, or only a part of one", {
      code: "onnx/damaged",
      ...(cause.hint !== undefined && { hint: cause.hint }),
      cause,
    });
  }
}

function dtypeOf(parts: NamedWeight["parts"]): TensorDType {
  for (const part of parts) if ("dataType" in part) return DTYPES[part.dataType] ?? "F32";
  return "F32";
}

async function readWeight(
  { shape, parts, transposed }: NamedWeight,
  at: { path: string; name: string },
): Promise<Tensor> {
  const dtype = dtypeOf(parts);
  const width = DTYPE_BYTES[dtype];
  const pieces: Uint8Array[] = [];
  for (const part of parts) pieces.push("dataType" in part ? await valuesOf(part, at) : filled(part, dtype));
  const data = Buffer.concat(pieces);
  const [rows = 0, columns = 0] = shape;
  return { dtype, shape, data: transposed === true ? transpose(data, { rows, columns, width }) : data };
}

/** One number throughout. Beside constants it is 0, whose bytes are the same in every type; without any the type is float32. */
function filled({ fill, length }: { fill: number; length: number }, dtype: TensorDType): Uint8Array {
  if (fill === 0) return new Uint8Array(length * DTYPE_BYTES[dtype]);
  return new Uint8Array(new Float32Array(length).fill(fill).buffer);
}

/** [columns, rows] as it is stored → [rows, columns]. */
function transpose(
  source: Uint8Array,
  { rows, columns, width }: { rows: number; columns: number; width: number },
): Uint8Array {
  const data = new Uint8Array(source.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (column * rows + row) * width;
      const to = (row * columns + column) * width;
      for (let b = 0; b < width; b++) data[to + b] = source[from + b] as number;
    }
  }
  return data;
}

/** The bytes of a constant. @throws FormatError when they are not as many as its shape says */
async function valuesOf(
  tensor: TensorProto,
  { path, name }: { path: string; name: string },
): Promise<Uint8Array> {
  const dtype = DTYPES[tensor.dataType] ?? "F32";
  const expected = dimsOf(tensor).reduce((product, dim) => product * dim, DTYPE_BYTES[dtype] as number);
  const data = isExternal(tensor) ? await externalBytes(tensor, { path, name }) : valuesInside(tensor);
  if (data.byteLength === expected) return data;
  throw new FormatError(
    path,
    `has ${data.byteLength} bytes for ${JSON.stringify(name)} [${tensor.dims.join(", ")}], where ${expected} belong`,
    { code: "onnx/damaged", hint: "It is damaged, or cut off: get it again." },
  );
}

/** Small tensors may be lists of numbers in place of bytes; those of 16 bits are lists of integers. */
function valuesInside({ rawData, floatData, doubleData, int32Data }: TensorProto): Uint8Array {
  if (rawData.byteLength > 0) return rawData;
  if (int32Data.length > 0) return new Uint8Array(Uint16Array.from(int32Data).buffer);
  const numbers = doubleData.length > 0 ? Float64Array.from(doubleData) : Float32Array.from(floatData);
  return new Uint8Array(numbers.buffer);
}
