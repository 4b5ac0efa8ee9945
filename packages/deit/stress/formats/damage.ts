/** Ways to damage a file, from random numbers: equal numbers give equal files. */
import { crc32 } from "node:zlib";
import type { Random } from "../../src/random.ts";

/** A damaged copy of a whole file. */
export type Damage = (bytes: Uint8Array, random: Random) => Uint8Array;

/** Values where others belong. */
export const ABSURD: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 0.5,
  () => 1e308,
  () => 2 ** 53,
  () => 2 ** 32,
  () => 65_537,
  () => 4096,
  () => "",
  () => "\u001b[31m\u202e",
  () => "\ud800",
  () => "x".repeat(100_000),
  () => "__proto__",
  () => [],
  () => ({}),
  () => [1, 2, 3],
  () => [65_536, 65_536],
  () => Array.from({ length: 20_000 }, () => ""),
  () => Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i, i])),
];
const NAMES = ["__proto__", "constructor", "toString", "", "a".repeat(5000), "blocks.999999.attn.qkv.weight"];
const OPCODES =
  "().012FIJKLMNQRUVXabcdeghijlopqrstu}]\u0080\u0081\u0085\u0086\u0087\u0088\u0089\u008a\u008c\u008e\u0093\u0094\u0095";
const WORDS = [
  '"',
  ",",
  "\n",
  "\0",
  "__proto__",
  "constructor",
  "500000000",
  "-1",
  "1e9",
  "[[[[",
  "{}",
  "\uFEFF",
  "../../x",
  "train",
  ";",
  "\t",
  "&a [*a]",
  "- ",
  ": ",
  "!!js/function x",
];
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Most often one change: the first one found ends the reading. */
export const few = (random: Random): number => 1 + (random.integer(3) === 0 ? random.integer(4) : 0);

const pick = <T>(list: readonly T[], random: Random): T => {
  const item = list[random.integer(list.length)];
  if (item === undefined) throw new RangeError("an empty list");
  return item;
};

/** Bytes and numbers changed, cut, repeated, moved; words put in. `headBias`: how often in the first 4 KiB. */
export function damagedBytes(bytes: Uint8Array, random: Random, headBias = 0): Uint8Array {
  let copy = Buffer.from(bytes);
  for (let change = few(random); change > 0 && copy.length > 0; change--) {
    const isHead = random.uniform() < headBias;
    const place = (): number => random.integer(isHead ? Math.min(copy.length, 4096) : copy.length);
    const at = place();
    const length = 1 + random.integer(Math.min(64, copy.length - at));
    switch (random.integer(9)) {
      case 0:
        copy[at] = (copy[at] ?? 0) ^ (1 << random.integer(8));
        break;
      case 1:
        copy[at] = random.integer(256);
        break;
      case 2: {
        const number = Buffer.alloc(4);
        if (random.integer(2) === 0) number.writeUInt32LE(pick(NUMBERS, random));
        else number.writeUInt32BE(pick(NUMBERS, random));
        copy.set(number.subarray(0, copy.length - at), at);
        break;
      }
      case 3:
        copy = Buffer.concat([copy.subarray(0, at), Buffer.from(pick(WORDS, random)), copy.subarray(at)]);
        break;
      case 4:
        copy = Buffer.concat([copy.subarray(0, at), copy.subarray(at + length)]);
        break;
      case 5:
        copy = Buffer.concat([
          copy.subarray(0, at + length),
          copy.subarray(at, at + length),
          copy.subarray(at + length),
        ]);
        break;
      case 6:
        copy = copy.subarray(0, at);
        break;
      case 7:
        copy.fill(pick([0, 0xff, 0x7f], random), at, at + length);
        break;
      default:
        copy.copyWithin(place(), at, at + length);
    }
  }
  return new Uint8Array(copy);
}

/** The same, mostly at the beginning, where binary formats say what follows. */
export const damagedHead: Damage = (bytes, random) => damagedBytes(bytes, random, 0.7);

/** Three in four as JSON, else as bytes. */
export const damagedJsonFile: Damage = (bytes, random) =>
  random.integer(4) > 0
    ? Buffer.from(damagedJson(Buffer.from(bytes).toString(), random))
    : damagedBytes(bytes, random);

/** A line of JSON of many, or bytes. */
export const damagedJsonLines: Damage = (bytes, random) => {
  if (random.integer(3) === 0) return damagedBytes(bytes, random);
  const lines = Buffer.from(bytes).toString().split("\n");
  const index = random.integer(Math.max(1, lines.length - 1));
  lines[index] = damagedText(lines[index] ?? "", random);
  return Buffer.from(lines.join("\n"));
};

