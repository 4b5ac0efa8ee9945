/** Programs started by the MPIs of this machine: those of Debian side by side, or what `mpirun` is elsewhere. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Mpi {
  readonly name: "Open MPI" | "MPICH";
  readonly mpirun: string;
  /** Words before `-n`. */
  readonly flags: readonly string[];
}

const found = ["mpirun.openmpi", "mpirun.mpich", "mpirun"].flatMap((mpirun): Mpi[] => {
  const { stdout } = spawnSync(mpirun, ["--version"], { encoding: "utf8" });
  if (/Open MPI/.test(stdout ?? ""))
    return [{ name: "Open MPI", mpirun, flags: ["--allow-run-as-root", "--oversubscribe"] }];
  return /HYDRA|MPICH/.test(stdout ?? "") ? [{ name: "MPICH", mpirun, flags: [] }] : [];
});

/** One of each kind. */
export const MPIS: readonly Mpi[] = found.filter(
  ({ name }, i) => found.findIndex((other) => other.name === name) === i,
);
export const openMpi: Mpi | undefined = MPIS.find(({ name }) => name === "Open MPI");

if (MPIS.length === 0)
  console.warn("no mpirun: tests of several ranks are skipped (Debian: apt-get install openmpi-bin mpich)");

export const RANK_CHILD = fileURLToPath(new URL("rank-child.ts", import.meta.url));
export const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

interface StartOptions {
  readonly ranks: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called once with the launcher. */
  readonly onStart?: ((child: ChildProcess) => void) | undefined;
  /** What is called with all that was written to stderr so far, whenever more comes. */
  readonly onOutput?: ((text: string, child: ChildProcess) => void) | undefined;
}

/** Node with these words, as so many ranks. */
export async function mpirun(
  { mpirun: file, flags }: Mpi,
  words: readonly string[],
  { ranks, env = {}, onStart, onOutput }: StartOptions,
): Promise<Ended> {
  return ended(file, [...flags, "-n", String(ranks), process.execPath, ...words], { env, onStart, onOutput });
}

/** A program and what became of it; it is killed after a minute and a half. */
export async function ended(
  file: string,
  words: readonly string[],
  { env = {}, onStart, onOutput }: Omit<StartOptions, "ranks"> = {},
): Promise<Ended> {
  const start = performance.now();
  const child = spawn(file, words, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  onStart?.(child);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    onOutput?.(stderr, child);
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 90_000);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  return { code, stdout, stderr, milliseconds: performance.now() - start };
}
