/**
 * A process that takes a lock again and again, waiting (withLock) or not (tryLock), and says what it saw: one line of JSON
 * for each time inside. Others are caught by a mark that says who is inside. It may be killed at any moment.
 */
import { readFile, unlink, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, parseHolder, thisProcess } from "../../src/data/lock-holder.ts";
import { tryLock, withLock } from "../../src/data/lock.ts";
import { createRandom } from "../../src/random.ts";

const [path = "", seed = "0", until = "0"] = process.argv.slice(2);
const random = createRandom(Number(seed), "contender");
const mark = `${path}.inside`;

/** What a living process inside says of itself. */
async function another(): Promise<string | undefined> {
  const text = await readFile(mark, "utf8").catch(() => undefined);
  const holder = text === undefined ? undefined : parseHolder(text);
  return holder !== undefined && (await isAlive(holder)) ? text : undefined;
}

async function inside(waited: number): Promise<void> {
  const found = await another();
  await writeFile(mark, JSON.stringify(await thisProcess()));
  await sleep(random.uniform() * 4);
  const mine = parseHolder((await readFile(mark, "utf8").catch(() => "")) || "{}")?.pid === process.pid;
  await unlink(mark).catch(() => {});
  process.stdout.write(`${JSON.stringify({ waited, alone: found === undefined && mine })}\n`);
}

while (Date.now() < Number(until)) {
  const start = performance.now();
  if (random.uniform() < 0.5) {
    await withLock(path, async () => inside(performance.now() - start), { interval: 10 });
  } else {
    const lock = await tryLock(path);
    if ("release" in lock) {
      await inside(performance.now() - start);
      await lock.release();
      if (random.uniform() < 0.3) await lock.release(); // twice does no harm
    }
  }
  await sleep(random.uniform() * 3);
}
