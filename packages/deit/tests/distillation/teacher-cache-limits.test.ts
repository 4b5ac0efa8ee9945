/** A teacher's answers on disk: their size, who uses them, disks that fail, folders that are refused. */
import { chmod, mkdir, readdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { canMountSmallDisk, mountSmallDisk } from "../formats/small-disk.ts";

import { cacheFolder, logits, RECORD } from "./cache-folder.ts";

const caches = cacheFolder();
const { openCache, filled, keyFolder, size } = caches;

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
    for (const name of await readdir(caches.folder)) {
      const key = await readFile(join(caches.folder, name, "key.json"), "utf8");
      const time = new Date(key.includes("newer") ? 2e12 : 1e12);
      await utimes(join(caches.folder, name, "key.json"), time, time);
    }
    const cache = await openCache({ key: { fresh: 1 }, maxBytes: 30 * RECORD });
    await cache.write(0, 0, logits(0, 0));
    expect(cache.full).toBe(false);
    const keys = await Promise.all(
      (await readdir(caches.folder)).map(async (name) =>
        readFile(join(caches.folder, name, "key.json"), "utf8"),
      ),
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
    expect((await readdir(caches.folder)).length).toBe(isKept ? 2 : 1);
    await cache.close();
  });
});

describe("a disk that fails", () => {
  test.skipIf(process.getuid?.() === 0)("is refused when it cannot be written to", async () => {
    await chmod(caches.folder, 0o555);
    await expect(openCache()).rejects.toThrow(/no permission to write there\.\nGive a folder that can/);
    await chmod(caches.folder, 0o755);
  });

  describe.skipIf(!canMountSmallDisk())("(skipped unless a tmpfs can be mounted)", () => {
    let disk: ReturnType<typeof mountSmallDisk> | undefined;
    afterEach(() => disk?.unmount());
    test("ends what is kept when it is full, not the training", async () => {
      disk = mountSmallDisk({ kib: 256 });
      const cache = await openCache({ folder: disk.path, batchSize: 64, width: 100, maxBytes: 1e9 });
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
    const file = join(caches.folder, "file");
    await writeFile(file, "");
    for (const path of [file, join(file, "within")]) {
      const opened = openCache({ folder: path });
      await expect(opened).rejects.toThrow(ConfigError);
      await expect(opened).rejects.toThrow(
        `${path} cannot cache the teacher's outputs: a file of that name is in the way.\nGive a folder that can be written to, or leave out --teacher-cache.`,
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
    const [name = ""] = await readdir(caches.folder);
    await writeFile(join(caches.folder, name, "key.json"), "{}");
    await expect(openCache()).rejects.toThrow(/the key of other outputs\nRemove the folder/);
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
      join(caches.folder, "mine", "notes.txt"),
      join(caches.folder, "mine", "key.json"),
    ];
    await mkdir(join(caches.folder, "mine"));
    for (const file of notes) await writeFile(file, "hello");
    const cache = await openCache({ maxBytes: 1 });
    await cache.write(0, 0, logits(0, 0));
    await cache.close();
    for (const file of notes) expect(await readFile(file, "utf8")).toBe("hello");
    expect(await readdir(old)).toEqual(["notes.txt"]);
  });
});
