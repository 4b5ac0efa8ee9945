/**
 * Python pickles, read without running anything: a closed list of opcodes, and a closed list of names that a checkpoint of
 * PyTorch may call. Everything else is refused by name. Numbers, text, lists, dicts and tensors come out; other known
 * objects (argparse's Namespace, NumPy's scalars) come out empty.
 * Format: https://github.com/python/cpython/blob/main/Lib/pickletools.py, protocols 0 to 5 as far as torch.save writes them.
 */
import { FormatError } from "../errors.ts";
import { Global, InertObject, isKnownName, makerOf, type Pickled, PickledStorage } from "./pickled-values.ts";

const MARK = Symbol("mark");
type Item = Pickled | typeof MARK;

/** Of lists, dicts and values kept: a checkpoint has some dozens a tensor, and a byte can make one. */
const MOST_OBJECTS = 1_000_000;
const MOST_KEPT = 2_000_000;

/**
 * Reads one pickle from `bytes`. `end` is where it stopped.
 * @throws FormatError for anything outside the lists of opcodes and names
 */
export function readPickle(
  bytes: Uint8Array,
  { file, start = 0 }: { file: string; start?: number },
): { value: Pickled; end: number } {
  const reader = new PickleReader(bytes, start, file);
  return { value: reader.run(), end: reader.position };
}

class PickleReader {
  position: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly file: string;
  private stack: Item[] = [];
  private objects = 0;
  private readonly memo = new Map<number, Pickled>();

  constructor(bytes: Uint8Array, start: number, file: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = start;
    this.file = file;
  }

  run(): Pickled {
    // every step takes a byte at least, so it ends
    for (;;) {
      const opcode = this.byte();
      if (opcode === 0x2e) return this.pop(); // STOP
      this.step(opcode);
    }
  }

  private step(opcode: number): void {
    const operation = OPERATIONS[opcode];
    if (operation === undefined) {
      const shown = opcode > 0x20 && opcode < 0x7f ? ` (${String.fromCharCode(opcode)})` : "";
      this.position--;
      this.fail(`has the pickle opcode 0x${opcode.toString(16)}${shown}, which no checkpoint needs`);
    }
    operation(this);
  }

  fail(message: string): never {
    throw new FormatError(this.file, message, {
      code: "checkpoint/damaged",
      offset: this.position,
      hint: "It is damaged, or no checkpoint of tensors. Save it again: torch.save(model.state_dict(), …) or safetensors.",
    });
  }

  take(length: number): Uint8Array {
    if (!Number.isSafeInteger(length) || length < 0 || this.position + length > this.bytes.length)
      this.fail(`ends within a value of ${length} bytes`);
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  byte(): number {
    return this.take(1)[0] ?? 0;
  }
  uint(size: 1 | 2 | 4 | 8): number {
    const at = this.position;
    this.take(size);
    if (size === 1) return this.view.getUint8(at);
    if (size === 2) return this.view.getUint16(at, true);
    return size === 4 ? this.view.getUint32(at, true) : Number(this.view.getBigUint64(at, true));
  }
  int32(): number {
    const at = this.position;
    this.take(4);
    return this.view.getInt32(at, true);
  }
  float64(): number {
    const at = this.position;
    this.take(8);
    return this.view.getFloat64(at, false);
  }
  text(length: number): string {
    const bytes = this.take(length);
    try {
      return new TextDecoder("utf8", { fatal: true }).decode(bytes);
    } catch {
      return this.fail("has text that is not UTF-8");
    }
  }
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if (end < 0 || end - this.position > 65_536) this.fail("has a line without an end");
    const text = this.text(end - this.position);
    this.position++;
    return text;
  }

