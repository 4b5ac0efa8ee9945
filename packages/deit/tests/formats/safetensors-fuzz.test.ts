/** Thousands of damaged files from a fixed seed: each is read, or refused with a FormatError; nothing else. */
import { expect, test } from "vitest";
import { FormatError } from "../../src/errors.ts";
import {
  fromFloat32,
  parseSafetensors,
  serializeSafetensors,
  toFloat32,
} from "../../src/formats/safetensors.ts";
import { createRandom } from "../../src/random.ts";
import { file } from "./hostile.ts";

const random = createRandom(7, "safetensors fuzz");
const float = (shape: number[]) =>
  fromFloat32({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
const good = serializeSafetensors({
  tensors: new Map([
    ["cls_token", float([1, 1, 4])],
    ["blocks.0.attn.qkv.weight", float([12, 4])],
    ["blocks.0.norm1.bias", float([4])],
    ["steps", { dtype: "I64", shape: [], data: new Uint8Array(8) }],
  ]),
  metadata: { format: "pt", classes: '["a","b"]' },
});
const headerBytes = Number(new DataView(good.buffer).getBigUint64(0, true));
const header = new TextDecoder().decode(good.subarray(8, 8 + headerBytes));
const dataBytes = good.byteLength - 8 - headerBytes;

/** "read" or the message; anything but a FormatError fails the test. */
function outcome(bytes: Uint8Array): string {
  try {
    const { tensors } = parseSafetensors(bytes, { file: "fuzz" });
    let total = 0;
    for (const tensor of tensors.values()) {
      total += tensor.data.byteLength;
      toFloat32(tensor);
    }
    expect(total).toBeLessThanOrEqual(bytes.byteLength);
    return "read";
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

test("flipped, overwritten, cut and repeated bytes", () => {
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 6000; round++) {
    let bytes = good.slice();
    for (let change = random.integer(4); change >= 0; change--) {
      const at =
        random.uniform() < 0.8
          ? random.integer(Math.min(8 + headerBytes, bytes.length))
          : random.integer(bytes.length);
      const kind = random.integer(5);
      if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8));
      else if (kind === 1) bytes[at] = random.integer(256);
      else if (kind === 2) bytes[at] = '{}[]",:\\-e.09'.charCodeAt(random.integer(13));
      else if (kind === 3 && round % 3 === 0) bytes = bytes.slice(0, Math.max(at, 1));
      else bytes.copyWithin(at, random.integer(bytes.length), random.integer(bytes.length));
    }
    const result = outcome(bytes).replace(/\d+|"[^"]*"/g, "#");
    outcomes.set(result, (outcomes.get(result) ?? 0) + 1);
  }
  expect(outcomes.size).toBeGreaterThan(20);
  expect(outcomes.get("read")).toBeGreaterThan(10);
});

test("a header whose pieces are exchanged, dropped and doubled", () => {
  const tokens = header.match(/"[^"]*"|\d+|[{}[\],:]/g) ?? [];
  const spare = [
    "-1",
    "1e9",
    "0",
    "99999999999999999999",
    "null",
    '"F16"',
    '"__proto__"',
    '"\\ud800"',
    "[",
    "{",
    "1.5",
    '""',
  ];
  let refused = 0;
  for (let round = 0; round < 4000; round++) {
    const mutated = [...tokens];
    for (let change = random.integer(3); change >= 0; change--) {
      const at = random.integer(mutated.length);
      const other = mutated[random.integer(mutated.length)] ?? "";
      const kind = random.integer(4);
      if (kind === 0) mutated.splice(at, 1);
      else if (kind === 1) mutated.splice(at, 0, other);
      else if (kind === 2) mutated[at] = spare[random.integer(spare.length)] ?? "";
      else mutated[at] = other;
    }
    if (outcome(file(mutated.join(""), dataBytes)) !== "read") refused++;
  }
  expect(refused).toBeGreaterThan(3000);
});

test("noise", () => {
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: random.integer(200) }, () => random.integer(256));
    if (bytes.length > 8 && round % 2 === 0)
      bytes.set([random.integer(bytes.length), 0, 0, 0, 0, 0, 0, 0, 0x7b].slice(0, bytes.length));
    expect(outcome(bytes)).not.toBe("read");
  }
});
