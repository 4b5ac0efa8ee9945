/** A teacher's answers on disk: bit for bit, whole or absent, shared by processes. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { cacheFolder, logits, RECORD, SHAPE } from "./cache-folder.ts";

const caches = cacheFolder();
const { openCache, filled, keyFolder, epochFile, marks } = caches;

/** Large enough that a write is not one page. */
const BUSY = { key: { busy: true }, batchSize: 64, width: 100, stepsPerEpoch: 8 } as const;

/** Writes every record of 3 epochs again and again, with the step in all places, and checks what it reads. */
function startChild(path: string, { rounds = 40 } = {}): ChildProcess {
  const url = new URL("../../src/distillation/teacher-cache.ts", import.meta.url).href;
  const options = JSON.stringify({ ...BUSY, folder: path, maxBytes: 1e9 });
  const code = `
    import { openTeacherCache } from ${JSON.stringify(url)};
    const cache = await openTeacherCache(${options});
    for (let round = 0; round < ${rounds}; round++) {
      for (let step = 0; step < 8; step++) {
        await cache.write(round % 3, step, new Float32Array(6400).fill(step));
        const back = await cache.read(round % 3, (step * 5) % 8);
        if (back !== undefined && !back.every((value) => value === (step * 5) % 8)) process.exit(7);
      }
      if (round === 3) console.log("busy");
    }
    await cache.close();
    process.exit(cache.full ? 8 : 0);`;
  return spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("what was written comes back, bit for bit, also in another process' time", async () => {
  const cache = await filled();
  expect(await cache.read(0, 3)).toEqual(logits(0, 3));
  await cache.close();
  const again = await openCache();
  for (const epoch of [1, 0])
    for (let step = 4; step >= 0; step--) expect(await again.read(epoch, step)).toEqual(logits(epoch, step));
  expect(await again.read(2, 0)).toBeUndefined();
  expect(again.statistics).toEqual({ hits: 10, misses: 1, bytes: 10 * RECORD });
  await again.close();
});

test("every bit pattern of a float comes back, from a part of a larger array, too", async () => {
  const words = Uint32Array.from([
    0, 0x80000000, 1, 0x807fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa12345, 0xffc00001, 0x3f800000,
    0x7f7fffff, 0x00800000,
  ]);
  const around = new Uint32Array(20);
  around.set(words, 3);
  const cache = await openCache();
  await cache.write(0, 0, new Float32Array(around.buffer, 12, 12));
  const back = await cache.read(0, 0);
  expect(new Uint32Array(back?.buffer ?? new ArrayBuffer(0))).toEqual(words);
  await cache.close();
});

test("steps may come in any order and all at once", async () => {
  const cache = await openCache();
  const steps = [1, 0].flatMap((epoch) => [3, 0, 4, 1, 2].map((step) => ({ epoch, step })));
  await Promise.all(steps.map(async ({ epoch, step }) => cache.write(epoch, step, logits(epoch, step))));
  const back = await Promise.all(steps.toReversed().map(async ({ epoch, step }) => cache.read(epoch, step)));
  expect(back).toEqual(steps.toReversed().map(({ epoch, step }) => logits(epoch, step)));
  const closing = [cache.write(2, 0, logits(2, 0)), cache.close(), cache.close()];
  await Promise.all(closing);
  expect(await cache.read(0, 0)).toBeUndefined();
  await cache.write(2, 1, logits(2, 1));
  const again = await openCache();
  expect(await again.read(2, 0)).toEqual(logits(2, 0));
  expect(await again.read(2, 1)).toBeUndefined();
  await again.close();
});

test("another key, whatever its order of names, has other answers", async () => {
  await (await filled()).close();
  expect(JSON.parse(await readFile(join(await keyFolder(), "key.json"), "utf8"))).toEqual({
    seed: 1,
    teacher: "a",
  });
  const same = await openCache({ key: { seed: 1, teacher: "a", mixup: undefined } });
  expect(await same.read(0, 0)).toEqual(logits(0, 0));
  await same.close();
  const other = await openCache({ key: { seed: 2, teacher: "a" } });
  expect(await other.read(0, 0)).toBeUndefined();
  await other.close();
});

test("a file that was cut off anywhere loses only what was cut, and is mended", async () => {
  await (await filled()).close();
  const file = await epochFile();
  for (let length = 0; length < 5 * RECORD; length += length % RECORD < 5 ? 1 : 11) {
    await truncate(file, length);
    const cache = await openCache();
    for (let step = 0; step < SHAPE.stepsPerEpoch; step++) {
      const whole = (step + 1) * RECORD <= length;
      expect(await cache.read(0, step)).toEqual(whole ? logits(0, step) : undefined);
      await cache.write(0, step, logits(0, step));
    }
    expect(await cache.read(0, 4)).toEqual(logits(0, 4));
    await cache.close();
    expect((await stat(file)).size).toBe(5 * RECORD);
  }
});

test("a flipped bit is never an answer", async () => {
  await (await filled()).close();
  const file = await epochFile();
  const bytes = await readFile(file);
  for (let at = 2 * RECORD; at < 3 * RECORD; at++) {
    const damaged = Uint8Array.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
    await writeFile(file, damaged);
    const cache = await openCache();
    expect(await cache.read(0, 2)).toBeUndefined();
    for (const step of [1, 3]) expect(await cache.read(0, step)).toEqual(logits(0, step));
    await cache.write(0, 2, logits(0, 2));
    await cache.close();
    expect(await readFile(file)).toEqual(bytes);
  }
});

describe("what is not an answer is absent, and the rest is served", () => {
  test("records of another step, epoch, key or shape", async () => {
    await (await filled()).close();
    const bytes = await readFile(await epochFile(0));
    await writeFile(await epochFile(0), bytes.subarray(RECORD));
    await copyFile(await epochFile(1), await epochFile(2));
    const cache = await openCache();
    for (let step = 0; step < 5; step++)
      for (const epoch of [0, 2]) expect(await cache.read(epoch, step)).toBeUndefined();
    expect(await cache.read(1, 0)).toEqual(logits(1, 0));
    await cache.close();
    const reshaped = await openCache({ batchSize: 3, width: 4 });
    expect(await reshaped.read(1, 0)).toBeUndefined();
    await reshaped.close();
    const other = await openCache({ key: { teacher: "b" } });
    await other.write(0, 0, logits(5, 5));
    await other.close();
    for (const name of await readdir(caches.folder))
      await writeFile(join(caches.folder, name, "0001.f32"), bytes);
    const mixed = await openCache({ key: { teacher: "b" } });
    expect(await mixed.read(1, 0)).toBeUndefined();
    await mixed.close();
  });

  test("a file of text, a longer file, a folder in a file's place", async () => {
    await (await filled()).close();
    await writeFile(await epochFile(0), "no records at all".repeat(100));
    await rm(await epochFile(1));
    await mkdir(await epochFile(1));
    const cache = await openCache();
    expect(await cache.read(0, 0)).toBeUndefined();
    await cache.write(0, 0, logits(0, 0));
    expect(await cache.read(0, 0)).toEqual(logits(0, 0));
    expect(cache.full).toBe(false);
    expect(await cache.read(1, 0)).toBeUndefined();
    await cache.write(1, 0, logits(1, 0));
    expect(cache.full).toBe(true);
    expect(await cache.read(1, 0)).toBeUndefined();
    expect(await cache.read(0, 0)).toEqual(logits(0, 0));
    await cache.close();
  });

  test("answers that are removed while they are in use are kept anew from the next epoch", async () => {
    const cache = await filled();
    await rm(await keyFolder(), { recursive: true });
    await cache.write(2, 0, logits(2, 0));
    expect(await cache.read(2, 0)).toEqual(logits(2, 0));
    expect(cache.full).toBe(false);
    expect(await marks()).toHaveLength(1);
    await cache.close();
    expect((await readdir(await keyFolder())).toSorted()).toEqual(["0002.f32", "key.json"]);
  });
});

describe("two students on one key", () => {
  test("share what either writes, at once", async () => {
    const [a, b] = await Promise.all([openCache(), openCache()]);
    expect(await b.read(0, 0)).toBeUndefined();
    await a.write(0, 0, logits(0, 0));
    expect(await b.read(0, 0)).toEqual(logits(0, 0));
    await b.write(0, 1, logits(0, 1));
    await b.write(0, 0, logits(0, 0));
    await a.close();
    expect(await marks()).toHaveLength(1);
    await b.close();
    expect(await marks()).toEqual([]);
    const after = await openCache();
    for (const step of [0, 1]) expect(await after.read(0, step)).toEqual(logits(0, step));
    await after.close();
  });

  test("in two processes, writing the same records over and over, never read a wrong one", async () => {
    const children = [startChild(caches.folder), startChild(caches.folder)];
    const codes = await Promise.all(children.map(async (child) => once(child, "exit")));
    expect(codes.map(([code]) => code as unknown)).toEqual([0, 0]);
    const after = await openCache(BUSY);
    for (let step = 0; step < BUSY.stepsPerEpoch; step++)
      expect((await after.read(2, step))?.every((value) => value === step)).toBe(true);
    expect(after.statistics).toEqual({ hits: 8, misses: 0, bytes: 3 * 8 * (4 + 4 * 6400) });
    await after.close();
  });

  test("one that was killed leaves whole records, and its mark is cleared away", async () => {
    const child = startChild(caches.folder, { rounds: 1e6 });
    await once(child.stdout ?? child, "data");
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    expect(await marks()).toHaveLength(1);
    const cache = await openCache(BUSY);
    for (let step = 0; step < BUSY.stepsPerEpoch; step++)
      expect((await cache.read(0, step))?.every((value) => value === step) ?? true).toBe(true);
    expect(await marks()).toHaveLength(1);
    await cache.close();
    expect(await marks()).toEqual([]);
  });
});