  push(item: Item): void {
    if (typeof item === "object" && item !== null && ++this.objects > MOST_OBJECTS)
      this.fail(`makes more than ${MOST_OBJECTS} lists and dicts`);
    if (this.stack.push(item) > MOST_KEPT) this.fail(`holds more than ${MOST_KEPT} values at once`);
  }
  pop(): Pickled {
    const item = this.stack.pop();
    if (item === undefined || item === MARK) return this.fail("takes from an empty stack");
    return item;
  }
  top(): Pickled {
    const item = this.stack.at(-1);
    if (item === undefined || item === MARK) return this.fail("takes from an empty stack");
    return item;
  }
  /** What was put since the last mark, which goes, too. */
  sinceMark(): Pickled[] {
    const at = this.stack.lastIndexOf(MARK);
    if (at < 0) return this.fail("has no mark where one is expected");
    return this.stack.splice(at).filter((item): item is Pickled => item !== MARK);
  }
  popMark(): void {
    this.sinceMark();
  }

  remember(index: number): void {
    if (!Number.isSafeInteger(index)) this.fail("keeps a value under no number");
    if (this.memo.size > MOST_KEPT) this.fail(`keeps more than ${MOST_KEPT} values`);
    this.memo.set(index, this.top());
  }
  rememberNext(): void {
    this.remember(this.memo.size);
  }
  recall(index: number): void {
    if (!this.memo.has(index)) this.fail(`recalls ${index}, which it never kept`);
    this.push(this.memo.get(index) ?? null);
  }

  global(module: string, name: string): void {
    const full = `${module}.${name}`;
    if (!isKnownName(full)) {
      throw new FormatError(
        this.file,
        `refers to ${JSON.stringify(full.slice(0, 100))}, which a checkpoint of tensors does not need and which is not run`,
        {
          code: "checkpoint/unsupported",
          offset: this.position,
          hint: "Only tensors are read. If it is a whole model, save its weights: torch.save(model.state_dict(), …) or safetensors.",
        },
      );
    }
    this.push(new Global(full));
  }
  call(): void {
    const [args, target] = [this.pop(), this.pop()];
    if (!(target instanceof Global) || !Array.isArray(args)) return this.fail("calls what cannot be called");
    const maker = makerOf(target.name);
    if (maker === undefined) return this.fail(`calls ${target.name}, which is a type`);
    this.push(maker(args, (what) => this.fail(`has ${what} that cannot be`)));
  }
  /** ("storage", type, key, location, length), as torch.save names the numbers of a tensor. */
  storage(): void {
    const id = this.pop();
    const [kind, type, key, , length] = Array.isArray(id) ? id : [];
    const isWhole = typeof length === "number" && Number.isSafeInteger(length) && length >= 0;
    if (kind !== "storage" || !(type instanceof Global) || typeof key !== "string" || !isWhole)
      return this.fail("names numbers that it does not describe");
    this.push(new PickledStorage(type.name.replace(/^torch\.(?:storage\.)?/, ""), key, length));
  }

  append(items: readonly Pickled[]): void {
    const target = this.top();
    if (Array.isArray(target)) for (const item of items) target.push(item);
    else if (!(target instanceof InertObject)) this.fail("appends to what is not a list");
  }
  setItems(items: readonly Pickled[]): void {
    const target = this.top();
    if (target instanceof InertObject) return;
    if (!(target instanceof Map) || items.length % 2 !== 0) this.fail("sets items of what is not a dict");
    for (let i = 0; i < items.length; i += 2) target.set(items[i] ?? null, items[i + 1] ?? null);
  }
  /** State of an object: nothing that is wanted here; dicts keep their items. */
  build(): void {
    this.pop();
    this.top();
  }
  longInteger(length: number): void {
    const bytes = this.take(length);
    if (length > 16) this.fail(`has an integer of ${length} bytes`);
    let value = 0n;
    for (const [i, byte] of bytes.entries()) value |= BigInt(byte) << BigInt(8 * i);
    if (length > 0 && ((bytes[length - 1] ?? 0) & 0x80) !== 0) value -= 1n << BigInt(8 * length);
    const small = Number(value);
    this.push(Number.isSafeInteger(small) ? small : value);
  }
  decimal(text: string): void {
    if (text === "01" || text === "00") return this.push(text === "01");
    const digits = text.replace(/L$/, "");
    if (!/^-?\d{1,20}$/.test(digits)) this.fail("has a number that is none");
    this.push(Number(digits));
  }
}

