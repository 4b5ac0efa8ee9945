/** safetensors in memory: layout as the reference library's, every dtype, and every way a file can lie. */
import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/errors.ts";
import {
  fromFloat32,
  halfToFloat,
  parseCheckpoint,
  parseSafetensors,
  serializeSafetensors,
  toFloat32,
} from "../../src/formats/safetensors.ts";
import type { Tensor, TensorDType } from "../../src/formats/safetensors.ts";
import {
  DTYPE_BYTES,
  MAX_HEADER_BYTES,
  MAX_METADATA_KEYS,
  MAX_NAME_BYTES,
  MAX_RANK,
  MAX_TENSORS,
} from "../../src/formats/safetensors-header.ts";
import { file } from "./hostile.ts";

function float(shape: number[], values: number[]): Tensor {
  return fromFloat32({ shape, data: Float32Array.from(values) });
}

function headerText(bytes: Uint8Array): string {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return new TextDecoder().decode(bytes.subarray(8, 8 + length));
}

describe("writing", () => {
  test("lays tensors out as the reference library: wider types first, then names by UTF-8 bytes", () => {
    const dtypes: [string, TensorDType][] = [
      ["a", "F32"],
      ["b", "F64"],
      ["c", "I64"],
      ["d", "U8"],
      ["e", "BOOL"],
      ["f", "F16"],
      ["g", "I32"],
      ["h", "I16"],
      ["i", "I8"],
      ["j", "U32"],
      ["k", "U64"],
      ["l", "U16"],
      ["Z", "F32"],
      ["m", "BF16"],
    ];
    const tensors = new Map(
      dtypes.map(([name, dtype]) => [
        name,
        { dtype, shape: [2], data: new Uint8Array(2 * DTYPE_BYTES[dtype]) },
      ]),
    );
    const { tensors: read } = parseSafetensors(serializeSafetensors({ tensors, metadata: {} }));
    // The order that safetensors 0.8.0 wrote for the same tensors.
    expect([...read.keys()].join(" ")).toBe("k c b Z a j g m f l h i d e");
    const emoji = new Map([
      ["\u{1f600}", float([1], [1])],
      ["\uffee", float([1], [2])],
    ]);
    expect([
      ...parseSafetensors(serializeSafetensors({ tensors: emoji, metadata: {} })).tensors.keys(),
    ]).toEqual(["\uffee", "\u{1f600}"]);
  });

  test("pads the header to 8 with spaces and sorts metadata", () => {
    const bytes = serializeSafetensors({
      tensors: new Map([["w", float([2], [1, 2])]]),
      metadata: { b: "2", a: 'q"\n' },
    });
    expect(headerText(bytes).trimEnd()).toBe(
      '{"__metadata__":{"a":"q\\"\\n","b":"2"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    );
    expect(headerText(bytes).length % 8).toBe(0);
    expect(bytes.byteLength).toBe(8 + headerText(bytes).length + 8);
  });

  test("reads back what it wrote, with empty tensors, scalars and no tensors at all", () => {
    const tensors = new Map([
      ["empty", float([0, 3], [])],
      ["scalar", float([], [7])],
      ["w", float([2, 2], [1, 2, 3, 4])],
    ]);
    const read = parseCheckpoint(serializeSafetensors({ tensors, metadata: { note: "ü" } }));
    expect(
      Object.fromEntries([...read.tensors].map(([name, { shape, data }]) => [name, [shape, [...data]]])),
    ).toEqual({
      empty: [[0, 3], []],
      scalar: [[], [7]],
      w: [
        [2, 2],
        [1, 2, 3, 4],
      ],
    });
    expect(read.metadata).toEqual({ note: "ü" });
    expect(parseSafetensors(serializeSafetensors({ tensors: new Map(), metadata: {} })).tensors.size).toBe(0);
  });

  test.each([
    ["a tensor called __metadata__", new Map([["__metadata__", float([1], [1])]]), {}],
    ["a tensor called __proto__", new Map([["__proto__", float([1], [1])]]), {}],
    ["half a surrogate", new Map([["\ud800", float([1], [1])]]), {}],
    ["bytes that do not fit the shape", new Map([["w", float([3], [1, 2])]]), {}],
    ["a negative dimension", new Map([["w", float([-1], [])]]), {}],
    ["a broken dimension", new Map([["w", float([0.5], [1, 2])]]), {}],
    ["half a surrogate in metadata", new Map(), { a: "\udc00" }],
  ])("refuses %s", (_, tensors, metadata) => {
    expect(() => serializeSafetensors({ tensors, metadata })).toThrow(FormatError);
  });
});

describe("toFloat32", () => {
  const bytesOf = (array: ArrayBufferView): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  test.each<[TensorDType, ArrayBufferView, number[]]>([
    ["F64", new Float64Array([0.1, -2, Infinity]), [Math.fround(0.1), -2, Infinity]],
    ["F32", new Float32Array([0.1, -2]), [Math.fround(0.1), -2]],
    [
      "F16",
      new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0xfc00, 0x3555]),
      [1, -2, 2 ** -24, 65504, -0, -Infinity, 0.333251953125],
    ],
    ["BF16", new Uint16Array([0x3f80, 0xc000, 0x7f80, 0x0001]), [1, -2, Infinity, 2 ** -133]],
    ["I64", new BigInt64Array([-3n, 2n ** 40n]), [-3, 2 ** 40]],
    ["U64", new BigUint64Array([3n, 2n ** 63n]), [3, 2 ** 63]],
    ["I32", new Int32Array([-5, 1 << 30]), [-5, 2 ** 30]],
    ["U32", new Uint32Array([4294967295]), [2 ** 32]],
    ["I16", new Int16Array([-6]), [-6]],
    ["U16", new Uint16Array([65535]), [65535]],
    ["I8", new Int8Array([-7]), [-7]],
    ["U8", new Uint8Array([200]), [200]],
    ["BOOL", new Uint8Array([0, 1, 2]), [0, 1, 1]],
  ])("%s", (dtype, array, expected) => {
    expect([...toFloat32({ dtype, shape: [expected.length], data: bytesOf(array) })]).toEqual(expected);
  });

  test("owns its memory, from odd offsets and Node buffers too", () => {
    const raw = Buffer.concat([Buffer.from([9]), Buffer.from(new Float32Array([1, 2]).buffer)]);
    const values = toFloat32({ dtype: "F32", shape: [2], data: raw.subarray(1) });
    raw.fill(0);
    expect([...values]).toEqual([1, 2]);
  });

  test("every half is what Math.f16round leaves alone", () => {
    expect(Number.isNaN(halfToFloat(0x7e00))).toBe(true);
    for (let bits = 0; bits < 0x7c00; bits += 7) {
      const rounded =
        (Math as unknown as { f16round?: (x: number) => number }).f16round?.(halfToFloat(bits)) ??
        halfToFloat(bits);
      expect(rounded).toBe(halfToFloat(bits));
      if (bits > 0) expect(halfToFloat(bits)).toBeGreaterThan(halfToFloat(bits - 1));
    }
  });
});

