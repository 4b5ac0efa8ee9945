/** Ranks that cannot start, are unlike each other, die, hang or are asked to stop: said in words, and the run goes on. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../data/temporary.ts";
import { runContent, writePhotos } from "../training/photos.ts";
import { CLI, ended, MPIS, mpirun, openMpi } from "./mpi.ts";
import type { Ended, Mpi } from "./mpi.ts";
import { rankProcesses } from "./rank-processes.ts";

let root = "";
let photos = "";
let count = 0;
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
});

const SMALL = [
  "--model",
  "deit_w64d4_patch4_32",
  "--input-size",
  "16",
  "--batch-size",
  "4",
  "--device",
  "cpu",
];
const words = (folder: string, ...more: string[]): string[] => [
  CLI,
  "train",
  photos,
  ...SMALL,
  "--workers",
  "0",
  "--output-dir",
  join(root, folder),
  ...more,
];
const freshFolder = (): string => `run${count++}`;
const times = (text: string, part: string): number => text.split(part).length - 1;
const library = (mpi: Mpi): string => (mpi.name === "Open MPI" ? "libmpi.so.40" : "libmpich.so.12");

describe.skipIf(MPIS.length === 0)("refused before the first step", () => {
  test.each(MPIS.map((mpi) => [mpi.name, mpi] as const))(
    "%s: no library, no koffi",
    async (_, mpi) => {
      const without = await mpirun(mpi, words(freshFolder()), {
        ranks: 2,
        env: { DEIT_MPI_LIBRARY: "/no/mpi.so" },
      });
      expect([without.code, times(without.stderr, "code: ranks/no-mpi")]).toEqual([1, 1]);
      const hook = join(root, "no-koffi.cjs");
      await writeFile(
        hook,
        `const { registerHooks } = require("node:module");
      registerHooks({ resolve(name, context, next) { if (name === "koffi") throw new Error("no koffi"); return next(name, context); } });`,
      );
      const env = { NODE_OPTIONS: `--require=${hook}` };
      const alone = await mpirun(mpi, words(freshFolder()), { ranks: 2, env });
      expect([alone.code, times(alone.stderr, "code: ranks/no-koffi")]).toEqual([1, 1]);
      const started = await ended(process.execPath, words(freshFolder(), "--ranks", "2"), {
        env: { ...env, DEIT_MPIRUN: mpi.mpirun },
      });
      expect([started.code, times(started.stderr, "code: ranks/no-koffi")]).toEqual([1, 1]);
    },
    120_000,
  );

  test.skipIf(MPIS.length < 2)(
    "another MPI than the launcher's",
    async () => {
      const [launcher, other] = [MPIS.find(({ name }) => name === "MPICH"), openMpi];
      if (launcher === undefined || other === undefined) return;
      const env = {
        DEIT_MPI_LIBRARY: library(other),
        OMPI_ALLOW_RUN_AS_ROOT: "1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
      };
      const { code, stderr } = await mpirun(launcher, words(freshFolder()), { ranks: 2, env });
      expect(code).toBe(1);
      expect(times(stderr, "code: ranks/other-mpi")).toBe(1);
      expect(stderr).toMatch(/MPICH\) started 2 processes, and Open MPI v.* sees 1/);
    },
    120_000,
  );

  test.skipIf(openMpi === undefined)(
    "other options, told once",
    async () => {
      if (openMpi === undefined) return;
      const one = words(freshFolder(), "--lr", "1e-3");
      const other = [...one.slice(0, -1), "2e-3", "--threads", "1"];
      const { code, stderr } = await mpirun(openMpi, [...one, ":", "-n", "1", process.execPath, ...other], {
        ranks: 1,
      });
      expect([code, times(stderr, "code: ranks/other-options")]).toEqual([1, 1]);
      expect(stderr).toMatch(/rank 1 \(.*\) has other options than rank 0/);
    },
    120_000,
  );

  test("--ranks without a launcher", async () => {
    const { code, stderr } = await ended(process.execPath, words(freshFolder(), "--ranks", "2"), {
      env: { DEIT_MPIRUN: "no-such-mpirun" },
    });
    expect(code).toBe(1);
    expect(stderr).toContain("code: ranks/no-launcher");
    expect(stderr).toContain("apt-get install openmpi-bin");
  });
});

/** Starts a run of ranks, waits for its first epoch, and does something to it. */
async function disturbed(
  mpi: Mpi,
  folder: string,
  { more = [], disturb }: { more?: string[]; disturb: (launcher: number) => void },
): Promise<Ended & { after: number }> {
  let at: number | undefined;
  const result = await mpirun(mpi, words(folder, "--save-steps", "2", "--epochs", "40", ...more), {
    ranks: 2,
    onOutput(text, { pid }) {
      if (at !== undefined || pid === undefined || !/epoch +1\//.test(text)) return;
      at = performance.now();
      disturb(pid);
    },
  });
  return { ...result, after: performance.now() - (at ?? 0) };
}

describe.skipIf(MPIS.length === 0 || process.platform !== "linux")("a run of ranks that is disturbed", () => {
  test.each(MPIS.map((mpi) => [mpi.name, mpi] as const))(
    "%s: a rank is killed: all end",
    async (_, mpi) => {
      const folder = freshFolder();
      const { code, after } = await disturbed(mpi, folder, {
        disturb: (launcher) => process.kill(rankProcesses(launcher)[1] ?? 0, "SIGKILL"),
      });
      expect(code).not.toBe(0);
      expect(after).toBeLessThan(15_000);
      const { stderr, code: again } = await mpirun(mpi, words(folder, "--epochs", "40", "--estimate"), {
        ranks: 1,
      });
      expect([again, stderr.includes("code:")]).toEqual([0, false]);
    },
    120_000,
  );

  test.each(MPIS.map((mpi) => [mpi.name, mpi] as const))(
    "%s: a rank hangs: it is named, and all end",
    async (_, mpi) => {
      const { code, stderr, after } = await disturbed(mpi, freshFolder(), {
        more: ["--rank-timeout", "4"],
        disturb: (launcher) => process.kill(rankProcesses(launcher)[1] ?? 0, "SIGSTOP"),
      });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(
        /error: no progress for \d+ s: rank 0 \(.*\) waits for rank 1 \(.*, process \d+\)/,
      );
      expect(stderr).toContain("code: ranks/no-progress");
      expect(after).toBeLessThan(4_000 + 10_000);
    },
    120_000,
  );

  test.each(MPIS.map((mpi) => [mpi.name, mpi] as const))(
    "%s: --ranks is asked to stop: it saves, and goes on to the same end",
    async (_, mpi) => {
      const [folder, whole] = [freshFolder(), freshFolder()];
      const env = { DEIT_MPIRUN: mpi.mpirun };
      let isAsked = false;
      const more = ["--ranks", "2", "--epochs", "6"];
      const stopped = await ended(process.execPath, words(folder, ...more), {
        env,
        onOutput(text, child) {
          if (!isAsked && /epoch +1\//.test(text)) isAsked = child.kill("SIGINT");
        },
      });
      expect([stopped.code, times(stopped.stderr, "stopped and saved in")]).toEqual([130, 1]);
      const last = await ended(process.execPath, words(folder, ...more), { env });
      expect([last.code, times(last.stdout, "trained deit_w64d4_patch4_32")]).toEqual([0, 1]);
      await ended(
        process.execPath,
        words(whole, "--accumulation-steps", "2", "--threads", "1", "--epochs", "6"),
      );
      expect(await runContent(join(root, folder))).toEqual(await runContent(join(root, whole)));
    },
    180_000,
  );
});
