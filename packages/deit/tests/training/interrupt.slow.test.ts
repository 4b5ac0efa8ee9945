/** Ctrl-C as the shell sends it: saves and exits with 130, the same command goes on. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { readState } from "../../src/training/run/run-state-file.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "./photos.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
let root = "";
let photos = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 10 });
});

interface Started {
  readonly child: ChildProcess;
  /** What it has said so far on stderr. */
  readonly said: () => string;
  /** Resolves when stderr matches, or the process has ended. */
  readonly says: (pattern: RegExp) => Promise<void>;
  readonly ended: Promise<{ code: number | null; out: string }>;
}

function deit(words: readonly string[]): Started {
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, out }));
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(err) && child.exitCode === null && child.signalCode === null) {
      await Promise.race([once(child.stderr, "data"), ended]);
    }
    expect(err).toMatch(pattern);
  };
  return { child, said: () => err, says, ended };
}

const words = (outputDir: string, epochs: number): string[] =>
  [
    `train --data-path ${photos} --model deit_w64d4_patch4_32 --input-size 16 --batch-size 8 --json`,
    `--device cpu --threads 1 --workers 2 --output-dir ${outputDir} --epochs ${epochs}`,
  ].flatMap((line) => line.split(" "));

// npx passes on the Ctrl-C that the terminal has sent to all: two signals, one wish.
test("one Ctrl-C, heard twice, saves and exits with 130; the same command goes on to the end", async () => {
  const path = join(root, "run");
  const first = deit(words(path, 40));
  await first.says(/^epoch +1\/40/m);
  first.child.kill("SIGINT");
  first.child.kill("SIGINT");
  expect(await first.ended).toEqual({ code: 130, out: "" });
  expect(first.said()).toMatch(
    /stopping after this step, then saving \(Ctrl-C again ends at once\)\nstopped and saved in .*run\nGo on with: deit train .*run\n/,
  );
  const { counters } = await readState(join(path, "state.safetensors"));
  expect(counters.epoch).toBeGreaterThan(0);
  expect(counters.epoch).toBeLessThan(40);

  const second = deit(words(path, 40));
  const { code, out } = await second.ended;
  expect([code, second.said()]).toEqual([
    0,
    expect.stringMatching(new RegExp(`resuming from epoch ${counters.epoch + 1}, step \\d`)),
  ]);
  expect(JSON.parse(out)).toMatchObject({ run: path, epochs: 40, last: { epoch: 39 } });
  expect((await readFile(join(path, "log.jsonl"), "utf8")).trim().split("\n")).toHaveLength(40);
});

test("a run that was killed goes on, and SIGTERM saves as Ctrl-C does", async () => {
  const path = join(root, "twice");
  const first = deit(words(path, 5000));
  await first.says(/^epoch +1\/5000/m);
  first.child.kill("SIGKILL");
  expect((await first.ended).code).toBeNull();
  const second = deit(words(path, 5000));
  await second.says(/resuming from epoch \d+/);
  second.child.kill("SIGTERM"); // what batch systems send
  expect((await second.ended).code).toBe(130);
  expect(second.said()).toContain("stopped and saved in");
});