/** One to three values replaced, removed or renamed; now and then the text cut, or nested a hundred thousand deep. */
export function damagedJson(text: string, random: Random): string {
  if (random.integer(20) === 0) return text.slice(0, random.integer(text.length));
  let value: unknown = JSON.parse(text);
  let deep: string | undefined;
  for (let change = few(random); change > 0; change--) {
    const spot = spotIn(value, random);
    if (spot === undefined || random.integer(40) === 0) {
      value = pick(ABSURD, random)();
      continue;
    }
    const { holder, key } = spot;
    const kind = random.integer(10);
    const old: unknown = Reflect.get(holder, key);
    if (kind === 0) Reflect.deleteProperty(holder, key);
    else if (kind === 1) {
      Reflect.deleteProperty(holder, key);
      Object.defineProperty(holder, pick(NAMES, random), {
        value: old,
        enumerable: true,
        configurable: true,
      });
    } else if (kind === 2 && typeof old === "string" && /^[[{"\d]/.test(old)) {
      Reflect.set(holder, key, damagedText(old, random)); // JSON in JSON
    } else if (kind === 3) {
      deep = random.integer(2) === 0 ? "[" : '{"a":';
      Reflect.set(holder, key, "\u0001deep");
    } else Reflect.set(holder, key, pick(ABSURD, random)());
  }
  const result = JSON.stringify(value) ?? "undefined";
  if (deep === undefined) return result;
  const end = deep === "[" ? "]" : "}";
  return result.replace('"\\u0001deep"', () => `${deep.repeat(100_000)}1${end.repeat(100_000)}`);
}

function damagedText(text: string, random: Random): string {
  try {
    return damagedJson(text, random);
  } catch {
    return text.slice(0, random.integer(text.length + 1));
  }
}

/** A random property somewhere inside; undefined when there is none. */
export function spotIn(value: unknown, random: Random): { holder: object; key: string } | undefined {
  const spots: { holder: object; key: string }[] = [];
  const walk = (holder: unknown): void => {
    if (typeof holder !== "object" || holder === null || ArrayBuffer.isView(holder) || spots.length > 2000)
      return;
    for (const key of Object.keys(holder)) {
      spots.push({ holder, key });
      walk(Reflect.get(holder, key));
    }
  };
  walk(value);
  return spots[random.integer(Math.max(1, spots.length))];
}

/** Two in three in the header of a safetensors file, as JSON, its length put right most of the time. */
export const damagedSafetensors: Damage = (bytes, random) => {
  if (random.integer(3) === 0) return damagedHead(bytes, random);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = Buffer.from(damagedJson(Buffer.from(bytes.subarray(8, 8 + length)).toString(), random));
  const prefix = new DataView(new ArrayBuffer(8));
  const wrong = pick([0n, 1n << 63n, BigInt(header.length + 1), 99_999_999n], random);
  prefix.setBigUint64(0, random.integer(20) === 0 ? wrong : BigInt(header.length), true);
  return Buffer.concat([new Uint8Array(prefix.buffer), header, bytes.subarray(8 + length)]);
};

/** Half of the time opcodes and numbers within data.pkl of a .pth, whose sizes stay. */
export const damagedTorch: Damage = (bytes, random) => {
  if (random.integer(2) === 0) return damagedBytes(bytes, random);
  const copy = Buffer.from(bytes);
  const start = copy.indexOf("data.pkl") + "data.pkl".length;
  const end = copy.indexOf("PK", start);
  for (let change = few(random); change > 0; change--) {
    const at = start + random.integer(end - start);
    const kind = random.integer(4);
    if (kind === 0) copy[at] = OPCODES.charCodeAt(random.integer(OPCODES.length)) & 0xff;
    else if (kind === 1) copy[at] = pick([0, 1, 0x7f, 0xff, 0x80], random);
    else if (kind === 2)
      copy.copyWithin(at, start + random.integer(end - start), at + 1 + random.integer(40));
    else {
      // a value kept and recalled twice in a tuple, again and again: 2^n of them for whoever walks through
      const bomb = Buffer.alloc(Math.min(end - at, 12 * (1 + random.integer(30))));
      for (let i = 0; i + 6 <= bomb.length; i += 6) bomb.set([0x71, i & 0xff, 0x68, i & 0xff, 0x86, 0x30], i);
      bomb.copy(copy, at);
    }
  }
  return copy;
};

const PNG_SIGNATURE = 8;

/** Half of the time with checksums that are right again, so that what is behind them is read. */
export const damagedPng: Damage = (bytes, random) => {
  const copy = Buffer.from(damagedBytes(bytes, random, 0.3));
  if (random.integer(2) === 0) return copy;
  for (let at = PNG_SIGNATURE; at + 12 <= copy.length;) {
    const end = at + 8 + copy.readUInt32BE(at);
    if (end + 4 > copy.length) break;
    copy.writeUInt32BE(crc32(copy.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return copy;
};
