/** A small part of `npm run test:stress`, with another seed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Specimen } from "../../stress/formats/specimen.ts";
import { specimens, tryMutant } from "../../stress/formats/try.ts";
import { CASES } from "../../stress/kills/cases.ts";
import { stressKills } from "../../stress/kills/run.ts";
import { growth, usageOf } from "../../stress/memory.ts";
import { record } from "../../stress/report.ts";
import { temporaryFolder } from "../data/temporary.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

describe("damaged files of every format", () => {
  let of: Specimen[] = [];
  beforeAll(async () => {
    of = await specimens(root);
  });

  test("are read, or refused with a code, within 10 s and 1 GB", { timeout: 180_000 }, async () => {
    const kinds = new Set<string>();
    const results = new Set<string>();
    for (let seed = 5_000_000; seed < 5_000_200; seed++) {
      const outcome = await tryMutant(root, seed, of);
      expect([seed, outcome.kind, outcome.fault]).toEqual([seed, outcome.kind, undefined]);
      expect(outcome.milliseconds).toBeLessThan(10_000);
      expect(outcome.bytes).toBeLessThan(2e9); // of this process, which has run other tests
      kinds.add(outcome.kind);
      results.add(outcome.result);
    }
    expect(kinds.size).toBeGreaterThan(0.7 * of.length);
    expect(results).toContain("read");
    expect(results.size).toBeGreaterThan(15);
  });

  test("whole ones are read", { timeout: 120_000 }, async () => {
    const refused = [
      "cifar's labels",
      "manifest of a pulled dataset",
      "tar",
      "exported onnx that takes images",
    ];
    const readable = of.filter(({ kind }) => !refused.includes(kind));
    for (const [seed, specimen] of readable.entries()) {
      const { kind, result } = await tryMutant(root, seed, [{ ...specimen, damage: (bytes) => bytes }]);
      expect([kind, result]).toEqual([kind, "read"]);
    }
  });
});

describe.skipIf(process.platform === "win32")("killed at random moments", () => {
  test.concurrent.each(CASES.filter(({ name }) => /^(?:pack|pull)$/.test(name)))(
    "$name: nothing is lost or left over",
    { timeout: 300_000 },
    async (one) => {
      const { count, faults } = await stressKills(one, { count: 2, seed: 77 });
      expect([count, faults]).toEqual([2, []]);
    },
  );
});

test.skipIf(process.platform !== "linux")("memory of a process and its children is seen", async () => {
  const inner =
    'const held = Buffer.alloc(50e6, 1); process.stdout.write("ready"); setTimeout(() => held, 60_000);';
  const outer = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(inner)}], { stdio: "inherit" })`;
  const child = spawn(process.execPath, ["-e", outer], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  try {
    await once(child.stdout, "data");
    expect((await usageOf(child.pid ?? 0))?.bytes).toBeGreaterThan(60e6);
  } finally {
    process.kill(-(child.pid ?? 0), "SIGKILL"); // the group
  }
  await once(child, "exit");
  expect(await usageOf(child.pid ?? 0)).toBeUndefined();
});

test("memory that grows is told from memory that goes up and down", () => {
  const wave = Array.from({ length: 200 }, (_, i) => 400e6 + 20e6 * Math.sin(i));
  expect(growth(wave)).toBeUndefined();
  expect(growth([100e6, ...wave])).toBeUndefined(); // the start
  expect(growth(wave.map((bytes, i) => bytes + i * 1e6))).toMatch(/^memory grew from \d+ to \d+ MB$/);
  expect(growth([1, 2, 3])).toMatch(/say nothing/);
});

test("a part that is run in pieces is one row", async () => {
  const table = join(root, "reliability.csv");
  const piece = { count: 100, faults: [], worstSeconds: 1.5, worstBytes: 300e6 };
  await record({ part: "formats", seed: 0, command: "first", more: true }, piece, table);
  await record(
    { part: "locks", seed: 0, command: "other", more: true },
    { ...piece, worstBytes: undefined },
    table,
  );
  const worse = { ...piece, count: 50, faults: ["x"], worstBytes: 400e6 };
  await record({ part: "formats", seed: 100, command: "second", more: true }, worse, table);
  await record({ part: "formats", seed: 0, command: "again", more: false }, piece, table);
  const [, formats, locks, again, end] = (await readFile(table, "utf8")).split("\n");
  expect(formats).toMatch(/,formats,0,150,1,1\.50,400,.*,first; second --more$/);
  expect(locks).toMatch(/,locks,0,100,0,1\.50,,.*,other$/);
  expect(again).toMatch(/,formats,0,100,0,1\.50,300,.*,again$/);
  expect(end).toBe("");
});
