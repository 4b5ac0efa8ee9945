/** Whether this process is one of several that an MPI launcher has started, by the variables that launchers set. */

export type LauncherKind = "Open MPI" | "MPICH" | "Slurm";

export interface Launch {
  readonly kind: LauncherKind;
  readonly rank: number;
  readonly size: number;
  /** Ranks on this machine. */
  readonly localSize: number;
  /** Which of them this one is. */
  readonly localRank: number;
}

/** Variables of rank, number of ranks, rank on this machine and number there. */
const LAUNCHERS: readonly (readonly [LauncherKind, string, string, string, string])[] = [
  [
    "Open MPI",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
  ],
  // Of a job step: a batch script has SLURM_NTASKS, too, and is not a rank.
  ["Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"],
  ["MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"],
];

/** Undefined for a process that was started by itself, or as the only rank. */
export function launchOf(env: Readonly<Record<string, string | undefined>>): Launch | undefined {
  for (const [kind, rankName, sizeName, localRankName, localSizeName] of LAUNCHERS) {
    const [rank, size] = [whole(env[rankName]), whole(env[sizeName])];
    if (rank === undefined || size === undefined) continue;
    if (size <= 1) return undefined;
    return {
      kind,
      rank,
      size,
      localRank: whole(env[localRankName]) ?? 0,
      localSize: whole(env[localSizeName]) ?? 1,
    };
  }
  return undefined;
}

/** `4`, or Slurm's `4(x2)`. */
function whole(text: string | undefined): number | undefined {
  const digits = /^\d+/.exec(text ?? "")?.[0];
  return digits === undefined ? undefined : Number(digits);
}

/** Threads of a rank where nobody says: its share of the cores, unless the launcher has bound it to some of them. */
export function coresOfRank(
  { localSize }: Pick<Launch, "localSize">,
  { usable, all }: { usable: number; all: number },
): number {
  return usable < all ? usable : Math.max(1, Math.floor(all / localSize));
}
