/**
 * safetensors in memory: bytes → tensors and tensors → bytes, for files of any origin. Free of Node, so the
 * browser reads and writes checkpoints too; files on disk are safetensors-file.ts.
 * Byte order: the format is little-endian, and so is every machine that ONNX Runtime and WebAssembly run on.
 * Format: https://huggingface.co/docs/safetensors
 */
import { FormatError } from "../errors.ts";
import {
  DTYPE_BYTES,
  MAX_HEADER_BYTES,
  MAX_TENSORS,
  parseHeader,
  readHeaderLength,
} from "./safetensors-header.ts";
import type { TensorDType, TensorEntry } from "./safetensors-header.ts";

export type { TensorDType } from "./safetensors-header.ts";

/** A stored tensor: row-major, raw little-endian bytes. */
export interface Tensor {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A float32 tensor: row-major. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What a safetensors file holds. Metadata is text to text, by the format. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The same with every tensor as float32: what models are loaded from and saved to. */
export interface CheckpointContent {
  readonly tensors: ReadonlyMap<string, FloatTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a whole file in memory. The tensors' data are views of `bytes`, in the order they lie in the file.
 * @param file how messages name the file
 * @throws FormatError for anything that is not a complete, consistent safetensors file
 */
export function parseSafetensors(
  bytes: Uint8Array,
  { file = "safetensors" }: { file?: string } = {},
): Safetensors {
  if (bytes.constructor !== Uint8Array)
    bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source = { file, fileSize: bytes.byteLength };
  const length = readHeaderLength(bytes, source);
  const { entries, metadata, dataStart } = parseHeader(bytes.subarray(8, 8 + length), source);
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    tensors.set(name, { dtype, shape, data: bytes.subarray(dataStart + begin, dataStart + end) });
  }
  return { tensors, metadata };
}

/** Reads a whole file in memory and converts every tensor with {@link toFloat32}. Throws FormatError. */
export function parseCheckpoint(bytes: Uint8Array, options: { file?: string } = {}): CheckpointContent {
  const { tensors, metadata } = parseSafetensors(bytes, options);
  return {
    tensors: new Map(
      [...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: toFloat32(tensor) }]),
    ),
    metadata,
  };
}

/** A float32 tensor as a stored one; shares memory with `data`. */
export function fromFloat32({ shape, data }: FloatTensor): Tensor {
  return { dtype: "F32", shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/**
 * The values as float32, always in memory of their own. F64 is rounded, integers above 2^24 lose digits,
 * BOOL becomes 0 and 1; F16 and BF16 are exact.
 */
export function toFloat32({ dtype, data }: Tensor): Float32Array {
  // A copy first: it owns its memory and is aligned, whatever odd offset the bytes had in the file.
  // (Not slice(): that of a Node Buffer is a view.)
  const { buffer } = new Uint8Array(data);
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "F16":
      return Float32Array.from(new Uint16Array(buffer), halfToFloat);
    case "BF16": {
      const words = Uint32Array.from(new Uint16Array(buffer), (word) => (word << 16) >>> 0);
      return new Float32Array(words.buffer);
    }
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case "U64":
      return Float32Array.from(new BigUint64Array(buffer), Number);
    case "I32":
      return Float32Array.from(new Int32Array(buffer));
    case "U32":
      return Float32Array.from(new Uint32Array(buffer));
    case "I16":
      return Float32Array.from(new Int16Array(buffer));
    case "U16":
      return Float32Array.from(new Uint16Array(buffer));
    case "I8":
      return Float32Array.from(new Int8Array(buffer));
    case "U8":
      return Float32Array.from(new Uint8Array(buffer));
    case "BOOL":
      return Float32Array.from(new Uint8Array(buffer), (byte) => (byte === 0 ? 0 : 1));
  }
}

/** An IEEE half from its bits, exact. (Float16Array is not in every Node and browser that we run on.) */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** One whole file as bytes. See {@link safetensorsChunks}. */
export function serializeSafetensors(content: Safetensors): Uint8Array {
  const chunks = safetensorsChunks(content);
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * The pieces of a file in order: header, then the tensors' own bytes, not copied. Laid out as the reference
 * library does: wider types first, then by name; the header is padded with spaces to a multiple of 8, so
 * every tensor is aligned. Metadata is sorted by key: equal content gives equal bytes.
 * @throws FormatError for content that the format cannot hold
 */
export function safetensorsChunks({ tensors, metadata }: Safetensors): Uint8Array[] {
  if (tensors.size > MAX_TENSORS)
    throw unwritable(`${tensors.size} tensors; at most ${MAX_TENSORS} are allowed`);
  const ranks = Object.keys(DTYPE_BYTES);
  const sorted = [...tensors].sort(
    ([nameA, a], [nameB, b]) =>
      ranks.indexOf(b.dtype) - ranks.indexOf(a.dtype) || compareCodePoints(nameA, nameB),
  );
  const members: string[] = [];
  const metadataKeys = Object.keys(metadata).sort(compareCodePoints);
  if (metadataKeys.length > 0) {
    const pairs = metadataKeys.map((key) => `${quote(key)}:${quote(metadata[key] ?? "")}`);
    members.push(`"__metadata__":{${pairs.join(",")}}`);
  }
  let position = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    if (name === "__metadata__") throw unwritable('a tensor cannot be called "__metadata__"');
    let bytes: number = DTYPE_BYTES[dtype];
    for (const dim of shape) bytes = Number.isSafeInteger(dim) && dim >= 0 ? bytes * dim : Number.NaN;
    if (bytes !== data.byteLength) {
      throw unwritable(
        `tensor ${quote(name)} is ${dtype} [${shape.join(", ")}] but has ${data.byteLength} bytes of data`,
      );
    }
    const entry: TensorEntry = { dtype, shape, begin: position, end: position + bytes };
    members.push(
      `${quote(name)}:{"dtype":"${entry.dtype}","shape":[${entry.shape.join(",")}],"data_offsets":[${entry.begin},${entry.end}]}`,
    );
    position = entry.end;
  }
  const text = new TextEncoder().encode(`{${members.join(",")}}`);
  const padded = Math.ceil(text.byteLength / 8) * 8;
  if (padded > MAX_HEADER_BYTES)
    throw unwritable(`a header of ${padded} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(text, 8);
  return [header, ...sorted.map(([, { data }]) => data)];
}

function quote(text: string): string {
  if (!text.isWellFormed() || text === "__proto__")
    throw unwritable(`the name or text ${JSON.stringify(text)} is not allowed`);
  return JSON.stringify(text);
}

/** The reference sorts names as UTF-8 bytes, which is code point order; JavaScript's `<` is not, beyond U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function unwritable(message: string): FormatError {
  return new FormatError("safetensors", `cannot be written: ${message}`, { code: "checkpoint/unwritable" });
}
