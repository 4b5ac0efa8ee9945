/**
 * The header of a safetensors file: a strict reader of its small grammar (an object of tensor entries and one
 * `__metadata__` of strings). Not a general JSON parser: that one hides duplicate keys and knows no byte offsets.
 * The grammar nests three deep at most, so no input can make this reader recurse.
 * Format: https://huggingface.co/docs/safetensors
 */
import { FormatError } from "../errors.ts";

/** The reference library's own limit (100 MB): a longer header is an attack or a broken length field. */
export const MAX_HEADER_BYTES = 100_000_000;
/** DeiT has 155 tensors, the largest models a few thousand; an entry costs us about 500 bytes of memory. */
export const MAX_TENSORS = 100_000;
/** PyTorch and NumPy stop near 64; more only makes a small header cost much memory. */
export const MAX_RANK = 64;
/** A few keys are usual; millions would cost many times the header's size in memory. */
export const MAX_METADATA_KEYS = 10_000;
/** Longer names and metadata keys are not names; the class list of a model lives in a metadata value. */
export const MAX_NAME_BYTES = 4096;

/** Bytes an element, in the reference library's order of writing (last first). */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** Element type of a stored tensor. */
export type TensorDType = keyof typeof DTYPE_BYTES;

/** One tensor as the header describes it; `begin` and `end` count from the first byte after the header. */
export interface TensorEntry {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A checked header: entries in the order of their bytes, which they cover without gap or overlap. */
export interface Header {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Offset in the file of the first tensor byte. */
  readonly dataStart: number;
}

/** Where the bytes come from, for messages and for bounds. */
export interface HeaderSource {
  readonly file: string;
  /** Size of the whole file in bytes. */
  readonly fileSize: number;
}

/**
 * Length of the header text from the first 8 bytes of the file, checked against the file's size and the limit.
 * @throws FormatError
 */
export function readHeaderLength(prefix: Uint8Array, { file, fileSize }: HeaderSource): number {
  if (fileSize < 8 || prefix.byteLength < 8) {
    throw new FormatError(file, `is ${fileSize} bytes long; a safetensors file has at least 8`, {
      code: "checkpoint/damaged",
      offset: 0,
      hint: "The file is cut off or is not a safetensors file. Get it again.",
    });
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new FormatError(
      file,
      `announces a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed`,
      {
        code: "checkpoint/damaged",
        offset: 0,
        hint: "This is most likely no safetensors file (a .pth or .bin, perhaps).",
      },
    );
  }
  if (Number(length) > fileSize - 8) {
    throw new FormatError(file, `announces a header of ${length} bytes but only ${fileSize - 8} follow`, {
      code: "checkpoint/damaged",
      offset: 0,
      hint: "The file is cut off. Get it again.",
    });
  }
  return Number(length);
}

interface RawEntry {
  readonly entry: TensorEntry;
  readonly offset: number;
}

/**
 * Reads and checks the header text (the bytes from 8 to 8 + length).
 * @throws FormatError with the byte offset in the file
 */
export function parseHeader(text: Uint8Array, source: HeaderSource): Header {
  const { file, fileSize } = source;
  const reader = new HeaderReader(text, file);
  const tensors = new Map<string, RawEntry>();
  const metadata = new Map<string, string>();
  let hasMetadata = false;
  reader.start();
  reader.object((key, offset) => {
    if (key === "__metadata__") {
      if (hasMetadata) reader.fail('"__metadata__" stands there twice', offset);
      hasMetadata = true;
      reader.object((name, at) => {
        if (metadata.has(name)) reader.fail(`metadata key ${JSON.stringify(name)} stands there twice`, at);
        if (metadata.size >= MAX_METADATA_KEYS)
          reader.fail(`more than ${MAX_METADATA_KEYS} metadata keys`, at);
        metadata.set(name, reader.string("a metadata value"));
      });
      return;
    }
    if (tensors.has(key)) reader.fail(`tensor ${JSON.stringify(key)} stands there twice`, offset);
    if (tensors.size >= MAX_TENSORS) reader.fail(`more than ${MAX_TENSORS} tensors`, offset);
    tensors.set(key, { entry: readEntry(reader, key, offset), offset });
  });
  reader.finish();
  const dataStart = 8 + text.byteLength;
  return {
    entries: coverage(tensors, fileSize - dataStart, reader),
    metadata: Object.fromEntries(metadata),
    dataStart,
  };
}

/** One `{"dtype", "shape", "data_offsets"}`; its three fields may come in any order. */
function readEntry(reader: HeaderReader, name: string, offset: number): TensorEntry {
  let dtype: TensorDType | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const what = `tensor ${JSON.stringify(name)}`;
  reader.object((field, at) => {
    if (field === "dtype" && dtype === undefined) {
      const given = reader.string(`the dtype of ${what}`);
      if (!isDType(given)) {
        return reader.fail(
          `${what} has dtype ${JSON.stringify(given)}; known are ${Object.keys(DTYPE_BYTES).join(", ")}`,
          at,
        );
      }
      dtype = given;
    } else if (field === "shape" && shape === undefined) {
      shape = reader.integers(MAX_RANK, `the shape of ${what}`);
    } else if (field === "data_offsets" && offsets === undefined) {
      offsets = reader.integers(2, `data_offsets of ${what}`);
    } else {
      reader.fail(
        `${what} has ${JSON.stringify(field)} ${isField(field) ? "twice" : "which the format does not know"}`,
        at,
      );
    }
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    return reader.fail(`${what} needs "dtype", "shape" and "data_offsets"`, offset);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || end < begin) {
    return reader.fail(`${what} has data_offsets [${offsets.join(", ")}]; expected [begin, end]`, offset);
  }
  const bytes = byteLength(dtype, shape);
  if (bytes !== end - begin) {
    reader.fail(
      `${what} is ${dtype} [${shape.join(", ")}], that is ${bytes ?? "too many"} bytes, but its data_offsets span ${end - begin}`,
      offset,
    );
  }
  return { dtype, shape, begin, end };
}

/** Sorts entries by position and checks that they cover the data exactly: no hole, no overlap, nothing after. */
function coverage(
  tensors: ReadonlyMap<string, RawEntry>,
  dataBytes: number,
  reader: HeaderReader,
): Map<string, TensorEntry> {
  const sorted = [...tensors].sort(
    ([, a], [, b]) => a.entry.begin - b.entry.begin || a.entry.end - b.entry.end,
  );
  let position = 0;
  for (const [name, { entry, offset }] of sorted) {
    if (entry.end > dataBytes) {
      reader.fail(
        `tensor ${JSON.stringify(name)} ends at byte ${entry.end} of the data, which has ${dataBytes}`,
        offset,
        CUT_OFF,
      );
    }
    if (entry.begin !== position) {
      const problem = entry.begin < position ? "overlaps the tensor before it" : "leaves a hole before it";
      reader.fail(
        `tensor ${JSON.stringify(name)} begins at byte ${entry.begin} of the data and ${problem} (${position})`,
        offset,
      );
    }
    position = entry.end;
  }
  if (position !== dataBytes)
    reader.fail(`the tensors cover ${position} bytes of data, the file has ${dataBytes}`, undefined);
  return new Map(sorted.map(([name, { entry }]) => [name, entry]));
}

const CUT_OFF = "The file is cut off. Get it again.";

/** Bytes of a tensor, or undefined when the product leaves the safe integers. */
export function byteLength(dtype: TensorDType, shape: readonly number[]): number | undefined {
  let bytes: number = DTYPE_BYTES[dtype];
  // A zero anywhere makes the tensor empty, but huge dimensions beside it are still refused, as by the reference.
  let extent: number = bytes;
  for (const dim of shape) {
    bytes *= dim;
    extent *= Math.max(dim, 1);
    if (!Number.isSafeInteger(extent)) return undefined;
  }
  return bytes;
}

function isDType(name: string): name is TensorDType {
  return Object.hasOwn(DTYPE_BYTES, name);
}

function isField(name: string): boolean {
  return name === "dtype" || name === "shape" || name === "data_offsets";
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** A cursor over the header's bytes; every method leaves it after what it read or throws FormatError. */
class HeaderReader {
  private position = 0;
  private readonly text: Uint8Array;
  private readonly file: string;
  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(text: Uint8Array, file: string) {
    this.text = text;
    this.file = file;
  }

  /** Throws; `position` is relative to the header text. */
  fail(message: string, position: number | undefined = this.position, hint?: string): never {
    throw new FormatError(this.file, `bad safetensors header: ${message}`, {
      code: "checkpoint/damaged",
      ...(position === undefined ? {} : { offset: 8 + position }),
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** The format wants `{` as the very first byte. */
  start(): void {
    if (this.text[0] !== OPEN_BRACE) this.fail('expected "{"', 0, "This is most likely no safetensors file.");
  }

  finish(): void {
    this.skipSpace();
    if (this.position !== this.text.byteLength) this.fail("text after the end of the object");
  }

  /** Reads `{"key": value, …}`; `member` reads the value. Keys that would poison an object are refused. */
  object(member: (key: string, offset: number) => void): void {
    this.expect(OPEN_BRACE);
    if (this.accept(CLOSE_BRACE)) return;
    do {
      this.skipSpace();
      const offset = this.position;
      const key = this.string("a key");
      if (this.position - offset > MAX_NAME_BYTES)
        this.fail(`a name longer than ${MAX_NAME_BYTES} bytes`, offset);
      if (key === "__proto__") this.fail('"__proto__" is not allowed as a name', offset);
      this.expect(COLON);
      member(key, offset);
    } while (this.accept(COMMA));
    this.expect(CLOSE_BRACE);
  }

  string(what: string): string {
    this.skipSpace();
    const begin = this.position;
    if (this.text[begin] !== QUOTE) this.fail(`expected a string for ${what}`);
    let end = begin + 1;
    while (end < this.text.byteLength && this.text[end] !== QUOTE)
      end += this.text[end] === BACKSLASH ? 2 : 1;
    if (end >= this.text.byteLength) this.fail("a string without end", begin);
    this.position = end + 1;
    try {
      const value: unknown = JSON.parse(this.decoder.decode(this.text.subarray(begin, end + 1)));
      if (typeof value === "string" && value.isWellFormed()) return value;
    } catch {
      // falls through to the same message: bad UTF-8, escape or control character
    }
    return this.fail("a string that is not valid UTF-8 or JSON", begin);
  }

  integers(most: number, what: string): number[] {
    this.expect(OPEN_BRACKET);
    const values: number[] = [];
    if (this.accept(CLOSE_BRACKET)) return values;
    do {
      if (values.length === most) this.fail(`${what} has more than ${most} entries`);
      values.push(this.integer(what));
    } while (this.accept(COMMA));
    this.expect(CLOSE_BRACKET);
    return values;
  }

  private integer(what: string): number {
    this.skipSpace();
    const begin = this.position;
    while (isNumberByte(this.text[this.position])) this.position++;
    // Sixteen digits reach the largest safe integer; a longer text is not looked at.
    const digits = String.fromCharCode(...this.text.subarray(begin, Math.min(this.position, begin + 17)));
    const value = Number(digits);
    if (!/^(0|[1-9]\d*)$/.test(digits) || !Number.isSafeInteger(value)) {
      this.fail(`expected a whole number from 0 to 2^53-1 in ${what}, got ${JSON.stringify(digits)}`, begin);
    }
    return value;
  }

  private expect(byte: number): void {
    if (!this.accept(byte)) this.fail(`expected "${String.fromCharCode(byte)}"`);
  }

  private accept(byte: number): boolean {
    this.skipSpace();
    if (this.text[this.position] !== byte) return false;
    this.position++;
    return true;
  }

  private skipSpace(): void {
    for (;;) {
      const byte = this.text[this.position];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.position++;
    }
  }
}

/** Digits, and what else a JSON number may hold, so that `-1` and `1e3` are named whole in the message. */
function isNumberByte(byte: number | undefined): boolean {
  return (
    byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || [0x2b, 0x2d, 0x2e, 0x45, 0x65].includes(byte))
  );
}
