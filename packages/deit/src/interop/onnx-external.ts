/** Weights of ONNX files that lie in a file beside them, where PyTorch's and optimum's exporters put them. Node only. */
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { DataError, FormatError } from "../errors.ts";
import type { ModelProto, TensorProto } from "../graph/generated/onnx_pb.ts";
import { ModelProtoSchema } from "../graph/generated/onnx_pb.ts";
import { dimsOf } from "./onnx-names.ts";

/** TensorProto.DataLocation */
const [INSIDE, EXTERNAL] = [0, 1];

/** Bits of an element, by TensorProto.DataType; of complex numbers and text there are no weights. */
const BITS: Readonly<Record<number, number>> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
};

/** Protocol buffers end here. */
const LARGEST = 2 ** 31;

export function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === EXTERNAL;
}

/**
 * A weight's bytes. Only a plain name is followed: no file may send its reader elsewhere.
 * @param path of the ONNX file
 * @throws FormatError when they are not where it says, or not as many as the shape wants; DataError without the other file
 */
export async function externalBytes(
  tensor: TensorProto,
  { path, name = tensor.name }: { path: string; name?: string },
): Promise<Uint8Array> {
  const {
    location = "",
    offset = "0",
    length,
  } = Object.fromEntries(tensor.externalData.map(({ key, value }) => [key, value]));
  const start = Number(offset);
  if (
    basename(location) !== location ||
    location === "" ||
    location === ".." ||
    !Number.isSafeInteger(start) ||
    start < 0
  ) {
    throw new FormatError(
      path,
      `says that ${JSON.stringify(name)} lies at ${JSON.stringify(location.slice(0, 80))}, ${offset.slice(0, 20)}`,
      {
        code: "onnx/weights-outside",
        hint: "Weights may be in a file in the model's folder, given by its name only. Save it with its weights inside.",
      },
    );
  }
  const bits = BITS[tensor.dataType];
  if (bits === undefined) {
    throw new FormatError(
      path,
      `has a weight ${JSON.stringify(name)} of an unknown type (${tensor.dataType})`,
      { code: "onnx/weights-outside" },
    );
  }
  const expected = Math.ceil((dimsOf(tensor).reduce((product, dim) => product * dim, 1) * bits) / 8);
  const file = join(dirname(path), location);
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw new DataError(file, `the weights of ${path} lie in ${location}, which is not beside it`, {
      code: "onnx/weights-outside",
      hint: "Copy or download both files into one folder.",
      cause,
    });
  });
  try {
    const { size } = await handle.stat();
    const bytes = length === undefined ? expected : Number(length);
    if (bytes !== expected || start + bytes > size) {
      throw new FormatError(
        file,
        `has ${size} bytes; ${JSON.stringify(name)} would be ${bytes} of them from ${start}, ${expected} by its shape`,
        {
          code: "onnx/weights-outside",
          hint: "It is damaged, cut off, or belongs to another model: get both files again.",
        },
      );
    }
    const data = new Uint8Array(bytes);
    await handle.read(data, 0, bytes, start);
    return data;
  } finally {
    await handle.close();
  }
}

function parse(bytes: Uint8Array, path: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new FormatError(path, "is not a whole ONNX model", {
      code: "onnx/damaged",
      hint: "The file may be cut off. Export or download it again.",
      cause,
    });
  }
}

/**
 * The model with its weights inside, as ONNX Runtime takes it from memory.
 * @param model the bytes of the ONNX file at `path`
 * @throws FormatError, DataError as `externalBytes`; FormatError when all of it would be 2 GiB or more
 */
export async function withWeightsInside(model: Uint8Array, path: string): Promise<Uint8Array> {
  const edited = parse(model, path);
  let total = model.byteLength;
  for (const tensor of edited.graph?.initializer ?? []) {
    if (!isExternal(tensor)) continue;
    const data = await externalBytes(tensor, { path });
    total += data.byteLength;
    if (total >= LARGEST) {
      throw new FormatError(path, "and the weights beside it are 2 GiB or more together", {
        code: "onnx/too-large",
        hint: "Models that large are not run here; give one of less, or in float16.",
      });
    }
    Object.assign(tensor, { rawData: data, externalData: [], dataLocation: INSIDE });
  }
  return toBinary(ModelProtoSchema, edited);
}
