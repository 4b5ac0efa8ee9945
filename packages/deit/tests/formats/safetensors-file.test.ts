/** safetensors on disk: lazy reading, atomic writing, and the real DeiT-Ti weights where they are at hand. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeitError, FormatError } from "../../src/errors.ts";
import { parseSafetensors, serializeSafetensors } from "../../src/formats/safetensors.ts";
import {
  openSafetensors,
  readCheckpoint,
  writeCheckpoint,
  writeSafetensors,
} from "../../src/formats/safetensors-file.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deit-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const checkpoint = {
  tensors: new Map([
    ["b", { shape: [2, 3], data: Float32Array.from([1, 2, 3, 4, 5, 6]) }],
    ["a", { shape: [2], data: Float32Array.from([-1, 0.5]).subarray(0, 2) }],
  ]),
  metadata: { note: "x" },
};

test("writes and reads back, sorted by name", async () => {
  const path = join(folder, "plain.safetensors");
  await writeCheckpoint(path, checkpoint);
  const read = await readCheckpoint(path);
  expect([...read.tensors]).toEqual([...checkpoint.tensors].toReversed());
  expect(read.metadata).toEqual({ note: "x" });
});

test("reads one tensor at a time, of any type", async () => {
  const path = join(folder, "lazy.safetensors");
  const tensors = new Map([
    ["half", { dtype: "F16" as const, shape: [1], data: Uint8Array.of(0, 0x3c) }],
    ["steps", { dtype: "I64" as const, shape: [], data: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0) }],
  ]);
  await writeSafetensors(path, { tensors, metadata: {} });
  await using file = await openSafetensors(path);
  expect([...file.tensors]).toEqual([
    ["steps", { dtype: "I64", shape: [] }],
    ["half", { dtype: "F16", shape: [1] }],
  ]);
  expect([...(await file.readFloat32("half")).data]).toEqual([1]);
  expect((await file.read("steps")).data[0]).toBe(5);
  await expect(file.read("nothing")).rejects.toThrow(/no tensor "nothing"/);
});

describe("bad files", () => {
  test("a file that is cut off, at every length", async () => {
    const path = join(folder, "cut.safetensors");
    const bytes = serializeSafetensors({
      tensors: new Map([["w", { dtype: "U8", shape: [9], data: new Uint8Array(9) }]]),
      metadata: {},
    });
    for (let length = 0; length < bytes.byteLength; length++) {
      await writeFile(path, bytes.subarray(0, length));
      await expect(openSafetensors(path), `${length} bytes`).rejects.toThrow(FormatError);
    }
  });

  test("a file that shrinks after it was opened", async () => {
    const path = join(folder, "shrinks.safetensors");
    await writeCheckpoint(path, checkpoint);
    await using file = await openSafetensors(path);
    await truncate(path, (await stat(path)).size - 4);
    await expect(file.read("b")).rejects.toThrow(/ended early: 4 bytes are missing/);
  });

  test("no file, and a folder", async () => {
    await expect(openSafetensors(join(folder, "none.safetensors"))).rejects.toThrow(/is not there/);
    await expect(openSafetensors(folder)).rejects.toThrow(DeitError);
  });

  test("content that the format cannot hold leaves the old file", async () => {
    const path = join(folder, "kept.safetensors");
    await writeCheckpoint(path, checkpoint);
    const before = await readFile(path);
    const bad = new Map([["__metadata__", { shape: [1], data: new Float32Array(1) }]]);
    await expect(writeCheckpoint(path, { tensors: bad, metadata: {} })).rejects.toThrow(FormatError);
    expect(await readFile(path)).toEqual(before);
  });
});

const weights = fileURLToPath(
  new URL("../../../../../shared/data/deit_tiny_patch16_224/model.safetensors", import.meta.url),
);
describe.skipIf(!existsSync(weights))("the real DeiT-Ti (skipped without ../shared/data)", () => {
  test("has the paper's tensors", async () => {
    const { tensors } = await readCheckpoint(weights);
    expect(tensors.size).toBe(152);
    expect([...tensors.values()].reduce((sum, { data }) => sum + data.length, 0)).toBe(5_717_416);
    expect(tensors.get("pos_embed")?.shape).toEqual([1, 197, 192]);
    expect(tensors.get("blocks.11.attn.qkv.weight")?.shape).toEqual([576, 192]);
  });

  test("comes out of our writer with the same tensor bytes", async () => {
    const original = await readFile(weights);
    const written = serializeSafetensors(parseSafetensors(original));
    const dataBytes = 5_717_416 * 4;
    expect(Buffer.compare(written.subarray(-dataBytes), original.subarray(-dataBytes))).toBe(0);
  });
});