const tuple =
  (count: number) =>
  (reader: PickleReader): void => {
    const items: Pickled[] = [];
    for (let i = 0; i < count; i++) items.unshift(reader.pop());
    reader.push(items);
  };

/** The opcodes that are known, by their byte. */
const OPERATIONS: Readonly<Record<number, (reader: PickleReader) => void>> = {
  0x80: (r) => {
    const version = r.byte(); // PROTO
    if (version > 5) r.fail(`is of pickle protocol ${version}; at most 5 is known`);
  },
  0x95: (r) => void r.take(8), // FRAME
  0x28: (r) => r.push(MARK),
  0x30: (r) => void r.pop(), // POP
  0x31: (r) => r.popMark(),
  0x32: (r) => r.push(r.top()), // DUP
  0x4e: (r) => r.push(null),
  0x88: (r) => r.push(true),
  0x89: (r) => r.push(false),
  0x4b: (r) => r.push(r.uint(1)),
  0x4d: (r) => r.push(r.uint(2)),
  0x4a: (r) => r.push(r.int32()),
  0x49: (r) => r.decimal(r.line()), // INT
  0x4c: (r) => r.decimal(r.line()), // LONG
  0x8a: (r) => r.longInteger(r.uint(1)),
  0x8b: (r) => r.longInteger(r.uint(4)),
  0x47: (r) => r.push(r.float64()),
  0x58: (r) => r.push(r.text(r.uint(4))), // BINUNICODE
  0x8c: (r) => r.push(r.text(r.uint(1))),
  0x8d: (r) => r.push(r.text(r.uint(8))),
  0x56: (r) => r.push(r.line()), // UNICODE
  0x55: (r) => r.push(r.text(r.uint(1))), // SHORT_BINSTRING of Python 2
  0x54: (r) => r.push(r.text(r.uint(4))),
  0x43: (r) => r.push(r.take(r.uint(1))), // SHORT_BINBYTES
  0x42: (r) => r.push(r.take(r.uint(4))),
  0x8e: (r) => r.push(r.take(r.uint(8))),
  0x5d: (r) => r.push([]),
  0x7d: (r) => r.push(new Map()),
  0x8f: (r) => r.push([]), // EMPTY_SET
  0x29: (r) => r.push([]), // EMPTY_TUPLE
  0x85: tuple(1),
  0x86: tuple(2),
  0x87: tuple(3),
  0x74: (r) => r.push(r.sinceMark()), // TUPLE
  0x6c: (r) => r.push(r.sinceMark()), // LIST
  0x64: (r) => {
    const items = r.sinceMark(); // DICT
    r.push(new Map());
    r.setItems(items);
  },
  0x61: (r) => {
    const item = r.pop(); // APPEND
    r.append([item]);
  },
  0x65: (r) => r.append(r.sinceMark()),
  0x90: (r) => r.append(r.sinceMark()), // ADDITEMS
  0x73: (r) => {
    const [value, key] = [r.pop(), r.pop()]; // SETITEM
    r.setItems([key, value]);
  },
  0x75: (r) => r.setItems(r.sinceMark()),
  0x70: (r) => r.remember(Number.parseInt(r.line(), 10)), // PUT
  0x71: (r) => r.remember(r.uint(1)),
  0x72: (r) => r.remember(r.uint(4)),
  0x94: (r) => r.rememberNext(), // MEMOIZE
  0x67: (r) => r.recall(Number.parseInt(r.line(), 10)), // GET
  0x68: (r) => r.recall(r.uint(1)),
  0x6a: (r) => r.recall(r.uint(4)),
  0x63: (r) => {
    const module = r.line(); // GLOBAL
    r.global(module, r.line());
  },
  0x93: (r) => {
    const [name, module] = [r.pop(), r.pop()]; // STACK_GLOBAL
    if (typeof name === "string" && typeof module === "string") r.global(module, name);
    else r.fail("looks up what is not a name");
  },
  0x52: (r) => r.call(), // REDUCE
  0x81: (r) => r.call(), // NEWOBJ
  0x62: (r) => r.build(),
  0x51: (r) => r.storage(), // BINPERSID
};
