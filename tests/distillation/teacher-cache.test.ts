/** A teacher's answers on disk: bit for bit, whole or absent, bounded. */
import { appendFile, mkdir, readdir, readFile, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { TeacherCache, TeacherCacheOptions } from "../../src/distillation/teacher-cache.ts";
import { openTeacherCache } from "../../src/distillation/teacher-cache.ts";
import { ConfigError } from "../../src/errors.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";

const SHAPE = { batchSize: 4, numClasses: 3, stepsPerEpoch: 5 } as const;
const RECORD = 4 + 4 * 12;

let folder = "";
beforeEach(async () => {
  folder = await temporaryFolder();
});

const openCache = async (changes: Partial<TeacherCacheOptions> = {}): Promise<TeacherCache> =>
  openTeacherCache({ folder, key: { teacher: "a", seed: 1 }, ...SHAPE, maxBytes: 1e6, ...changes });

function logits(epoch: number, step: number): Float32Array {
  const random = createRandom(7, "logits", epoch, step);
  return Float32Array.from({ length: 12 }, () => random.normal(0, 5));
}

async function filled(changes: Partial<TeacherCacheOptions> = {}): Promise<TeacherCache> {
  const cache = await openCache(changes);
  for (const epoch of [0, 1])
    for (let step = 0; step < SHAPE.stepsPerEpoch; step++)
      await cache.write(epoch, step, logits(epoch, step));
  return cache;
}

async function epochFile(epoch = 0): Promise<string> {
  const [name = ""] = await readdir(folder);
  return join(folder, name, `000${epoch}.f32`);
}

test("what was written comes back, bit for bit, also in another process' time", async () => {
  const cache = await filled();
  expect(await cache.read(0, 3)).toEqual(logits(0, 3));
  await cache.close();
  const again = await openCache();
  for (const epoch of [1, 0])
    for (let step = 4; step >= 0; step--) expect(await again.read(epoch, step)).toEqual(logits(epoch, step));
  expect(await again.read(2, 0)).toBeUndefined();
  expect(again.statistics).toEqual({ hits: 10, misses: 1 });
  await again.close();
});

test("another key, whatever its order of names, has other answers", async () => {
  await (await filled()).close();
  const same = await openCache({ key: { seed: 1, teacher: "a" } });
  expect(await same.read(0, 0)).toEqual(logits(0, 0));
  await same.close();
  const other = await openCache({ key: { seed: 2, teacher: "a" } });
  expect(await other.read(0, 0)).toBeUndefined();
  await other.close();
});

test("a file that was cut off anywhere loses only what was cut, and is mended", async () => {
  await (await filled()).close();
  const file = await epochFile();
  for (const length of [0, 3, RECORD - 1, RECORD, 2 * RECORD + 17, 5 * RECORD - 1]) {
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
  for (let at = 2 * RECORD; at < 3 * RECORD; at += 7) {
    const damaged = Uint8Array.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    await writeFile(file, damaged);
    const cache = await openCache();
    expect(await cache.read(0, 2)).toBeUndefined();
    expect(await cache.read(0, 1)).toEqual(logits(0, 1));
    await cache.close();
  }
  await writeFile(file, "no records at all");
  const cache = await openCache();
  expect(await cache.read(0, 0)).toBeUndefined();
  await cache.close();
  await appendFile(file, "x");
});

test("two students on one key share what either writes", async () => {
  const [a, b] = [await openCache(), await openCache()];
  await a.write(0, 0, logits(0, 0));
  await b.write(0, 1, logits(0, 1));
  await b.write(0, 0, logits(0, 0));
  await a.close();
  await b.close();
  const after = await openCache();
  expect(await after.read(0, 0)).toEqual(logits(0, 0));
  expect(await after.read(0, 1)).toEqual(logits(0, 1));
  await after.close();
});

describe("its size", () => {
  test("ends what is kept, and says so", async () => {
    const cache = await openCache({ maxBytes: 3 * RECORD });
    for (let step = 0; step < 5; step++) await cache.write(0, step, logits(0, step));
    expect(cache.full).toBe(true);
    expect(await cache.read(0, 2)).toEqual(logits(0, 2));
    expect(await cache.read(0, 3)).toBeUndefined();
    await cache.close();
  });

  test("makes old answers go first, but none that are in use", async () => {
    await (await filled({ key: { old: 1 } })).close();
    await (await filled({ key: { newer: 1 } })).close();
    const inUse = await filled({ key: { used: 1 } });
    for (const name of await readdir(folder)) {
      const key = await readFile(join(folder, name, "key.json"), "utf8");
      const time = new Date(key.includes("newer") ? 2e12 : 1e12);
      await utimes(join(folder, name, "key.json"), time, time);
    }
    const cache = await openCache({ key: { fresh: 1 }, maxBytes: 30 * RECORD });
    await cache.write(0, 0, logits(0, 0));
    expect(cache.full).toBe(false);
    const keys = await Promise.all(
      (await readdir(folder)).map(async (name) => readFile(join(folder, name, "key.json"), "utf8")),
    );
    expect(keys.join()).not.toContain("old");
    for (const word of ["newer", "used", "fresh"]) expect(keys.join()).toContain(word);
    await cache.close();
    await inUse.close();
  });
});

describe("refused", () => {
  test("a file in the folder's place", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await expect(openCache({ folder: file })).rejects.toThrow(ConfigError);
  });
  test("a key that was changed by hand", async () => {
    await (await filled()).close();
    const [name = ""] = await readdir(folder);
    await writeFile(join(folder, name, "key.json"), "{}");
    await expect(openCache()).rejects.toThrow(/the key of other answers\nRemove the folder/);
  });
  test("logits of another shape", async () => {
    const cache = await openCache();
    await expect(cache.write(0, 0, new Float32Array(5))).rejects.toThrow(RangeError);
    await expect(cache.write(0, 5, logits(0, 5))).rejects.toThrow("step 5 of 5");
    await cache.close();
  });
  test("nothing of others in the folder is touched", async () => {
    await mkdir(join(folder, "mine"));
    await writeFile(join(folder, "mine", "notes.txt"), "hello");
    const cache = await openCache({ maxBytes: 1 });
    await cache.write(0, 0, logits(0, 0));
    await cache.close();
    expect(await readFile(join(folder, "mine", "notes.txt"), "utf8")).toBe("hello");
  });
});
