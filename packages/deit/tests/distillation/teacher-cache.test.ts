/** A teacher's answers on disk: bit for bit, whole or absent, bounded, shared by processes. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TeacherCache, TeacherCacheOptions } from "../../src/distillation/teacher-cache.ts";
import { openTeacherCache } from "../../src/distillation/teacher-cache.ts";
import { ConfigError } from "../../src/errors.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { canMountSmallDisk, mountSmallDisk } from "../formats/small-disk.ts";

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

async function keyFolder(): Promise<string> {
  const [name = ""] = await readdir(folder);
  return join(folder, name);
}

async function epochFile(epoch = 0): Promise<string> {
  return join(await keyFolder(), `000${epoch}.f32`);
}

async function marks(): Promise<string[]> {
  return (await readdir(await keyFolder())).filter((name) => name.startsWith("in-use-"));
}

/** All bytes of answers in the folder. */
async function size(): Promise<number> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".f32"));
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((total, bytes) => total + bytes, 0);
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
    const reshaped = await openCache({ batchSize: 3, numClasses: 4 });
    expect(await reshaped.read(1, 0)).toBeUndefined();
    await reshaped.close();
    const other = await openCache({ key: { teacher: "b" } });
    await other.write(0, 0, logits(5, 5));
    await other.close();
    for (const name of await readdir(folder)) await writeFile(join(folder, name, "0001.f32"), bytes);
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
    const children = [startChild(folder), startChild(folder)];
    const codes = await Promise.all(children.map(async (child) => once(child, "exit")));
    expect(codes.map(([code]) => code as unknown)).toEqual([0, 0]);
    const after = await openCache(BUSY);
    for (let step = 0; step < BUSY.stepsPerEpoch; step++)
      expect((await after.read(2, step))?.every((value) => value === step)).toBe(true);
    expect(after.statistics).toEqual({ hits: 8, misses: 0, bytes: 3 * 8 * (4 + 4 * 6400) });
    await after.close();
  });

  test("one that was killed leaves whole records, and its mark is cleared away", async () => {
    const child = startChild(folder, { rounds: 1e6 });
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

/** Large enough that a write is not one page. */
const BUSY = { key: { busy: true }, batchSize: 64, numClasses: 100, stepsPerEpoch: 8 } as const;

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

describe("its size", () => {
  test("ends what is kept, and says so", async () => {
    const cache = await openCache({ maxBytes: 3 * RECORD });
    for (let step = 0; step < 5; step++) await cache.write(0, step, logits(0, step));
    expect(cache.full).toBe(true);
    expect(await cache.read(0, 2)).toEqual(logits(0, 2));
    expect(await cache.read(0, 3)).toBeUndefined();
    await cache.write(1, 0, logits(1, 0));
    await cache.write(0, 0, logits(0, 0)); // needs no more space
    await cache.close();
    expect(await size()).toBe(3 * RECORD);
    const larger = await openCache();
    for (let step = 0; step < 5; step++)
      expect(await larger.read(0, step)).toEqual(step < 3 ? logits(0, step) : undefined);
    await larger.write(0, 4, logits(0, 4));
    expect(await larger.read(0, 4)).toEqual(logits(0, 4));
    await larger.close();
  });

  test("is kept by students of different teachers together", async () => {
    const caches = [];
    for (const teacher of ["a", "b", "c"])
      caches.push(await openCache({ key: { teacher }, maxBytes: 22 * RECORD + 9 }));
    for (const epoch of [0, 1, 2])
      for (let step = 0; step < 5; step++)
        await Promise.all(caches.map(async (cache) => cache.write(epoch, step, logits(epoch, step))));
    expect(await size()).toBeLessThanOrEqual(22 * RECORD + 9);
    expect(await size()).toBeGreaterThanOrEqual(22 * RECORD);
    let kept = 0;
    for (const cache of caches) {
      for (const epoch of [0, 1, 2])
        for (let step = 0; step < 5; step++) {
          const found = await cache.read(epoch, step);
          if (found !== undefined) expect(found).toEqual(logits(epoch, step));
          kept += found === undefined ? 0 : 1;
        }
      await cache.close();
    }
    expect(kept).toBe(22);
    expect(caches.map(({ full }) => full)).toContain(true);
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

describe("in use", () => {
  test.each([
    ["a process that has ended", { pid: 2 ** 22 + 5, host: hostname(), days: 0 }, false],
    ["a living process", { pid: process.pid, host: hostname(), days: 0 }, true],
    ["another machine", { pid: 2 ** 22 + 5, host: "another-machine", days: 1 }, true],
    ["another machine, long ago", { pid: 2 ** 22 + 5, host: "another-machine", days: 8 }, false],
  ])("by %s", async (_, { pid, host, days }, isKept) => {
    await (await filled({ key: { old: 1 } })).close();
    const old = await keyFolder();
    const mark = join(old, `in-use-${pid}-0123abcd`);
    await writeFile(mark, host);
    const time = new Date(Date.now() - days * 24 * 60 * 60 * 1000);
    await utimes(mark, time, time);
    const cache = await openCache({ maxBytes: 10 * RECORD });
    await cache.write(0, 0, logits(0, 0));
    expect(cache.full).toBe(isKept);
    expect((await readdir(folder)).length).toBe(isKept ? 2 : 1);
    await cache.close();
  });
});

describe("a disk that fails", () => {
  test.skipIf(process.getuid?.() === 0)("is refused when it cannot be written to", async () => {
    await chmod(folder, 0o555);
    await expect(openCache()).rejects.toThrow(/no permission to write there\.\nGive a folder that can/);
    await chmod(folder, 0o755);
  });

  describe.skipIf(!canMountSmallDisk())("(skipped unless a tmpfs can be mounted)", () => {
    let disk: ReturnType<typeof mountSmallDisk> | undefined;
    afterEach(() => disk?.unmount());
    test("ends what is kept when it is full, not the training", async () => {
      disk = mountSmallDisk({ kib: 256 });
      const cache = await openCache({ folder: disk.path, batchSize: 64, numClasses: 100, maxBytes: 1e9 });
      for (let step = 0; step < 5; step++)
        for (const epoch of [0, 1, 2])
          await cache.write(epoch, step, new Float32Array(6400).fill(step + 0.5));
      expect(cache.full).toBe(true);
      let kept = 0;
      for (let step = 0; step < 5; step++)
        for (const epoch of [0, 1, 2]) {
          const found = await cache.read(epoch, step);
          kept += found === undefined ? 0 : 1;
          expect(found?.every((value) => value === step + 0.5) ?? true).toBe(true);
        }
      expect(kept).toBeGreaterThan(5);
      expect(kept).toBeLessThan(11);
      await cache.close();
    });
  });
});

describe("refused", () => {
  test("a file in the folder's place", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    for (const path of [file, join(file, "within")]) {
      const opened = openCache({ folder: path });
      await expect(opened).rejects.toThrow(ConfigError);
      await expect(opened).rejects.toThrow(
        `${path} cannot keep the teacher's answers: a file of that name is in the way.\nGive a folder that can be written to, or leave out --teacher-cache.`,
      );
    }
  });
  test("a file in the place of the key's folder", async () => {
    await (await filled()).close();
    const own = await keyFolder();
    await rename(own, `${own}.aside`);
    await writeFile(own, "");
    await expect(openCache()).rejects.toThrow("a file of that name is in the way");
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
    await expect(cache.read(0, -1)).rejects.toThrow("step -1 of 5");
    await expect(cache.read(-1, 0)).rejects.toThrow("epoch -1, expected 0 or more");
    await cache.close();
  });
  test("nothing of others in the folder is touched", async () => {
    await (await filled({ key: { old: 1 } })).close();
    const old = await keyFolder();
    const notes = [
      join(old, "notes.txt"),
      join(folder, "mine", "notes.txt"),
      join(folder, "mine", "key.json"),
    ];
    await mkdir(join(folder, "mine"));
    for (const file of notes) await writeFile(file, "hello");
    const cache = await openCache({ maxBytes: 1 });
    await cache.write(0, 0, logits(0, 0));
    await cache.close();
    for (const file of notes) expect(await readFile(file, "utf8")).toBe("hello");
    expect(await readdir(old)).toEqual(["notes.txt"]);
  });
});
