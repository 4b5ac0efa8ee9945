/** Trainings whose terminal, pipe or log disk goes away: saved, or trained to the end; never ended unsaved. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { readState } from "../../src/training/run/run-state-file.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "../training/photos.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
/** Enough to be in the middle of when the terminal goes, few enough to wait for. */
const EPOCHS = 40;
let root = "";
let photos = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 6 });
});

const words = (run: string, epochs: number): string[] =>
  [
    `train --data-path ${photos} --model deit_w64d4_patch4_32 --input-size 16 --batch-size 8`,
    `--device cpu --threads 1 --workers 1 --output-dir ${run} --epochs ${epochs}`,
  ].flatMap((line) => line.split(" "));

async function logged(run: string): Promise<number> {
  const log = await readFile(join(run, "log.jsonl"), "utf8").catch(() => "");
  return log.split("\n").length - 1;
}

/** Waits until `look` is true. */
async function until(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) await sleep(50);
}

// util-linux: macOS has another script, with other arguments.
const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;

describe.skipIf(!hasScript)("a terminal that closes", () => {
  /**
   * Runs shell commands in a terminal of their own, DEIT standing for the training; the terminal closes after an epoch.
   * The system tells the first shell alone, and when that ends everything that is with it in the foreground: so there is
   * a second shell, with a trap of its own (what it starts has the default again), that lives to tell the code.
   * @returns the exit code that the commands have written into the file CODE
   */
  async function closedAmid(
    name: string,
    commands: string,
    epochs: number,
  ): Promise<{ run: string; code: string }> {
    const run = join(root, name);
    const code = join(root, `${name}.code`);
    const training = [process.execPath, MAIN, ...words(run, epochs)].join(" ");
    const file = join(root, `${name}.sh`);
    await writeFile(file, commands.replaceAll("DEIT", training).replaceAll("CODE", code));
    const terminal = spawn("script", ["-qec", `bash ${file}`, "/dev/null"], { cwd: root, stdio: "ignore" });
    await until(async () => (await logged(run)) > 0 || terminal.exitCode !== null);
    expect(terminal.exitCode).toBeNull();
    terminal.kill("SIGKILL");
    await until(async () => (await readFile(code, "utf8").catch(() => "")) !== "");
    return { run, code: (await readFile(code, "utf8")).trim() };
  }

  test("saves the run, as Ctrl-C does", async () => {
    const { run, code } = await closedAmid("closed", "(trap : HUP; DEIT; echo $? > CODE); true", 5000);
    expect(code).toBe("130");
    const { counters } = await readState(join(run, "state.safetensors"));
    expect(counters.epoch).toBeGreaterThan(0);
    expect(await logged(run)).toBe(counters.epoch);
  }, 60_000);

  test.each([
    ["nohup", "(trap : HUP; nohup DEIT; echo $? > CODE); true"],
    ["nohup with output elsewhere", "(trap : HUP; nohup DEIT > log.txt 2>&1; echo $? > CODE); true"],
    ["a shell that ignores it", "(trap '' HUP; DEIT; echo $? > CODE); true"],
    // The job is no longer the shell's, and not the terminal's foreground: no signal, but nothing can be printed any more.
    ["disown", "set -m; { DEIT; echo $? > CODE; } & disown; sleep 600"],
  ])(
    "under %s the run goes on to its end",
    async (name, commands) => {
      const { run, code } = await closedAmid(name.replaceAll(" ", "-"), commands, EPOCHS);
      expect(code).toBe("0");
      expect(await logged(run)).toBe(EPOCHS);
    },
    60_000,
  );
});

interface Ended {
  readonly code: number | null;
  readonly run: string;
}

async function trained(
  name: string,
  stdio: StdioOptions,
  onStart: (child: ChildProcess) => void = () => {},
): Promise<Ended> {
  const run = join(root, name);
  const child = spawn(process.execPath, [MAIN, ...words(run, 3)], { stdio });
  onStart(child);
  const [code] = (await once(child, "exit")) as [number | null];
  return { code, run };
}

test.each(["first", "later"])(
  "a pipe that closes at the %s line ends no training",
  async (when) => {
    const { code, run } = await trained(`pipe-${when}`, ["ignore", "pipe", "pipe"], ({ stdout, stderr }) => {
      stdout?.destroy();
      if (when === "first") stderr?.destroy();
      else stderr?.once("data", () => stderr.destroy());
    });
    expect([code, await logged(run)]).toEqual([0, 3]);
  },
  60_000,
);

describe.skipIf(process.platform !== "linux")("a full disk", () => {
  test.each([
    ["log", 0],
    // The run is whole, but its result is not where it was wanted.
    ["result", 1],
  ])(
    "under the %s ends no training, which exits with %i",
    async (name, expected) => {
      const full = openSync("/dev/full", "w");
      try {
        const stdio: StdioOptions = name === "log" ? ["ignore", "ignore", full] : ["ignore", full, "ignore"];
        const { code, run } = await trained(`full-${name}`, stdio);
        expect([code, await logged(run)]).toEqual([expected, 3]);
      } finally {
        closeSync(full);
      }
    },
    60_000,
  );
});
