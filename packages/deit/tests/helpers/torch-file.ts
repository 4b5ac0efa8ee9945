/** Files as torch.save writes them: dicts in dicts with float32 tensors, without PyTorch. */
import { crc32 } from "node:zlib";

/** A tensor, what Python would keep beside it, or a dict of such. */
export type TorchValue =
  | { readonly shape: readonly number[]; readonly data: Float32Array }
  | number
  | string
  | null
  | ReadonlyMap<string, TorchValue>;

type TorchTensor = Extract<TorchValue, { readonly data: Float32Array }>;
const isTensor = (value: TorchValue): value is TorchTensor =>
  typeof value === "object" && value !== null && "shape" in value;

/** The bytes of `torch.save(value, …)`. `share`: tensors of the same data have one record. */
export function torchFile(value: TorchValue, { share = false }: { share?: boolean } = {}): Uint8Array {
  const records: Records = { share, data: [] };
  const body = pickled(value, records);
  const pickle = Buffer.concat([Buffer.from([0x80, 2]), body, Buffer.from(".")]);
  return zip([
    ["archive/data.pkl", pickle],
    ["archive/byteorder", Buffer.from("little")],
    ...records.data.map((data, i): [string, Uint8Array] => [
      `archive/data/${i}`,
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ]),
  ]);
}

/** An archive of this pickle alone; `method` and `size` as its directory says. */
export function torchPickle(pickle: Uint8Array, as: { method?: number; size?: number } = {}): Uint8Array {
  return zip([["archive/data.pkl", pickle]], as);
}

interface Records {
  readonly share: boolean;
  readonly data: Float32Array[];
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from("X"), uint32(bytes.length), bytes]);
};
const integer = (value: number): Buffer => Buffer.concat([Buffer.from("J"), uint32(value)]);
const tuple = (items: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from("("), ...items, Buffer.from("t")]);
const global = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`);

function pickled(value: TorchValue, records: Records): Buffer {
  if (value === null) return Buffer.from("N");
  if (typeof value === "number") return integer(value);
  if (typeof value === "string") return text(value);
  if (!isTensor(value)) {
    const items = [...value].flatMap(([key, item]) => [text(key), pickled(item, records)]);
    return Buffer.concat([Buffer.from("}("), ...items, Buffer.from("u")]);
  }
  const { shape, data } = value;
  const known = records.share ? records.data.indexOf(data) : -1;
  const key = String(known < 0 ? records.data.push(data) - 1 : known);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const storage = tuple([
    text("storage"),
    global("torch", "FloatStorage"),
    text(key),
    text("cpu"),
    integer(data.length),
  ]);
  return Buffer.concat([
    global("torch._utils", "_rebuild_tensor_v2"),
    tuple([
      Buffer.concat([storage, Buffer.from("Q")]),
      integer(0),
      tuple(shape.map(integer)),
      tuple(strides.map(integer)),
      Buffer.from([0x89]),
      Buffer.from("}"),
    ]),
    Buffer.from("R"),
  ]);
}

/** An archive of entries that are stored as they are. */
function zip(
  entries: readonly (readonly [string, Uint8Array])[],
  { method = 0, size }: { method?: number; size?: number } = {},
): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of entries) {
    const label = Buffer.from(name);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(method, 4);
    shared.writeUInt32LE(crc32(data), 10);
    shared.writeUInt32LE(data.byteLength, 14);
    shared.writeUInt32LE(size ?? data.byteLength, 18);
    shared.writeUInt16LE(label.length, 22);
    const local = Buffer.concat([uint32(0x04034b50), shared, label, data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([uint32(0x02014b50), Buffer.from([20, 0]), shared, tail, label]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}