const W = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';
const entry = (fields: string): string => `{"w":{${fields}}}`;

describe("hostile files", () => {
  test.each<[string, Uint8Array, RegExp, number?]>([
    ["an empty file", new Uint8Array(0), /0 bytes long/, 0],
    ["five bytes", new Uint8Array(5), /5 bytes long/, 0],
    [
      "a header length beyond the limit",
      file("{}", 0, BigInt(MAX_HEADER_BYTES) + 1n),
      /at most 100000000/,
      0,
    ],
    [
      "a header length of 2^64-1",
      file("{}", 0, 2n ** 64n - 1n),
      /announces a header of 18446744073709551615/,
      0,
    ],
    ["a header longer than the file", file("{}", 0, 3n), /only 2 follow/, 0],
    ["an empty header", file("", 0), /expected "{"/, 8],
    ["a header that is not JSON", file("hello", 0), /expected "{"/, 8],
    ["a header that begins with a space", file(" {}", 0), /expected "{"/, 8],
    ["an array", file("[]", 0), /expected "{"/, 8],
    ["text after the object", file("{} x", 0), /after the end/, 11],
    ["an object without end", file('{"w":', 0), /expected "{"/, 13],
    ["a trailing comma", file(`{"w":${W},}`, 8), /string for a key/],
    ["a key without quotes", file("{w:1}", 0), /string for a key/, 9],
    ["a string without end", file('{"w', 0), /without end/, 9],
    ["a bad escape", file('{"\\x":1}', 0), /valid UTF-8 or JSON/, 9],
    ["half a surrogate", file('{"\\ud800":1}', 0), /valid UTF-8 or JSON/, 9],
    ["bad UTF-8", file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x7d), 0), /valid UTF-8 or JSON/, 9],
    ["a line break in a string", file('{"a\nb":1}', 0), /valid UTF-8 or JSON/, 9],
    ["a tensor twice", file(`{"w":${W},"w":${W}}`, 8), /"w" stands there twice/, 8 + 6 + W.length],
    ["a tensor twice by an escape", file(`{"w":${W},"\\u0077":${W}}`, 8), /"w" stands there twice/],
    ["metadata twice", file('{"__metadata__":{},"__metadata__":{}}', 0), /"__metadata__" stands there twice/],
    ["a metadata key twice", file('{"__metadata__":{"a":"1","a":"2"}}', 0), /"a" stands there twice/],
    ["metadata that is a number", file('{"__metadata__":{"a":1}}', 0), /string for a metadata value/],
    ["metadata that is a list", file('{"__metadata__":[]}', 0), /expected "{"/],
    ["nested metadata", file('{"__metadata__":{"a":{"b":"c"}}}', 0), /string for a metadata value/],
    ["a tensor called __proto__", file(`{"__proto__":${W}}`, 8), /"__proto__" is not allowed/, 9],
    [
      "metadata called __proto__",
      file('{"__metadata__":{"__proto__":"x"}}', 0),
      /"__proto__" is not allowed/,
    ],
    ["a name that is too long", file(`{"${"n".repeat(MAX_NAME_BYTES)}":${W}}`, 8), /longer than/],
    ["a tensor that is null", file('{"w":null}', 0), /expected "{"/],
    ["no dtype", file(entry('"shape":[2],"data_offsets":[0,8]'), 8), /needs "dtype"/],
    ["no shape", file(entry('"dtype":"F32","data_offsets":[0,8]'), 8), /needs "dtype"/],
    [
      "an unknown field",
      file(entry('"dtype":"F32","stride":[1]'), 8),
      /"stride" which the format does not know/,
    ],
    ["a field twice", file(entry('"dtype":"F32","dtype":"F32"'), 8), /"dtype" twice/],
    [
      "an unknown dtype",
      file(entry('"dtype":"F31","shape":[2],"data_offsets":[0,8]'), 8),
      /"F31"; known are BOOL/,
    ],
    [
      "a dtype from the prototype",
      file(entry('"dtype":"toString","shape":[2],"data_offsets":[0,8]'), 8),
      /"toString"; known/,
    ],
    ["a dtype that is a number", file(entry('"dtype":32'), 8), /string for the dtype/],
    ["a negative dimension", file(entry('"dtype":"F32","shape":[-2],"data_offsets":[0,8]'), 8), /got "-2"/],
    ["a broken dimension", file(entry('"dtype":"F32","shape":[2.0],"data_offsets":[0,8]'), 8), /got "2.0"/],
    ["an exponent", file(entry('"dtype":"F32","shape":[2e0],"data_offsets":[0,8]'), 8), /got "2e0"/],
    ["a leading zero", file(entry('"dtype":"F32","shape":[02],"data_offsets":[0,8]'), 8), /got "02"/],
    [
      "a dimension beyond 2^53",
      file(entry('"dtype":"F32","shape":[9007199254740992],"data_offsets":[0,8]'), 8),
      /got "9007199254740992"/,
    ],
    [
      "a dimension of 2^64",
      file(entry('"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]'), 8),
      /whole number/,
    ],
    [
      "a product that overflows",
      file(entry('"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]'), 8),
      /too many bytes/,
    ],
    [
      "an overflow hidden by a zero",
      file(entry('"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]'), 0),
      /too many bytes/,
    ],
    ["a dimension that is text", file(entry('"dtype":"F32","shape":["2"]'), 8), /got ""/],
    [
      "too many dimensions",
      file(
        entry(
          `"dtype":"F32","shape":[${Array(MAX_RANK + 1)
            .fill(1)
            .join()}],"data_offsets":[0,4]`,
        ),
        4,
      ),
      /more than 64/,
    ],
    ["nested brackets", file(entry(`"dtype":"F32","shape":${"[".repeat(100_000)}`), 8), /whole number/],
    ["one offset", file(entry('"dtype":"F32","shape":[2],"data_offsets":[0]'), 8), /expected \[begin, end\]/],
    ["three offsets", file(entry('"dtype":"F32","shape":[2],"data_offsets":[0,8,8]'), 8), /more than 2/],
    [
      "offsets backwards",
      file(entry('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), 8),
      /expected \[begin, end\]/,
    ],
    [
      "offsets that do not fit the shape",
      file(entry('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), 8),
      /that is 12 bytes, but its data_offsets span 8/,
    ],
    ["data that is cut off", file(`{"w":${W}}`, 7), /ends at byte 8 of the data, which has 7/],
    ["data after the last tensor", file(`{"w":${W}}`, 9), /cover 8 bytes of data, the file has 9/],
    ["data without tensors", file("{}", 1), /cover 0 bytes/],
    [
      "a hole at the start",
      file(entry('"dtype":"F32","shape":[1],"data_offsets":[4,8]'), 8),
      /leaves a hole/,
    ],
    [
      "a hole between",
      file(
        `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`,
        3,
      ),
      /leaves a hole/,
    ],
    ["an overlap", file(`{"w":${W},"v":${W}}`, 8), /overlaps/],
  ])("%s is a FormatError", (_, bytes, message, offset) => {
    const error = failure(bytes);
    expect(error.message).toMatch(message);
    expect(error.file).toBe("x.safetensors");
    if (offset !== undefined) expect(error.offset).toBe(offset);
  });

  test("too many tensors, too many metadata keys", () => {
    const empty = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
    const many = (count: number): string =>
      `{${Array.from({ length: count }, (_, i) => `"${i}":${empty}`).join()}}`;
    expect(parseSafetensors(file(many(MAX_TENSORS), 0)).tensors.size).toBe(MAX_TENSORS);
    expect(failure(file(many(MAX_TENSORS + 1), 0)).message).toMatch(/more than 100000 tensors/);
    const metadata = Array.from({ length: MAX_METADATA_KEYS + 1 }, (_, i) => `"${i}":""`).join();
    expect(failure(file(`{"__metadata__":{${metadata}}}`, 0)).message).toMatch(/metadata keys/);
  });

  test("what the format allows is read: any order of entries and fields, white space, escapes", () => {
    const text =
      '{ "b" : {"data_offsets":[8,9],"shape":[1],"dtype":"U8"}, "\\u0061\\/" :\n' +
      W +
      ' ,"__metadata__":{"constructor":"x"}}  \n';
    const { tensors, metadata } = parseSafetensors(file(text, 9));
    expect([...tensors.keys()]).toEqual(["a/", "b"]);
    expect(metadata["constructor"]).toBe("x");
  });
});

function failure(bytes: Uint8Array): FormatError {
  try {
    parseSafetensors(bytes, { file: "x.safetensors" });
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
  throw new Error("was read without complaint");
}
