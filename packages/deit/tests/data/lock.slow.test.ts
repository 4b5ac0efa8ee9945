/** Locks between processes: one holder at a time, whoever dies, and however many take a dead lock over at once. */
import { createHash } from "node:crypto";
import { readdir, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { startTimeIn } from "../../src/data/lock-holder.ts";
import { tryLock, withLock } from "../../src/data/lock.ts";
import { createRandom } from "../../src/random.ts";
import { contendForLock } from "../helpers/lock-contest.ts";
import { temporaryFolder } from "./temporary.ts";

/** Numbers of processes end below this one. */
const DEAD = { pid: 2 ** 22 + 5, startTime: "1", hostname: hostname() };
const HOUR = 60 * 60 * 1000;

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, "lock");
});

async function lockOf(holder: object | string, age = 0): Promise<void> {
  await writeFile(path, typeof holder === "string" ? holder : JSON.stringify(holder));
  const then = new Date(Date.now() - age);
  await utimes(path, then, then);
}

test("a dead lock is taken over by one, however many try at once", { timeout: 60_000 }, async () => {
  const random = createRandom(1, "take-over");
  const pause = (most: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, most * random.uniform()));
  for (let round = 0; round < 200; round++) {
    await lockOf(DEAD);
    let [inside, most, done] = [0, 0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await pause(2);
      inside--;
      done++;
    };
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        await pause(3);
        await withLock(path, work, { interval: 1, signal: AbortSignal.timeout(5000) });
      }),
    );
    expect({ round, most, done }).toEqual({ round, most: 1, done: 8 });
    expect(await readdir(folder)).toEqual([]);
  }
});

test("processes that are killed at random never hold it together", { timeout: 60_000 }, async () => {
  const { together, entered, killed, longestWait } = await contendForLock(path, { seed: 7, seconds: 6 });
  expect(together).toBe(0);
  expect(entered).toBeGreaterThan(20);
  expect(killed).toBeGreaterThan(2);
  expect(longestWait).toBeLessThan(5000);
});

describe("tryLock", () => {
  test("says who has it, and takes it when it was released", async () => {
    const first = await tryLock(path);
    if (!("release" in first)) throw new Error("nobody has it");
    expect(await tryLock(path)).toMatchObject({ holder: { pid: process.pid } });
    await first.release();
    const second = await tryLock(path);
    await first.release(); // it is the second one's now, and stays
    expect(await tryLock(path)).toMatchObject({ holder: { pid: process.pid } });
    if ("release" in second) await second.release();
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(["", "{", '{"pid":1}'])(
    "takes over what says nothing (%j), once nobody can be writing it",
    async (text) => {
      await lockOf(text, 5000);
      expect(await tryLock(path)).toHaveProperty("release");
    },
  );

  test("leaves another machine's lock alone; one that waits takes it when it was not touched for an hour", async () => {
    const elsewhere = { pid: 1, startTime: null, hostname: "elsewhere" };
    await lockOf(elsewhere, 2 * HOUR);
    expect(await tryLock(path)).toMatchObject({ holder: elsewhere });
    expect(await withLock(path, async () => "done", { interval: 1 })).toBe("done");
    await lockOf(elsewhere, HOUR / 2);
    const signal = AbortSignal.timeout(200);
    await expect(withLock(path, async () => "done", { interval: 1, signal })).rejects.toThrow();
  });

  test("clears away what was left beside it by killed processes, and nothing of others", async () => {
    const claim = join(folder, ".lock.0123456789ab.tmp");
    await writeFile(claim, JSON.stringify(DEAD));
    await writeFile(
      join(folder, ".lock.0123456789ac.tmp"),
      JSON.stringify({ ...DEAD, hostname: "elsewhere" }),
    );
    await writeFile(join(folder, ".other.0123456789ab.tmp"), JSON.stringify(DEAD));
    const empty = join(folder, ".lock.0123456789ad.tmp");
    await writeFile(empty, "");
    const before = new Date(Date.now() - 20_000);
    await utimes(empty, before, before);
    await writeFile(join(folder, ".lock.0123456789ae.tmp"), ""); // being written
    await lockOf(DEAD);
    const lock = await tryLock(path);
    if ("release" in lock) await lock.release();
    expect((await readdir(folder)).toSorted()).toEqual([
      ".lock.0123456789ac.tmp",
      ".lock.0123456789ae.tmp",
      ".other.0123456789ab.tmp",
    ]);
  });

  test("clears away the draft of one that was killed before it had the lock", async () => {
    await writeFile(join(folder, ".lock.0123456789ab.tmp"), JSON.stringify(DEAD));
    expect(await withLock(path, async () => readdir(folder))).toEqual(["lock"]);
    expect(await readdir(folder)).toEqual([]);
  });

  test("clears away an empty draft at once when who was writing it has ended", async () => {
    const draft = (pid: number): string => `.lock.d${pid.toString(16).padStart(6, "0")}00000.tmp`;
    await writeFile(join(folder, draft(DEAD.pid)), "");
    await writeFile(join(folder, draft(process.pid)), "");
    const names = await withLock(path, async () => readdir(folder));
    expect(names.toSorted()).toEqual([draft(process.pid), "lock"]);
  });

  test("takes a lock over whose last successor died while taking it over", async () => {
    await lockOf(DEAD);
    const name = createHash("sha256").update(JSON.stringify(DEAD)).digest("hex").slice(0, 11);
    await writeFile(join(folder, `.lock.c${name}.tmp`), JSON.stringify({ ...DEAD, startTime: "2" }));
    const lock = await tryLock(path);
    expect(lock).toHaveProperty("release");
    if ("release" in lock) await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });
});

test("a killed process is dead when all its threads have ended: one of them may yet remove a file", () => {
  const stat = (state: string, threads: number): string =>
    `12 (no) de) ${state} 1 2 3 0 -1 4 5 6 7 0 3 2 4 0 20 0 ${threads} 0 141450 0 0`;
  expect(startTimeIn(stat("S", 11))).toBe("141450");
  expect(startTimeIn(stat("Z", 2))).toBe("141450");
  expect(startTimeIn(stat("Z", 1))).toBe("dead");
  expect(startTimeIn(stat("X", 0))).toBe("dead");
});
