/** Starts a command again as several ranks on this machine, for --ranks. Node only. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeitError } from "../errors.ts";
import { FIRST_RANK_FILE } from "./mpi-ranks.ts";
import { requireKoffi } from "./mpi-library.ts";

/** Rank 0 hears it, and all ranks stop after the same update. Launchers would kill them on SIGINT and SIGTERM. */
const STOP = "SIGUSR2";
const STOPPING = ["SIGINT", "SIGTERM", "SIGHUP", STOP] as const;

/** Exit codes of ranks that have said why. */
const TOLD: ReadonlySet<number> = new Set([0, 1, 2, 130]);

/**
 * Runs Node with `words` as so many ranks; returns the exit code. The first Ctrl-C lets them save and stop, a second one
 * ends them.
 * @throws DeitError without mpirun or koffi, and when ranks were ended from outside
 */
export async function startRanks(
  ranks: number,
  words: readonly string[],
  { env = process.env }: { env?: NodeJS.ProcessEnv } = {},
): Promise<number> {
  const launcher = env["DEIT_MPIRUN"] ?? "mpirun";
  const flags = flagsOf(launcher);
  requireKoffi();
  const command = [...flags, "-n", String(ranks), process.execPath, ...process.execArgv, ...words];
  const folder = await mkdtemp(join(tmpdir(), "deit-ranks-"));
  const file = join(folder, "rank-0");
  // In a process group of its own: Ctrl-C in a terminal reaches the whole group, and launchers answer it by killing.
  const child = spawn(launcher, command, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...env, [FIRST_RANK_FILE]: file },
    detached: true,
  });
  let isStopping = false;
  const stop = (): void => {
    if (isStopping || !isHeard(file)) child.kill("SIGTERM");
    isStopping = true;
  };
  for (const signal of STOPPING) process.on(signal, stop);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    if (code !== null && TOLD.has(code)) return code;
    throw new DeitError(
      `the ranks were ended from outside${code === null ? "" : ` (${launcher} ended with exit code ${code})`}`,
      {
        code: "ranks/ended",
        hint: "Exit code 137 is SIGKILL, often for lack of memory. The same command resumes from the last save.",
      },
    );
  } finally {
    for (const signal of STOPPING) process.removeListener(signal, stop);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asks the rank whose process number is in a file to stop; whether there is one. */
function isHeard(file: string): boolean {
  try {
    return process.kill(Number(readFileSync(file, "utf8")), STOP);
  } catch {
    return false; // not yet, or not any more
  }
}

/** What a launcher needs for ranks that share one machine, and have threads. @throws DeitError where there is none */
function flagsOf(launcher: string): string[] {
  const { stdout: text } = spawnSync(launcher, ["--version"], { encoding: "utf8" });
  if (/Open MPI|OpenRTE/.test(text)) {
    const isRoot = process.getuid?.() === 0;
    return ["--oversubscribe", "--bind-to", "none", ...(isRoot ? ["--allow-run-as-root"] : [])];
  }
  if (/HYDRA|MPICH|Intel/.test(text)) return [];
  throw new DeitError(`--ranks starts several processes with ${launcher}, and there is none`, {
    code: "ranks/no-launcher",
    hint: "Debian, Ubuntu: apt-get install openmpi-bin (or mpich). Another launcher: name it in DEIT_MPIRUN.",
  });
}
