/**
 * ONNX files as they lie: fields of messages, one after another, without making objects of them. A hostile file of many
 * tiny messages costs no more memory than its own bytes; the generated classes would take a hundred times as much.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Field numbers of onnx.proto3. */
export const MODEL = { graph: 7, opset: 8, metadata: 14, functions: 25 } as const;
export const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparseInitializer: 15 } as const;
export const NODE = { input: 1, output: 2, type: 4, attribute: 5 } as const;
export const ATTRIBUTE = {
  name: 1,
  i: 3,
  t: 5,
  g: 6,
  ints: 8,
  tensors: 10,
  graphs: 11,
  sparse: 22,
  sparses: 23,
} as const;
export const TENSOR = { dims: 1, type: 2, name: 8, location: 14 } as const;
export const SPARSE = { values: 1, indices: 2, dims: 3 } as const;
export const FUNCTION = { node: 7 } as const;
export const ENTRY = { key: 1, value: 2 } as const;

export type Visitors = Readonly<
  Record<number, ((reader: BinaryReader, wire: WireType) => unknown) | undefined>
>;

/** Calls back at each field of a message that is asked for, and goes past what was left of it and past all others. */
export function visit(message: Uint8Array, fields: Visitors): void {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const start = reader.pos;
    reader.skip(wire, field);
    const end = reader.pos;
    const wanted = wire === WireType.LengthDelimited || wire === WireType.Varint ? fields[field] : undefined;
    if (wanted === undefined) continue;
    reader.pos = start;
    wanted(reader, wire);
    reader.pos = end;
  }
}

/** Integers of a repeated field, packed or one by one; as many as `most` are kept. */
export function readIntegers(reader: BinaryReader, wire: WireType, into: number[], most: number): void {
  if (wire === WireType.Varint) {
    if (into.length < most) into.push(Number(reader.int64()));
    return;
  }
  const packed = new BinaryReader(reader.bytes());
  while (packed.pos < packed.len && into.length < most) into.push(Number(packed.int64()));
}
