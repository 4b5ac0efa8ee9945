/**
 * Where a run ran: machine, versions, source commit. What args.yaml records so that a number can be traced.
 * Never fails: what cannot be found out is null. Node only.
 */
import { execFile } from "node:child_process";
import { availableParallelism, cpus, hostname, totalmem } from "node:os";
import { promisify } from "node:util";

export interface RunEnvironment {
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: {
    readonly hostname: string;
    readonly platform: string;
    readonly cpu: string | null;
    readonly cores: number;
    readonly memoryGiB: number;
  };
  /** Commit of the working directory's repository; `dirty`: it had changes. Null outside a repository. */
  readonly git: { readonly commit: string; readonly dirty: boolean } | null;
}

/** @param versions of the program and its libraries by name; Node's own is added */
export async function describeEnvironment({
  versions = {},
}: { versions?: Readonly<Record<string, string>> } = {}): Promise<RunEnvironment> {
  return {
    versions: { ...versions, node: process.versions.node },
    machine: {
      hostname: hostname(),
      platform: `${process.platform} ${process.arch}`,
      cpu: cpus()[0]?.model ?? null,
      cores: availableParallelism(),
      memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    },
    git: await gitCommit(process.cwd()),
  };
}

async function gitCommit(folder: string): Promise<RunEnvironment["git"]> {
  const git = async (...args: string[]): Promise<string> =>
    // Reading only: no lock file is taken in the user's repository.
    (
      await promisify(execFile)("git", ["--no-optional-locks", ...args], { cwd: folder, timeout: 5000 })
    ).stdout.trim();
  try {
    const commit = await git("rev-parse", "HEAD");
    return { commit, dirty: (await git("status", "--porcelain", "--untracked-files=no")) !== "" };
  } catch {
    return null;
  }
}
