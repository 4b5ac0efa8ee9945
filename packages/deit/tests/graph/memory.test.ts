/** How much memory a graph wants at its worst time, counted by hand. */
import { expect, test } from "vitest";
import type { Value } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { workingBytes } from "../../src/graph/memory.ts";
import * as ops from "../../src/graph/ops.ts";

const KIB = 1024;
const x = input("x", "float32", [16, 16]); // 1 KiB
const chain = (length: number, f: (value: Value) => Value): Value =>
  Array.from({ length }).reduce<Value>(f, x);

test("inputs and outputs lie elsewhere", () => {
  expect(workingBytes([ops.exp(x)])).toBe(0);
});

test("a chain of products holds two of them, one of elementwise operations is done in place", () => {
  expect(workingBytes([chain(5, (value) => ops.matmul(value, x))])).toBe(2 * KIB);
  expect(workingBytes([chain(5, (value) => ops.exp(value))])).toBe(KIB);
});

test("what is read again later is kept", () => {
  const first = ops.matmul(x, x);
  const last = ops.matmul(ops.matmul(ops.matmul(first, x), x), x);
  expect(workingBytes([ops.add(last, first)])).toBe(3 * KIB);
});

test("reshaped values are the same memory, float16 is half of it", () => {
  const flat = ops.reshape(ops.matmul(x, x), [256]);
  expect(workingBytes([ops.sum(ops.reshape(ops.exp(flat), [16, 16]))])).toBe(KIB);
  expect(workingBytes([ops.sum(ops.cast(ops.cast(x, "float16"), "float32"))])).toBe(1.5 * KIB);
});

test("an output that nobody reads inside costs nothing", () => {
  const [left = x, right = x] = ops.split(ops.matmul(x, x), [8, 8], 0);
  expect(workingBytes([left, ops.sum(right)])).toBe(1.5 * KIB);
});
